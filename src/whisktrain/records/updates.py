"""Updates and failures: the two documents that workers write, as values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from whisktrain import tensors
from whisktrain.records import ids
from whisktrain.spec import Contribution
from whisktrain.store.protocol import Document, Store

__all__ = ["Update", "read_update", "read_updates"]


@dataclass(frozen=True, slots=True)
class Update:
    """One shard's part of one round.

    Attributes:
        shard: The shard.
        slot: The slot of the writer.
        execution: The writer's activation.
        start: When that activation started, in seconds of the epoch.
        lease_end: When its lease ends; 0 without one.
        ms: Milliseconds it took to `read`, to `compute`, and the last write before (`write`).
        cold: Whether it was the activation's first work in a new process.
        contribution: The numbers and tensors.
        written: When it was written.
        rev: The document's revision, once it is read.
    """

    shard: int
    slot: int
    execution: str
    start: float
    lease_end: float
    ms: dict[str, float]
    cold: bool
    contribution: Contribution
    written: float
    rev: str = ""

    def to_body(self) -> dict[str, Any]:
        """The document's body."""
        return {
            "schema": ids.SCHEMA,
            "slot": self.slot,
            "execution": self.execution,
            "start": round(self.start, 3),
            "lease_end": round(self.lease_end, 3),
            "ms": {k: round(v, 2) for k, v in self.ms.items()},
            "cold": self.cold,
            "written": round(self.written, 3),
            "numbers": self.contribution.numbers,
        }

    def attachment(self) -> bytes | None:
        """The document's attachment; None where there is no tensor."""
        return tensors.encode(self.contribution.tensors) if self.contribution.tensors else None


def read_update(store: Store, run: str, round_: int, shard: int) -> Update | None:
    """The update of a shard with its tensors; None where it is absent."""
    found = store.rounds.get(ids.update(run, round_, shard), attachment=True)
    return _update(shard, found) if found is not None else None


def read_updates(store: Store, run: str, round_: int, shards: Iterable[int]) -> dict[int, Update]:
    """Those of several shards' updates that are there, with their tensors, in as few requests as possible."""
    shard_of = {ids.update(run, round_, shard): shard for shard in shards}
    return {shard_of[id_]: _update(shard_of[id_], found) for id_, found in store.rounds.get_many(shard_of).items()}


def _update(shard: int, found: Document) -> Update:
    body = found.body
    arrays = tensors.decode(found.attachment) if found.attachment else {}
    return Update(
        shard,
        int(body["slot"]),
        body["execution"],
        body["start"],
        body["lease_end"],
        body["ms"],
        body["cold"],
        Contribution(arrays, body["numbers"]),
        body["written"],
        found.rev,
    )
