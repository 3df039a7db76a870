"""Sums of loss and metric state."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from plans import plan_of

from whisktrain.rules.scores import add_sums, combine


def sums_of(n: int) -> dict:
    return {"rows": n, "loss": n / 2, "divisor": 2.0 * n, "penalty": n / 4, "state": {"a": [n, 1]}}


@given(st.lists(st.none() | st.integers(0, 9).map(sums_of), max_size=6))
def test_sums_add_up_number_by_number(parts) -> None:
    some = [p for p in parts if p and p["rows"]]
    total = add_sums(parts)
    if not some:
        assert total is None
        return
    assert total == {
        "rows": sum(p["rows"] for p in some),
        "loss": sum(p["loss"] for p in some),
        "divisor": sum(p["divisor"] for p in some),
        "penalty": sum(p["penalty"] for p in some),
        "state": {"a": [sum(p["rows"] for p in some), len(some)]},
    }


def test_scores_of_no_rows_are_undefined_with_a_reason() -> None:
    found = combine(
        plan_of(), [None, {"rows": 0, "loss": 0.0, "divisor": 0.0, "penalty": 0.0, "state": {}}]
    )
    assert found == {
        "rows": 0,
        "loss": None,
        "accuracy": None,
        "undefined": dict.fromkeys(("loss", "accuracy"), "there are no rows"),
    }
