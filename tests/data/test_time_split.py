"""The validation split by time: when it is taken, where it cuts, and what is said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whisktrain.data.shards.storage import read_numbered_rows
from whisktrain.data.shards.time_order import is_in_order, latest_rows
from whisktrain.errors import DataError, RequestError
from whisktrain.request import DataRequest, parse

Make = Callable[..., Any]


def months(rows: int = 144, **columns: list[Any]) -> list[dict[str, Any]]:
    """A table of monthly passengers, in order of time."""
    dates = [str(month) for month in pd.period_range("1949-01", periods=rows, freq="M")]
    return [
        {"Month": dates[k], "n": k % 7 + 0.5, "Passengers": 100.5 + k}
        | {name: values[k] for name, values in columns.items()}
        for k in range(rows)
    ]


def validating(made: Any) -> list[int]:
    parts = [read_numbered_rows(made.store, made.id, k) for k in range(len(made.shards))]
    return sorted(int(number) for part in parts for number in part[1].numbers)


def test_a_table_in_order_of_time_validates_on_its_latest_rows(make: Make) -> None:
    made = make(months(), target="Passengers")
    assert validating(made) == list(range(115, 144))
    assert made.report["split"]["how"] == "time"
    assert made.report["split"]["column"] == "Month"
    assert "the latest 29 rows of 144" not in made.said()
    assert (
        "Validation by time: the latest 29 of 144 rows by 'Month', from 1958-08-01 on"
        in made.said()
    )
    assert "data.split 'random'" in made.said()


@pytest.mark.parametrize("order", ["backwards", "series", "dropped"])
def test_an_order_is_seen_however_it_goes(make: Make, order: str) -> None:
    rows = months()
    if order == "backwards":
        rows.reverse()
    if order == "series":
        rows = [{**row, "shop": shop} for shop in "ab" for row in rows]
    drop = ["Month"] if order == "dropped" else []
    made = make(rows, target="Passengers", drop=drop)
    assert made.report["split"]["how"] == "time"
    latest = [rows[at]["Month"] for at in validating(made)]
    assert set(latest) == {row["Month"] for row in months()[115:]}


def test_a_date_column_without_an_order_is_split_at_random_and_says_so(make: Make) -> None:
    rows = months()
    np.random.default_rng(0).shuffle(rows)  # type: ignore[arg-type]
    made = make(rows, target="Passengers")
    assert made.report["split"]["how"] == "random"
    assert "VALIDATION ROWS ARE DRAWN AT RANDOM though there are dates in 'Month'" in made.said()
    by_time = make(rows, target="Passengers", split="time")
    assert {rows[at]["Month"] for at in validating(by_time)} == {
        row["Month"] for row in months()[115:]
    }


def test_what_the_request_says_is_done(make: Make) -> None:
    random = make(months(), target="Passengers", split="random")
    assert random.report["split"] == {
        "how": "random",
        "column": None,
        "reason": "data.split is 'random'",
    }
    assert "drawn at random, as asked, though the rows are in order of 'Month'" in random.said()
    rows = [{**row, "year": 1949 + k // 12} for k, row in enumerate(months())]
    by_year = make(rows, target="Passengers", split="time:year", drop=["Month"])
    assert validating(by_year) == list(range(120, 144)), "whole years only"
    assert "from 1959 on" in by_year.said()
    assert make(months(), target="Passengers", validation=0).report["split"]["how"] == "none"


def test_a_year_in_order_is_a_time_and_a_duration_is_none(make: Make) -> None:
    rows = [{"n": k % 7 + 0.5, "Year": 1949 + k // 12, "y": 100.5 + k} for k in range(144)]
    assert make(rows, target="y").report["split"]["column"] == "Year"
    assert validating(make(rows, target="y")) == list(range(120, 144))
    waited = [{"n": row["n"], "time": row["Year"], "y": row["y"]} for row in rows]
    assert make(waited, target="y").report["split"]["how"] == "random"
    np.random.default_rng(0).shuffle(rows)  # type: ignore[arg-type]
    made = make(rows, target="y")
    assert made.report["split"]["how"] == "random"
    assert "RANDOM" not in made.said(), "cars of many years"


def test_without_dates_there_is_nothing_to_say(make: Make) -> None:
    made = make([{"a": k % 7 + 0.5, "t": k % 2} for k in range(50)], target="t")
    assert made.report["split"]["how"] == "random"
    assert "time" not in made.said().lower()


def test_classes_that_only_the_latest_rows_have(make: Make) -> None:
    rows = months(kind=[k // 40 for k in range(144)])
    loud = make(rows, target="kind", drop=["Passengers"])
    assert loud.report["split"]["how"] == "random"
    assert "some classes are among its latest rows only" in loud.said()
    rows = months(kind=[k % 2 if k < 140 else 2 for k in range(144)])
    asked = make(rows, target="kind", drop=["Passengers"], split="time")
    assert validating(asked) == list(range(115, 140))
    assert "4 of the latest row(s) are of classes that no earlier row has" in asked.said()
    with pytest.raises(DataError, match="none can validate"):
        make(months(kind=[k // 115 for k in range(144)]), target="kind", split="time")


def test_rows_without_a_date_and_few_moments(make: Make) -> None:
    rows = months()
    rows[140]["Month"] = None
    made = make(rows, target="Passengers")
    assert 140 not in validating(made)
    assert "1 row(s) without a value in 'Month' stay in training." in made.said()
    few = [{**row, "Month": f"{2000 + min(4, k)}-01-01"} for k, row in enumerate(months())]
    assert "too many rows have the same moment" in make(few, target="Passengers").said()


def test_a_split_that_cannot_be_is_refused(make: Make) -> None:
    rows = [{"a": k % 7 + 0.5, "c": "xy"[k % 2], "one": 1, "t": k % 2} for k in range(50)]
    with pytest.raises(DataError, match="no column holds dates"):
        make(rows, target="t", split="time")
    with pytest.raises(DataError, match=r"data\.split names the column 'aa'"):
        make(rows, target="t", split="time:aa")
    with pytest.raises(DataError, match="'c' cannot be read as numeric"):
        make(rows, target="t", split="time:c")
    with pytest.raises(DataError, match="the same moment in 'one'"):
        make(rows, target="t", split="time:one")
    for wrong in ("tme", "time:", "random:a", "by"):
        with pytest.raises(
            RequestError, match="expected 'auto', 'random', 'time' or 'time:COLUMN'"
        ):
            parse(DataRequest, {"split": wrong})


def test_shards_by_a_column_go_with_a_split_by_time(make: Make) -> None:
    made = make(
        months(shop=list("abcd") * 36), target="Passengers", shards={"by": "shop"}, workers=4
    )
    assert made.report["split"]["how"] == "time"
    assert validating(made) == list(range(115, 144))


@given(
    st.lists(st.one_of(st.none(), st.integers(0, 9)), min_size=1, max_size=60),
    st.floats(0.05, 0.9),
)
def test_the_latest_rows_are_later_than_all_others(values: list[int | None], share: float) -> None:
    times = np.array([np.nan if value is None else value for value in values])
    held_out = latest_rows(times, share)
    if held_out is None:
        assert len(np.unique(times[~np.isnan(times)])) < 2
        return
    others = times[~held_out & ~np.isnan(times)]
    assert 0 < held_out.sum() < len(times)
    assert others.max() < times[held_out].min()


def test_orders() -> None:
    rows = np.arange(100.0)
    assert is_in_order(rows)
    assert is_in_order(rows[::-1])
    assert is_in_order(np.repeat(rows, 3))
    assert not is_in_order(np.random.default_rng(0).permutation(rows))
    assert not is_in_order(np.repeat(np.arange(4.0), 9)), "too few moments"
    assert not is_in_order(np.where(rows < 20, np.nan, rows)), "too many without one"
