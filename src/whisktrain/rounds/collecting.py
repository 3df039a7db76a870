"""A2: what the store holds of the open round, read as it arrives: each update once, with its tensors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from whisktrain.errors import Damaged
from whisktrain.records import ids
from whisktrain.records.ids import DocumentId
from whisktrain.records.run import RunState
from whisktrain.records.updates import Update, read_updates
from whisktrain.rules import closing
from whisktrain.spec import Contribution
from whisktrain.store.protocol import Store

__all__ = ["Gathered", "Heard", "gather", "listen"]

MOST_AT_ONCE = 8 * 2**20
"""Bytes of updates that are read in one request: they are in memory twice meanwhile."""


@dataclass(slots=True)
class Gathered:
    """What is known of one round.

    Attributes:
        round: The round.
        updates: The updates read so far, by shard.
        built: Round 0: who built the model (`execution`, `start`, `lease_end`), once it is there.
        failures: Whether something failed in it.
        usual: The bytes of one update, as known from the round before; 0: not known.
    """

    round: int
    updates: dict[int, Update] = field(default_factory=dict)
    built: dict[str, Any] | None = None
    failures: bool = False
    usual: int = 0

    @property
    def size(self) -> int:
        """The bytes of the updates read so far."""
        return sum(t.nbytes for update in self.updates.values() for t in update.contribution.tensors.values())

    @property
    def present(self) -> frozenset[int]:
        """What the round has of what it must have."""
        if self.round == 0:
            return frozenset({0} if self.built is not None else ())
        return frozenset(self.updates)

    @property
    def ascending(self) -> list[Contribution]:
        """The contributions in ascending shard order: the only order in which they are added up."""
        return [self.updates[k].contribution for k in sorted(self.updates)]


@dataclass(frozen=True, slots=True)
class Heard:
    """What a wait has brought.

    Attributes:
        position: The feed's position after it.
        stop: Whether somebody asked the run to stop.
        moved: Whether a document of the round is gone: the run has moved on.
    """

    position: str
    stop: bool = False
    moved: bool = False


def gather(store: Store, state: RunState) -> Gathered:
    """List and read what is there of the open round."""
    gathered = Gathered(state.round)
    gathered.failures = bool(store.rounds.list(f"failure:{state.run}:{state.round}:", bodies=False, limit=1))
    if state.round == 0:
        _read_built(store, state, gathered)
        return gathered
    listed = store.rounds.list(ids.updates_of_round(state.run, state.round), bodies=False)
    shards = [at.shard for d in listed if (at := DocumentId.parse(d.id)) is not None and at.shard is not None]
    _read(store, state, gathered, [k for k in shards if k < state.spec.shards])
    return gathered


def listen(store: Store, state: RunState, gathered: Gathered, position: str, seconds: float) -> Heard:
    """Wait until something of the round has come, at most `seconds`, and read it."""
    lacking = closing.missing(state.round, state.spec.shards, gathered.present)
    attempts = range(closing.REFUSED, state.spec.attempts + 1)
    watched = {ids.failure(state.run, state.round, k, a) for k in lacking for a in attempts}
    watched |= {ids.update(state.run, state.round, k) for k in lacking} if state.round else set()
    watched |= {ids.stop(state.run), ids.params(state.run, state.spec.first_round)} if not state.round else set()
    watched.add(ids.stop(state.run))
    found = store.rounds.changes(position, timeout=max(seconds, 0.0), ids=watched)
    stop = moved = False
    came = []
    for row in found.rows:
        at = DocumentId.parse(row.id)
        if at is None:
            continue
        if at.kind == "stop":
            stop = not row.deleted
        elif row.deleted:
            moved = True
        elif at.kind == "failure":
            gathered.failures = True
        elif at.kind == "params":
            _read_built(store, state, gathered)
        elif at.shard is not None:
            came.append(at.shard)
    return Heard(found.position, stop, moved or not _read(store, state, gathered, came))


def _read(store: Store, state: RunState, gathered: Gathered, shards: Iterable[int]) -> bool:
    """Read updates that have come; whether all are there still."""
    wanted = [shard for shard in shards if shard not in gathered.updates]
    there = True
    while wanted:
        usual = max(gathered.usual, gathered.size // max(len(gathered.updates), 1))
        several = max(MOST_AT_ONCE // usual, 1) if usual else 1
        there = _read_at_once(store, state, gathered, wanted[:several]) and there
        wanted = wanted[several:]
    return there


def _read_at_once(store: Store, state: RunState, gathered: Gathered, shards: list[int]) -> bool:
    try:
        found = read_updates(store, state.run, state.round, shards)
    except Damaged:
        if len(shards) > 1:
            there = [_read_at_once(store, state, gathered, [shard]) for shard in shards]
            return all(there)
        # What can be computed again is not flushed to the disk before it counts: after a power cut it may be cut short.
        store.rounds.delete(ids.update(state.run, state.round, shards[0]))
        return True
    gathered.updates |= found
    return len(found) == len(shards)


def _read_built(store: Store, state: RunState, gathered: Gathered) -> None:
    if store.rounds.get(ids.params(state.run, state.spec.first_round)) is not None:
        blueprint = store.rounds.get(ids.blueprint(state.run))
        gathered.built = blueprint.body["builder"] if blueprint is not None else None
