"""When it pays to begin to wait: whoever listens to the feed is woken by every write of everybody, which costs the store.

A worker that has given its part knows about how long the others and the aggregate take after that, and listens only from half
of the shortest of those times on. Nothing depends on it: what happens earlier is found all the same, at most that much later.
"""

from __future__ import annotations

import time
from collections import deque

__all__ = ["PollDelay"]

KNOWN = 4
"""Rounds that must have been timed before anything is left out, …"""
LAST = 8
"""… and how many count."""
SHARE = 0.5
"""Well below 1: who has overslept measures at least what it slept, and must come down from there quickly."""
MOST = 1.0
"""Seconds that are left out, at most."""


class PollDelay:
    """The time between one's own part of a round and the next round, as it was lately."""

    def __init__(self) -> None:
        self._lately: deque[float] = deque(maxlen=LAST)
        self._since = 0.0

    def given(self) -> float:
        """Note that one's own part has just been given; the seconds for which there is nothing to hear."""
        self._since = time.monotonic()
        return min(SHARE * min(self._lately), MOST) if len(self._lately) >= KNOWN else 0.0

    def heard(self) -> None:
        """Note that the next round has begun."""
        self._lately.append(time.monotonic() - self._since)
