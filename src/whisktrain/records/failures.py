"""The failure documents: why a worker or an aggregate could not do its part of a round."""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass, field
from typing import TypedDict, cast

from whisktrain.errors import (
    ConfigurationError,
    Diverged,
    ErrorRecord,
    RequestError,
    StoreRefused,
    WhisktrainError,
)
from whisktrain.records import ids
from whisktrain.records.ids import DocumentId
from whisktrain.store.protocol import Document

__all__ = ["MERGE", "REFUSED", "Failure", "FailureBody"]

MERGE = -1
"""The shard of a failure of the merge."""

REFUSED = 0
"""The attempt of a failure to start: the platform refused the worker's invocation, so there was no attempt."""

_LOG_LINES = 20
_LOG_CHARACTERS = 500
_MESSAGE_CHARACTERS = 2000


class FailureBody(TypedDict):
    """The body of a failure document: see `Failure`."""

    schema: int
    attempt: int
    error: ErrorRecord
    fatal: bool
    log: list[str]
    execution: str
    written: float


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a shard of a round could not be computed.

    Attributes:
        shard: The shard; 0 for the building of the model, `MERGE` for the merge.
        attempt: Which attempt it was, from 1; `REFUSED`: the platform did not start the worker.
        error: What failed.
        fatal: Whether another attempt would fail in the same way.
        log: The last log lines.
        execution: The activation; "" where it is not known.
        written: When, in seconds of the epoch.
        round: The round, once it is read.
    """

    shard: int
    attempt: int
    error: ErrorRecord
    fatal: bool = False
    log: list[str] = field(default_factory=list)
    execution: str = ""
    written: float = 0.0
    round: int = 0

    @property
    def diverged(self) -> bool:
        """Whether something was not finite."""
        return self.error.get("code") == Diverged.code

    @property
    def resumable(self) -> bool:
        """Whether the run may go on later: not where it cannot be done as it was asked for."""
        if not self.fatal or self.diverged or self.error.get("retryable"):
            return True
        return self.error.get("code") in StoreRefused.codes

    @classmethod
    def from_exception(cls, shard: int, attempt: int, error: Exception, execution: str) -> Failure:
        """The failure that an exception describes, with the last lines of its traceback as the log."""
        lines = "".join(traceback.format_exception(error)).splitlines()[-_LOG_LINES:]
        return cls(
            shard=shard,
            attempt=attempt,
            error=_record_of(error),
            fatal=isinstance(error, (RequestError, ConfigurationError, Diverged, StoreRefused)),
            log=[line[:_LOG_CHARACTERS] for line in lines],
            execution=execution,
            written=time.time(),
        )

    def to_body(self) -> FailureBody:
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

    @classmethod
    def of(cls, document: Document) -> Failure:
        """The failure that a document holds."""
        place = DocumentId.parse(document.id)
        if place is None or place.round is None or place.shard is None or place.attempt is None:
            raise ValueError(f"{document.id} is not the id of a failure")
        body = cast(FailureBody, document.body)
        return cls(
            shard=place.shard,
            attempt=place.attempt,
            error=body["error"],
            fatal=body["fatal"],
            log=body["log"],
            execution=body["execution"],
            written=float(body["written"]),
            round=place.round,
        )


def _record_of(error: Exception) -> ErrorRecord:
    if isinstance(error, WhisktrainError):
        return error.to_record()
    if isinstance(error, MemoryError):
        message, hint = "The activation ran out of memory.", "Give it more memory."
        return ErrorRecord(code="out_of_memory", message=message, hint=hint, retryable=False)
    message = f"{type(error).__name__}: {error}"[:_MESSAGE_CHARACTERS]
    return ErrorRecord(code="worker_failed", message=message, hint="", retryable=False)
