"""Findings of checks, and polling with progress for checks that wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TypedDict, TypeVar, cast

from whisktrain.errors import WhisktrainError

__all__ = [
    "Finding",
    "FindingRecord",
    "Progress",
    "ago",
    "failed",
    "no_progress",
    "of_error",
    "passed",
    "wait_for",
]

Found = TypeVar("Found")

Progress = Callable[[str, float, float], None]
"""Called several times a second during a wait: what is awaited, seconds so far, seconds at most."""

_POLL_S = 0.25


class FindingRecord(TypedDict):
    """A finding as JSON."""

    name: str
    ok: bool
    detail: str
    hint: str


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes:
        name: The check.
        ok: Whether it passed, or could not be made for want of something that was not asked for.
        detail: What was found.
        hint: How to fix it; empty where it passed.
    """

    name: str
    ok: bool
    detail: str
    hint: str = ""

    def to_record(self) -> FindingRecord:
        """The finding as JSON."""
        return cast(FindingRecord, asdict(self))


def passed(name: str, detail: str) -> Finding:
    """A check that passed."""
    return Finding(name, ok=True, detail=detail)


def failed(name: str, detail: str, hint: str) -> Finding:
    """A check that failed, and how to fix it."""
    return Finding(name, ok=False, detail=detail, hint=hint)


def of_error(name: str, error: WhisktrainError, hint: str = "") -> Finding:
    """The finding that an error stands for; without `hint`, the error's own is taken."""
    return failed(name, error.message, hint or error.hint)


def no_progress(_: str, __: float, ___: float) -> None:
    """Report no progress."""


def wait_for(
    poll: Callable[[], Found | None], what: str, timeout: float, progress: Progress = no_progress
) -> Found | None:
    """Poll until there is a value.

    Args:
        poll: Returns None while there is none.
        what: What is awaited, for `progress`.
        timeout: Seconds to wait at most.
        progress: Called before each poll, so that every wait is named, however short it is.

    Returns:
        The value; None after the timeout.
    """
    started = time.monotonic()
    elapsed = 0.0
    while True:
        progress(what, elapsed, timeout)
        found = poll()
        elapsed = time.monotonic() - started
        if found is not None or elapsed >= timeout:
            return found
        time.sleep(min(_POLL_S, timeout - elapsed))


def ago(start_ms: int) -> str:
    """The time since an epoch in ms, in words: "40 s ago", "3 min ago"."""
    seconds = max(time.time() - start_ms / 1000, 0.0)
    if seconds < 100:
        return f"{seconds:.0f} s ago"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min ago"
    return f"{seconds / 3600:.0f} h ago"
