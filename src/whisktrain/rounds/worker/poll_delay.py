"""Delay before subscribing to the feed, from recent round times; avoids needless wake-ups.

A subscriber is woken by every write of every other worker, which costs the store. After its own update a worker knows how long
the rest of a round took lately, and subscribes only after half of the shortest of those times. Correctness does not depend on
it: a change that comes earlier is found at most that much later.
"""

from __future__ import annotations

import time
from collections import deque

__all__ = ["PollDelay"]

_KNOWN = 4
"""Rounds that must have been timed before there is a delay."""
_RECENT = 8
"""Rounds that count."""
_SHARE = 0.5
"""Below 1, because a worker that waited too long measures at least its own delay and must come down from there quickly."""
_MOST = 1.0
"""Longest delay in seconds."""


class PollDelay:
    """The time between this worker's last update of a round and the next round, as it was lately."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=_RECENT)
        self._since = 0.0

    def start(self) -> float:
        """Note that this worker's part of the round is done.

        Returns:
            The seconds to wait before subscribing.
        """
        self._since = time.monotonic()
        return min(_SHARE * min(self._recent), _MOST) if len(self._recent) >= _KNOWN else 0.0

    def stop(self) -> None:
        """Note that the next round has begun."""
        self._recent.append(time.monotonic() - self._since)
