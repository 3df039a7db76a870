"""The exception tree, and failures as JSON records.

    WhisktrainError
    ├── RequestError            what the caller asked for cannot be done            exit 2
    │   └── DataError           the data cannot be used as asked                    exit 2
    ├── ConfigurationError      this machine or deployment is set up wrongly        exit 3
    ├── PlatformError           OpenWhisk did not do what it should                 exit 4
    │   ├── PlatformUnreachable                                                     exit 4
    │   └── TooManyRequests     (429, retryable)                                    exit 4
    ├── StoreError              the document store did not do what it should        exit 4
    │   ├── StoreUnreachable    (retryable)                                         exit 4
    │   ├── StoreRefused        it does not take what is written to it              exit 4
    │   ├── Conflict            a document already has another revision             exit 4
    │   └── Damaged             stored bytes do not match their checksum            exit 4
    ├── NotFound                no such run, model, dataset, …                      exit 5
    ├── TrainingError           a run ended without a usable model                  exit 6
    │   └── Diverged            the loss or a gradient was not finite               exit 6
    ├── DeadlineExceeded        (retryable) it took longer than allowed             exit 7
    └── Interrupted             the user pressed Ctrl-C                             exit 130

A message says what was received, what was expected and how to fix it. `code` is stable: scripts may match it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, TypedDict

__all__ = [
    "ConfigurationError",
    "Conflict",
    "Damaged",
    "DataError",
    "DeadlineExceeded",
    "Diverged",
    "ErrorRecord",
    "Interrupted",
    "NotFound",
    "PlatformError",
    "PlatformUnreachable",
    "RequestError",
    "StoreError",
    "StoreRefused",
    "StoreUnreachable",
    "TooManyRequests",
    "TrainingError",
    "WhisktrainError",
    "from_record",
]


_MOST_CHARACTERS = 1_500
"""Of a message, as it may quote what a caller sent; of a longer one the first part and the last are kept."""
_LAST_CHARACTERS = 300


def _readable(message: str) -> str:
    """A message that can be printed and sent, also where it quotes half of a surrogate pair, and read by a person."""
    printable = message.encode("utf-8", "backslashreplace").decode()
    if len(printable) <= _MOST_CHARACTERS:
        return printable
    return f"{printable[: _MOST_CHARACTERS - _LAST_CHARACTERS - 7]} [...] {printable[-_LAST_CHARACTERS:]}"


class ErrorRecord(TypedDict):
    """A failure as JSON, as it crosses a boundary: in a result, a document or a pipe.

    Attributes:
        code: A stable word for scripts.
        message: What was received and what was expected.
        hint: How to fix it; may be empty.
        retryable: Whether the same call may succeed later.
    """

    code: str
    message: str
    hint: str
    retryable: bool


class WhisktrainError(Exception):
    """The root of every expected failure.

    Args:
        message: What was received and what was expected, for a person; never a secret.
        code: A stable word for scripts; the class's own by default.
        hint: How to fix it, in one sentence; the class's own by default, which may be empty.
        retryable: Whether the same call may succeed later; the class's own answer by default.
    """

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False
    exit_code: ClassVar[int] = 1
    default_hint: ClassVar[str] = ""
    run: str | None = None
    """The run that it is about, where it is known."""

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        hint: str = "",
        retryable: bool | None = None,
    ) -> None:
        message = _readable(message)
        super().__init__(message)
        self.message = message
        self.hint = hint or self.default_hint
        if code is not None:
            self.code = code  # type: ignore[misc]
        if retryable is not None:
            self.retryable = retryable  # type: ignore[misc]

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

    def to_record(self) -> ErrorRecord:
        """The failure as JSON: `{"code", "message", "hint", "retryable"}`."""
        return {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "retryable": self.retryable,
        }

    def __reduce__(self) -> tuple[object, ...]:
        return from_record, (self.to_record(), type(self).__name__)


class RequestError(WhisktrainError):
    """What the caller asked for cannot be done."""

    code = "bad_request"
    exit_code = 2


class DataError(RequestError):
    """The data cannot be used as asked."""

    code = "bad_data"


class ConfigurationError(WhisktrainError):
    """This machine or deployment is set up wrongly."""

    code = "bad_configuration"
    exit_code = 3


class PlatformError(WhisktrainError):
    """OpenWhisk did not do what it should."""

    code = "platform_error"
    exit_code = 4


class PlatformUnreachable(PlatformError):
    """No OpenWhisk answers at the API host."""

    code = "platform_unreachable"
    retryable = True


class TooManyRequests(PlatformError):
    """OpenWhisk answered 429."""

    code = "too_many_requests"
    retryable = True


class StoreError(WhisktrainError):
    """The document store did not do what it should."""

    code = "store_error"
    exit_code = 4


class StoreUnreachable(StoreError):
    """No store answers."""

    code = "store_unreachable"
    retryable = True
    default_hint = "Check that the store runs, and try again; `whisktrain doctor` looks at it."


class StoreRefused(StoreError):
    """The store refuses for good: its disk is full, it is read-only, the document too large, or the user not let in."""

    code = "store_refused"
    codes: ClassVar[tuple[str, ...]] = (
        "disk_full",
        "store_forbidden",
        "store_read_only",
        "store_refused",
        "store_too_large",
        "store_unauthorized",
    )


class Conflict(StoreError):
    """A document already has another revision than the writer thought."""

    code = "conflict"
    default_hint = "Try again."


class Damaged(StoreError):
    """Stored bytes do not match their recorded length or checksum."""

    code = "damaged"
    default_hint = "Try again; what stays damaged has to be restored from a backup, or made again."


class NotFound(WhisktrainError):
    """No such run, model, dataset, upload or document."""

    code = "not_found"
    exit_code = 5


class TrainingError(WhisktrainError):
    """A run ended without a usable model."""

    code = "training_failed"
    exit_code = 6


class Diverged(TrainingError):
    """The loss or a gradient was not finite."""

    code = "diverged"
    default_hint = "Lower the learning rate, scale the features, or clip gradients."


class DeadlineExceeded(WhisktrainError):
    """It took longer than was allowed."""

    code = "deadline_exceeded"
    retryable = True
    exit_code = 7


class Interrupted(WhisktrainError):
    """The user pressed Ctrl-C."""

    code = "interrupted"
    exit_code = 130


def _tree(root: type[WhisktrainError]) -> dict[str, type[WhisktrainError]]:
    found = {root.__name__: root}
    for child in root.__subclasses__():
        found |= _tree(child)
    return found


def from_record(
    record: ErrorRecord | Mapping[str, object], kind: str | None = None
) -> WhisktrainError:
    """Build the exception that a failure record describes.

    Args:
        record: As made by `WhisktrainError.to_record`; other mappings are read as far as they have its keys.
        kind: The class's name where known; otherwise the class is found by its code.

    Returns:
        An exception of the class that owns the code, else a plain `WhisktrainError`.
    """
    tree = _tree(WhisktrainError)
    code = str(record.get("code", "error"))
    cls = tree.get(kind or "") or next(
        (c for c in tree.values() if c.code == code), WhisktrainError
    )
    return cls(
        str(record.get("message", "unknown failure")),
        code=code,
        hint=str(record.get("hint", "")),
        retryable=bool(record.get("retryable", False)),
    )
