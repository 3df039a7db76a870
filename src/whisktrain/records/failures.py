"""Why a worker or an aggregate could not do its part of a round: the failure documents."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from whisktrain.errors import Diverged, ErrorRecord, RequestError, WhisktrainError
from whisktrain.records import ids
from whisktrain.store.protocol import Document, Store

__all__ = ["Failure", "failures_of_round"]

LOG_LINES = 20


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
            "schema": ids.SCHEMA,
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
