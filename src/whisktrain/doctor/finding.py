"""What a check found, and how the time of a check that waits is told."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from whisktrain.errors import WhisktrainError

__all__ = ["Finding", "Tell", "ago", "failed", "silent", "wait_for"]

Found = TypeVar("Found")

Tell = Callable[[str, float, float], None]
"""Told, several times a second, while something is waited for: what, for how many seconds by now, for how many at most."""

_LOOK_S = 0.25


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        name: The check.
        ok: Whether all is well, as far as could be seen.
        detail: What was found.
        fix: What to do about it; empty where all is well.
    """

    name: str
    ok: bool
    detail: str
    fix: str = ""

    def to_record(self) -> dict[str, Any]:
        """`{"name", "ok", "detail", "fix"}`."""
        return {"name": self.name, "ok": self.ok, "detail": self.detail, "fix": self.fix}


def failed(name: str, error: WhisktrainError, fix: str = "") -> Finding:
    """The finding that an error is; its own hint is the fix where none is given."""
    return Finding(name, ok=False, detail=error.message, fix=fix or error.hint)


def silent(_: str, __: float, ___: float) -> None:
    """Tell nobody."""


def wait_for(look: Callable[[], Found | None], what: str, most: float, tell: Tell = silent) -> Found | None:
    """Look again and again until there is something to see.

    Args:
        look: Answers None while there is nothing yet.
        what: What is waited for, for whoever watches.
        most: Seconds to wait at most.
        tell: Told how it goes.

    Returns:
        What was seen; None where that took longer.
    """
    begun = time.monotonic()
    while True:
        found = look()
        spent = time.monotonic() - begun
        if found is not None or spent >= most:
            return found
        tell(what, spent, most)
        time.sleep(min(_LOOK_S, most - spent))


def ago(start_ms: int) -> str:
    """How long ago a moment is, in words: "40 s ago", "3 min ago"."""
    seconds = max(time.time() - start_ms / 1000, 0.0)
    if seconds < 100:
        return f"{seconds:.0f} s ago"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min ago"
    return f"{seconds / 3600:.0f} h ago"
