"""Updates and failures: the two documents that workers write, as values."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from whisktrain import tensors
from whisktrain.errors import Diverged, ErrorRecord, RequestError, WhisktrainError
from whisktrain.spec import Contribution
from whisktrain.store import documents
from whisktrain.store.protocol import Document, Store

__all__ = ["Failure", "Update", "failures_of_round", "read_update", "read_updates"]

LOG_LINES = 20


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
            "schema": documents.SCHEMA,
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
    found = store.rounds.get(documents.update(run, round_, shard), attachment=True)
    return _update(shard, found) if found is not None else None


def read_updates(store: Store, run: str, round_: int, shards: Iterable[int]) -> dict[int, Update]:
    """Those of several shards' updates that are there, with their tensors, in as few requests as possible."""
    ids = {documents.update(run, round_, shard): shard for shard in shards}
    return {ids[id_]: _update(ids[id_], found) for id_, found in store.rounds.get_many(ids).items()}


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


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a shard of a round could not be computed.

    Attributes:
        shard: The shard; 0 for the building of the model, -1 for the merge.
        attempt: Which attempt it was, from 1; 0: none, because the platform did not start the worker.
        error: What failed.
        fatal: Whether another attempt would fail in the same way.
        log: The last log lines.
        execution: The activation; "" where it is not known.
        written: When, in seconds of the epoch.
    """

    shard: int
    attempt: int
    error: ErrorRecord
    fatal: bool = False
    log: list[str] = field(default_factory=list)
    execution: str = ""
    written: float = 0.0

    @property
    def diverged(self) -> bool:
        """Whether something was not finite."""
        return self.error.get("code") == Diverged.code

    @classmethod
    def of(cls, shard: int, attempt: int, error: Exception, execution: str) -> Failure:
        """The failure that an exception was."""
        import traceback

        if isinstance(error, WhisktrainError):
            record = error.to_record()
        elif isinstance(error, MemoryError):
            message, hint = "The activation ran out of memory.", "Give it more memory."
            record = ErrorRecord(code="out_of_memory", message=message, hint=hint, retryable=False)
        else:
            message = f"{type(error).__name__}: {error}"[:2000]
            record = ErrorRecord(code="worker_failed", message=message, hint="", retryable=False)
        lines = "".join(traceback.format_exception(error)).splitlines()[-LOG_LINES:]
        fatal = isinstance(error, (RequestError, Diverged))
        return cls(shard, attempt, record, fatal, [line[:500] for line in lines], execution, time.time())

    def to_body(self) -> dict[str, Any]:
        """The document's body."""
        return {
            "schema": documents.SCHEMA,
            "attempt": self.attempt,
            "error": self.error,
            "fatal": self.fatal,
            "log": self.log,
            "execution": self.execution,
            "written": round(self.written, 3),
        }


def _failure(document: Document) -> Failure:
    *_, shard, attempt = document.id.split(":")
    body = document.body
    return Failure(
        int(shard), int(attempt), body["error"], body["fatal"], body["log"], body["execution"], float(body["written"])
    )


def failures_of_round(store: Store, run: str, round_: int) -> list[Failure]:
    """What failed in a round, in the order in which it did."""
    found = store.rounds.list(f"failure:{run}:{round_}:")
    return sorted((_failure(d) for d in found), key=lambda f: (f.written, f.shard, f.attempt))
