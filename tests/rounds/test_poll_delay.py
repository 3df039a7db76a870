"""When a worker begins to listen: late enough to save the store work, never so late that it would slow the rounds."""

from __future__ import annotations

import pytest

from whisktrain.rounds.worker import poll_delay
from whisktrain.rounds.worker.poll_delay import PollDelay


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(poll_delay, "time", clock)
    return clock


def play(clock: Clock, delay: PollDelay, takes: float) -> float:
    """One round that takes so long after one's own part; what was left out."""
    asleep = delay.start()
    clock.now += max(asleep, takes)
    delay.stop()
    return asleep


def test_nothing_is_left_out_before_the_rounds_are_known(clock: Clock) -> None:
    known = PollDelay()
    assert [play(clock, known, 0.04) for _ in range(4)] == [0.0] * 4
    assert play(clock, known, 0.04) == pytest.approx(0.02)


def test_the_shortest_of_the_last_rounds_counts(clock: Clock) -> None:
    known = PollDelay()
    for takes in (0.05, 0.01, 0.05, 0.05):
        play(clock, known, takes)
    assert play(clock, known, 0.05) == pytest.approx(0.005)
    for _ in range(8):
        play(clock, known, 0.05)
    assert known.start() == pytest.approx(0.025)


def test_rounds_that_become_short_are_kept_up_with(clock: Clock) -> None:
    known = PollDelay()
    for _ in range(8):
        play(clock, known, 1.0)
    late = [play(clock, known, 0.001) for _ in range(12)]
    assert late[0] == pytest.approx(0.5) and late[-1] < 0.001 and sum(late) < 1.1


def test_long_rounds_are_listened_to_soon(clock: Clock) -> None:
    known = PollDelay()
    for _ in range(8):
        play(clock, known, 60.0)
    assert known.start() == 1.0
