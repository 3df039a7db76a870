"""The times that follow from the rounds so far."""

from __future__ import annotations

import pytest
from plans import plan_of, running

from whisktrain.records import round_times
from whisktrain.rules import timeouts
from whisktrain.rules.timeouts import TIMEOUTS


def test_what_is_overdue_follows_the_rounds_so_far() -> None:
    timed = running(timing={"0": 0, **round_times.added({}, 100.0)})
    assert timeouts.overdue_after(timed, TIMEOUTS) == TIMEOUTS.first
    many = running(timing={next(iter(round_times.added({}, 2000.0))): 20})
    assert timeouts.overdue_after(many, TIMEOUTS) == pytest.approx(40.0, rel=0.05)
    assert (
        timeouts.overdue_after(running(timing=many.timing, phase="evaluate"), TIMEOUTS)
        == TIMEOUTS.first
    )
    assert timeouts.overdue_after(running(phase="build", round=0), TIMEOUTS) == TIMEOUTS.build
    eight = plan_of(tuple(5 for _ in range(8)), slots=3)
    assert timeouts.overdue_after(running(eight), TIMEOUTS) == 3 * TIMEOUTS.first
    assert timeouts.backup_delay(running(), TIMEOUTS) == TIMEOUTS.backup_first
    assert timeouts.backup_delay(
        running(timing={next(iter(round_times.added({}, 1000.0))): 9}), TIMEOUTS
    ) == pytest.approx(3.0, rel=0.05)
    assert (
        timeouts.backup_delay(
            running(timing={next(iter(round_times.added({}, 10.0))): 9}), TIMEOUTS
        )
        == TIMEOUTS.backup
    )
