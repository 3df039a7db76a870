"""Timeouts of the protocol: every constant of time, and the times that follow from them and the rounds so far. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from whisktrain.records import round_times
from whisktrain.records.run import RunState
from whisktrain.rules import batches

__all__ = ["TIMEOUTS", "Timeouts", "backup_delay", "overdue_after", "start_allowance"]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Times in seconds.

    Attributes:
        margin: An activation stops serving this long before its deadline.
        build: A model that is not built after this time is overdue.
        first: The same for shards of rounds of unknown length: the first ones, and evaluations.
        least: The same for ordinary rounds: at least this, …
        factor: … and this many times the median length of the rounds so far.
        known: Ordinary rounds that must have been timed for that.
        backup: An idle leased worker computes missing shards of others after at least this, …
        backup_factor: … and this many times the median round; …
        backup_first: … or after this while rounds have not been timed.
        start: The start of a slot is overdue after this where none has been timed, …
        start_factor: … else after this many times the longest so far, and at least `least`.
        look: The platform is asked for the record of an activation that writes nothing after this, and then …
        look_most: … with pauses that double up to this.
        hand_over: A lease that ended less than this ago counts as alive: its successor is starting.
        grace: The follower waits this long before it fires for an aggregate whose lease lives.
        stale: The follower fires for a run without any progress after this, …
        refire: … and again after this, doubled each time up to …
        refire_most: … this.
        stranded: A run that has not changed for this long, though it needs an aggregate, may have none to come.
        poll: The longest single wait for a change.
        retry: The first pause after the store did not answer; doubled up to `retry_most`.
        retry_most: The longest such pause.
        store: A leased aggregate stores the optimizer's state, and deletes what it was made from, at most this often.
    """

    margin: float = 3.0
    build: float = 60.0
    first: float = 60.0
    least: float = 10.0
    factor: float = 20.0
    known: int = 5
    backup: float = 1.0
    backup_factor: float = 3.0
    backup_first: float = 10.0
    start: float = 60.0
    start_factor: float = 3.0
    look: float = 2.0
    look_most: float = 16.0
    hand_over: float = 2.0
    grace: float = 2.0
    stale: float = 60.0
    refire: float = 3.0
    refire_most: float = 60.0
    stranded: float = 30.0
    poll: float = 30.0
    retry: float = 0.05
    retry_most: float = 2.0
    store: float = 1.0


TIMEOUTS = Timeouts()
"""The times of production."""


def start_allowance(state: RunState, timeouts: Timeouts) -> float:
    """Seconds after which the start of a slot is overdue, by what starts take here: from the invocation to its first write."""
    if state.longest_start <= 0:
        return timeouts.start
    return max(timeouts.least, timeouts.start_factor * state.longest_start)


def overdue_after(state: RunState, timeouts: Timeouts, *, starting: bool = False) -> float:
    """Seconds after which a shard without an update is overdue at its first attempt; at each later one it is twice as long.

    Args:
        state: The run.
        timeouts: The protocol's times.
        starting: Whether its slot's activation was invoked for it, and has yet to start.
    """
    limit = _overdue_after(state, timeouts)
    return max(limit, start_allowance(state, timeouts)) if starting else limit


def _overdue_after(state: RunState, timeouts: Timeouts) -> float:
    spec = state.spec
    if state.phase == "build":
        return timeouts.build
    ordinary = state.phase == "train" and not batches.validates(spec, state.round, "train")
    # The median, so that one round in which a worker was killed does not make the next one wait longer.
    median = round_times.quantile(state.timing, 0.5)
    if ordinary and median is not None and round_times.count(state.timing) >= timeouts.known:
        return max(timeouts.least, timeouts.factor * median / 1000)
    return timeouts.first * -(-spec.shards // spec.slots)


def backup_delay(state: RunState, timeouts: Timeouts) -> float:
    """Seconds that an idle leased worker waits before it computes missing shards of others (W5)."""
    median = round_times.quantile(state.timing, 0.5)
    if (
        state.phase == "train"
        and median is not None
        and round_times.count(state.timing) >= timeouts.known
    ):
        return max(timeouts.backup, timeouts.backup_factor * median / 1000)
    return max(timeouts.backup, timeouts.backup_first)
