"""Times at which to poll for a result that is not there yet."""

from __future__ import annotations

import time
from collections.abc import Iterator

__all__ = ["poll_times"]

_FIRST_POLL_S, _LONGEST_POLL_S = 0.05, 1.0


def poll_times(budget: float) -> Iterator[None]:
    """Yield when it is time to poll: quickly at first, then every second, until the budget of seconds is spent."""
    until, pause = time.monotonic() + max(budget, 0.0), _FIRST_POLL_S
    while True:
        yield None
        left = until - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, _LONGEST_POLL_S)
