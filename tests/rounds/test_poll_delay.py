"""When a worker subscribes to the feed: late enough to save requests, never so late that it slows the rounds."""

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
    """One round that ends `takes` seconds after the worker's own update; the delay before subscribing."""
    asleep = delay.start()
    clock.now += max(asleep, takes)
    delay.stop()
    return asleep


def test_there_is_no_delay_before_rounds_are_timed(clock: Clock) -> None:
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


def test_the_delay_follows_rounds_that_become_short(clock: Clock) -> None:
    known = PollDelay()
    for _ in range(8):
        play(clock, known, 1.0)
    late = [play(clock, known, 0.001) for _ in range(12)]
    assert late[0] == pytest.approx(0.5) and late[-1] < 0.001 and sum(late) < 1.1


def test_long_rounds_are_subscribed_to_soon(clock: Clock) -> None:
    known = PollDelay()
    for _ in range(8):
        play(clock, known, 60.0)
    assert known.start() == 1.0
