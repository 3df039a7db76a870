"""Named points: every step of the protocol passes here, so that a test can kill an activation exactly there.

Without a watcher a point costs one comparison.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

__all__ = ["NAMES", "failpoint", "watched"]

NAMES = (
    *("C1", "C2.version", "C2.run", "C3"),
    *("W1", "W2", "W3", "W3.blueprint", "W3.moments", "W3.params", "W3.failure", "W4", "W4.written", "W5", "W6"),
    *("A1", "A2", "A2.lost", "A2.repair", "A2.again", "A3", "A4", "A5", "A6", "A6.swapped", "A7", "A8", "A9", "A9.deleted"),
    *("F1", "F1.swapped", "F2", "F2.alias", "F2.checkpoint", "F3", "F4", "F5", "SWEEP"),
)
"""The steps, in the order of the protocol's own text."""

_watcher: Callable[[str], None] | None = None


def failpoint(step: str) -> None:
    """Say that the next thing to happen is `step` (one of `NAMES`)."""
    if _watcher is not None:
        _watcher(step)


@contextlib.contextmanager
def watched(watcher: Callable[[str], None]) -> Iterator[None]:
    """Call `watcher` with every step that any thread of this process reaches; what it raises ends that activation."""
    global _watcher
    before, _watcher = _watcher, watcher
    try:
        yield
    finally:
        _watcher = before
