"""How many requests a caller may make, with OpenWhisk's messages where they were too many."""

from __future__ import annotations

import time
from collections.abc import Callable

from openwhisk_local.limits import Limits
from openwhisk_local.rejections import Rejection


class MinuteCount:
    """Requests within the current clock minute, those declined included.

    Args:
        allowed: How many are allowed; None: any number.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        allowed: int | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._allowed = allowed
        self._clock = clock
        self._minute = -1
        self._count = 0

    def check(self) -> None:
        """Count one request.

        Raises:
            Rejection: 429; there were too many.
        """
        if self._allowed is None:
            return
        minute = int(self._clock() // 60)
        if minute != self._minute:
            self._minute, self._count = minute, 0
        self._count += 1
        if self._count > self._allowed:
            allowed = f"(count: {self._count}, allowed: {self._allowed})"
            raise Rejection(429, f"Too many requests in the last minute {allowed}.")


class Rates:
    """The rates of one namespace.

    Args:
        limits: The host's limits.
        clock: Seconds since the epoch.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.time) -> None:
        self._concurrent = limits.concurrent
        self._invocations = MinuteCount(limits.invocations_per_minute, clock)
        self._fires = MinuteCount(limits.fires_per_minute, clock)

    def check_invocation(self, in_flight: int) -> None:
        """Count an invocation.

        Args:
            in_flight: Activations that run or wait.

        Raises:
            Rejection: 429; there were too many in this minute, or are too many at once.
        """
        self._invocations.check()
        if in_flight >= self._concurrent:
            allowed = f"(count: {in_flight}, allowed: {self._concurrent})"
            raise Rejection(429, f"Too many concurrent requests in flight {allowed}.")

    def check_fire(self) -> None:
        """Count a fire of a trigger.

        Raises:
            Rejection: 429; there were too many in this minute.
        """
        self._fires.check()
