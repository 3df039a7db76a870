"""Collecting a round's updates as they arrive: each is read once, with its tensors (A2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from whisktrain.errors import Damaged
from whisktrain.records.params import Builder
from whisktrain.records.run import RunState
from whisktrain.records.run_records import RunRecords
from whisktrain.records.updates import Update
from whisktrain.rules import assignment
from whisktrain.spec import Contribution

__all__ = ["CollectedRound", "WaitResult", "collect", "wait_for_updates"]

MAX_READ_BYTES = 8 * 2**20
"""Bytes of updates that are read in one request: they are in memory twice meanwhile."""


@dataclass(slots=True)
class CollectedRound:
    """What is known of one round.

    Attributes:
        round: The round.
        updates: The updates read so far, by shard.
        builder: Round 0: the activation that built the model, once the first parameters are there.
        failures: Whether something failed in the round.
        typical_bytes: The bytes of one update, as known from the round before; 0: not known.
    """

    round: int
    updates: dict[int, Update] = field(default_factory=dict)
    builder: Builder | None = None
    failures: bool = False
    typical_bytes: int = 0

    @property
    def nbytes(self) -> int:
        """The bytes of the updates read so far."""
        return sum(update.nbytes for update in self.updates.values())

    @property
    def mean_bytes(self) -> int:
        """The bytes of one of the updates read so far, on average."""
        return self.nbytes // max(len(self.updates), 1)

    @property
    def present(self) -> frozenset[int]:
        """What is there of what the round must have: shards, or {0} for the model in round 0."""
        if self.round == 0:
            return frozenset({0} if self.builder is not None else ())
        return frozenset(self.updates)

    @property
    def ascending(self) -> list[Contribution]:
        """The contributions in ascending shard order: the only order in which they are added up."""
        return [self.updates[k].contribution for k in sorted(self.updates)]


@dataclass(frozen=True, slots=True)
class WaitResult:
    """The result of waiting for updates.

    Attributes:
        position: The feed's position after the wait.
        stop: Whether a stop was requested.
        moved: Whether a document of the round is gone: the run has moved on.
    """

    position: str
    stop: bool = False
    moved: bool = False


def collect(records: RunRecords, state: RunState) -> CollectedRound:
    """List and read what is there of the open round."""
    collected = CollectedRound(state.round, failures=records.has_failures(state.round))
    if state.round == 0:
        _read_builder(records, state, collected)
        return collected
    listed = records.shards(state.round)
    _read_updates(records, collected, [k for k in listed if k < state.spec.shards])
    return collected


def wait_for_updates(
    records: RunRecords, state: RunState, collected: CollectedRound, position: str, seconds: float
) -> WaitResult:
    """Wait until something of the round has come, at most `seconds`, and read it into `collected`."""
    lacking = assignment.missing(state.round, state.spec.shards, collected.present)
    change = records.wait_for_round(state, lacking, position, max(seconds, 0.0))
    collected.failures = collected.failures or change.failed
    if change.built:
        _read_builder(records, state, collected)
    whole = _read_updates(records, collected, change.shards)
    return WaitResult(change.position, change.stop, change.removed or not whole)


def _read_updates(records: RunRecords, collected: CollectedRound, listed: Iterable[int]) -> bool:
    """Read updates within bounds of memory; whether all of them are still there."""
    wanted = [shard for shard in listed if shard not in collected.updates]
    whole = True
    while wanted:
        each = max(collected.typical_bytes, collected.mean_bytes)
        count = max(MAX_READ_BYTES // each, 1) if each else 1
        whole = _read_together(records, collected, wanted[:count]) and whole
        wanted = wanted[count:]
    return whole


def _read_together(records: RunRecords, collected: CollectedRound, wanted: list[int]) -> bool:
    """Read updates in one request; one by one where one of them is damaged, which is deleted."""
    try:
        found = records.read_updates(collected.round, wanted)
    except Damaged:
        if len(wanted) > 1:
            each = [_read_together(records, collected, [shard]) for shard in wanted]
            return all(each)
        # An update is not flushed to the disk before it counts: a power cut may cut it short. It is computed again.
        records.delete_update(collected.round, wanted[0])
        return True
    collected.updates |= found
    return len(found) == len(wanted)


def _read_builder(records: RunRecords, state: RunState, collected: CollectedRound) -> None:
    if records.built(state):
        collected.builder = records.builder()
