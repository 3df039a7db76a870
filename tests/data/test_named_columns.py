"""Columns by the names that a request gives them: text, numbers, lists in one text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from whisktrain.errors import DataError

Make = Callable[..., Any]


def rows(*names: str) -> list[dict[str, Any]]:
    columns = {name: at for at, name in enumerate(names, start=2)}
    return [{name: k % (3 + at) + 0.5 for name, at in columns.items()} for k in range(60)]


@pytest.mark.parametrize("name", [2024, 2024.0, "2024", " 2024 "])
def test_a_number_names_the_column_whose_text_it_is(make: Make, name: Any) -> None:
    made = make(rows("2023", "2024", "a"), target=name)
    assert made.report["target"] == "2024"
    dropped = make(rows("2023", "2024", "a"), target="a", drop=[name])
    assert dropped.column("2024")["role"] == "dropped"


def test_a_boolean_names_a_column(make: Make) -> None:
    assert make(rows("True", "a"), target=True).report["target"] == "True"
    assert make(rows("true", "a", "b"), target="a", drop=True).column("true")["role"] == "dropped"


def test_a_text_lists_columns_with_commas(make: Make) -> None:
    made = make(rows("a", "b", "c", "t"), target="t", drop="a, B")
    assert [made.column(name)["role"] for name in "abc"] == ["dropped", "dropped", "feature"]
    made = make(rows("a,b", "a", "t"), target="t", drop="a,b")
    assert [made.column(name)["role"] for name in ("a,b", "a")] == ["dropped", "feature"]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("target", "agge"),
        ("target", 2025),
        ("drop", ["agge"]),
        ("drop", "age,agge"),
        ("keep", "agge"),
        ("types", {"agge": "numeric"}),
        ("shards", {"by": "agge"}),
        ("split", "time:agge"),
    ],
)
def test_a_wrong_name_lists_the_columns(make: Make, option: str, value: Any) -> None:
    with pytest.raises(DataError, match="expected one of the columns 'age', '2024', 't'") as caught:
        make(rows("age", "2024", "t"), **{"target": "t", option: value})
    hint = "2024" if value == 2025 else "age"
    assert caught.value.hint == f"Did you mean {hint!r}?"
