"""Where a run that diverges can be resumed from."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from plans import plan_of, running

from whisktrain.records.run import Best, ResumePoint
from whisktrain.rules.fallback import KEPT, fallback_after, is_kept
from whisktrain.spec import ContributionNumbers


def numbers(loss: float, rows: int = 4) -> list[ContributionNumbers]:
    """Two updates of a round with this mean loss."""
    sums: Any = {"rows": rows, "loss": loss * rows, "divisor": rows, "penalty": 0.0, "state": {}}
    return [
        {"rows": rows, "divisor": rows, "train": sums, "validation": None, "training": None}
    ] * 2


def test_about_as_many_rounds_are_kept_of_any_run_and_always_the_same_ones() -> None:
    for rounds in (1, 31, 32, 33, 1000, 100_000):
        kept = [r for r in range(1, rounds + 2) if is_kept(plan_of(rounds=rounds), r)]
        assert kept[0] == 1 and kept[-1] <= rounds
        assert min(rounds, KEPT) / 2 <= len(kept) <= KEPT
    assert is_kept(plan_of(rounds=1000, first_round=17), 17)


def test_a_round_counts_whose_loss_is_no_higher_than_that_of_the_first() -> None:
    state = running(round=1, params="params:r:1")
    first = ResumePoint(1, "params:r:1", "moments:r:1")
    assert fallback_after(state, numbers(2.0)) == (first, 2.0)
    later = running(
        round=4, params="params:r:4", fallback=first, first_loss=2.0, best=Best(2, "b", 0.1, 0)
    )
    assert fallback_after(later, numbers(1.9)) == (
        ResumePoint(4, "params:r:4", "moments:r:4", Best(2, "b", 0.1, 0)),
        2.0,
    )
    assert fallback_after(later, numbers(2.1)) == (first, 2.0), "its weights are growing"
    assert fallback_after(later, numbers(1.0, rows=0)) == (first, 2.0)
    assert fallback_after(later, numbers(-math.inf)) == (first, 2.0)


def test_other_rounds_are_not_looked_at() -> None:
    state = running(plan_of(rounds=320), round=5, first_loss=2.0)
    assert fallback_after(state, []) == (None, 2.0)


@pytest.mark.parametrize("best", [None, Best(2, "params:r:2", 0.5, 1)])
def test_its_documents_are_pinned(best: Best | None) -> None:
    point = ResumePoint(4, "params:r:4", "moments:r:4", best)
    state = replace(running(round=9, params="params:r:9"), fallback=point)
    assert state.pinned == {"params:r:9", *point.documents}
    assert {"params:r:4", "moments:r:4"} <= point.documents
    assert best is None or best.params in point.documents
