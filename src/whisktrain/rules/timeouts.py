"""How long things may take before somebody acts: every constant of time that the protocol has."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TIMEOUTS", "Timeouts"]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Times in seconds.

    Attributes:
        margin: An activation stops serving so long before its deadline.
        build: A model that is not built after so long is overdue.
        first: The same for shards of rounds of unknown length: the first ones, and those that evaluate.
        least: The same for ordinary rounds, at least …
        factor: … and this many times the median of the rounds so far.
        known: Ordinary rounds that must have been timed for that.
        backup: An idle leased worker computes others' missing shards after so long, at least …
        backup_factor: … and this many times the median round …
        backup_first: … or after this while rounds have not been timed.
        hand_over: A lease that ended less than this ago counts as alive still: its successor is on its way.
        grace: The follower leaves an aggregate with a live lease so long past the moment where it should have acted.
        stale: The follower fires for a run without any progress after so long, …
        refire: … and again after this, doubled each time up to …
        refire_most: … this.
        look: The longest wait between two looks of anybody who waits.
        retry: The first pause after the store did not answer; doubled up to 2 s.
        store: A leased aggregate stores moments, and deletes what they were made from, at most this often.
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
    hand_over: float = 2.0
    grace: float = 2.0
    stale: float = 60.0
    refire: float = 3.0
    refire_most: float = 60.0
    look: float = 30.0
    retry: float = 0.05
    store: float = 1.0


TIMEOUTS = Timeouts()
"""The times of production."""
