"""The update documents: what one shard contributes to one round, and which activation wrote it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypedDict, cast

from whisktrain import tensors
from whisktrain.records import ids
from whisktrain.records.ids import DocumentId
from whisktrain.spec import Contribution, ContributionNumbers
from whisktrain.store.protocol import Document

__all__ = ["Author", "Update", "UpdateBody", "shards_of"]


class Author(NamedTuple):
    """The writer of an update: its slot and its activation's id."""

    slot: int
    execution: str


class UpdateBody(TypedDict):
    """The body of an update document: see `Update`."""

    schema: int
    slot: int
    execution: str
    start: float
    lease_end: float
    ms: dict[str, float]
    cold: bool
    written: float
    numbers: ContributionNumbers


@dataclass(frozen=True, slots=True)
class Update:
    """One shard's part of one round.

    Attributes:
        shard: The shard.
        slot: The slot of the writer.
        execution: The writer's activation.
        start: When that activation started, in seconds of the epoch.
        lease_end: When its lease ends; 0 without one.
        ms: Milliseconds it took to `read`, to `compute`, and the write before this one (`write`).
        cold: Whether it was the activation's first work in a new process.
        contribution: The numbers and tensors.
        written: When it was written.
        rev: The document's revision, once it is read.
        nbytes: Bytes of its tensors, once it is read; the merge uses them up.
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
    nbytes: int = 0

    def to_body(self) -> UpdateBody:
        """The document's body."""
        return {
            "schema": ids.SCHEMA,
            "slot": self.slot,
            "execution": self.execution,
            "start": round(self.start, 3),
            "lease_end": round(self.lease_end, 3),
            "ms": {key: round(value, 2) for key, value in self.ms.items()},
            "cold": self.cold,
            "written": round(self.written, 3),
            "numbers": self.contribution.numbers,
        }

    def attachment(self) -> bytes | None:
        """The document's attachment; None where there is no tensor."""
        return tensors.encode(self.contribution.tensors) if self.contribution.tensors else None

    @classmethod
    def of(cls, document: Document) -> Update:
        """The update that a document with its attachment holds.

        Raises:
            Damaged: The attachment is not whole.
        """
        body = cast(UpdateBody, document.body)
        arrays = tensors.decode(document.attachment) if document.attachment else {}
        return cls(
            shard=shard_of(document),
            slot=int(body["slot"]),
            execution=body["execution"],
            start=body["start"],
            lease_end=body["lease_end"],
            ms=body["ms"],
            cold=body["cold"],
            contribution=Contribution(arrays, body["numbers"]),
            written=body["written"],
            rev=document.rev,
            nbytes=sum(array.nbytes for array in arrays.values()),
        )


def shard_of(document: Document) -> int:
    """The shard that an update document belongs to."""
    return int(document.id.rpartition(":")[2])


def shards_of(documents: list[Document]) -> list[int]:
    """The shards of those of the documents that are updates, in the order given."""
    parsed = (DocumentId.parse(document.id) for document in documents)
    return [
        part.shard
        for part in parsed
        if part is not None and part.kind == "update" and part.shard is not None
    ]
