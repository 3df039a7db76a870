"""The time of one activation: when it started, how long it serves, and when it has to hand over."""

from __future__ import annotations

import time
from dataclasses import dataclass

from whisktrain.rules.timeouts import Timeouts

__all__ = ["LeaseClock"]

_HEADROOM = 1.5
"""The next piece of work may take this many times the longest one so far."""


@dataclass(slots=True)
class LeaseClock:
    """The time that an activation has.

    Attributes:
        execution: The activation's id.
        start: When it started, in seconds of the epoch.
        deadline: When the platform ends it.
        timeouts: The protocol's times.
        lease: Seconds that it may serve rounds; 0: one round.
        serving: When its first piece of work was done, from which the lease counts: importing and building take longer than
            a short lease; 0: none is.
        longest: The longest piece of work so far, in seconds.
    """

    execution: str
    start: float
    deadline: float
    timeouts: Timeouts
    lease: float = 0.0
    serving: float = 0.0
    longest: float = 0.0

    @property
    def lease_end(self) -> float:
        """When it stops serving and hands over, in seconds of the epoch; 0 where it serves one round only."""
        end = min((self.serving or self.start) + self.lease, self.deadline - self.timeouts.margin)
        return end if self.lease > 0 and end > self.start else 0.0

    @property
    def leased(self) -> bool:
        """Whether it serves more than one round."""
        return self.lease_end > 0

    @property
    def over(self) -> bool:
        """Whether it has to hand over now: at its lease's end, or because its next work may not fit before the deadline."""
        now = time.time()
        return (
            now >= self.lease_end
            or now + _HEADROOM * self.longest > self.deadline - self.timeouts.margin / 2
        )

    @property
    def out_of_time(self) -> bool:
        """Whether no work can be started before the deadline."""
        return time.time() + self.timeouts.margin / 2 >= self.deadline

    def begin_serving(self) -> None:
        """Note that the first piece of work is done."""
        self.serving = self.serving or time.time()

    def bounded(self, seconds: float) -> float:
        """A wait of `seconds`, bounded by the longest poll and by the lease (without one: by the deadline)."""
        end = self.lease_end if self.leased else self.deadline - self.timeouts.margin
        return max(min(seconds, self.timeouts.poll, end - time.time()), 0.0)

    def end_lease(self) -> None:
        """Serve no longer than the present work takes: another container shall go on."""
        self.lease = min(self.lease, max(time.time() - self.start, 0.001))

    def record_work(self, seconds: float) -> None:
        """Record how long a piece of work took."""
        self.longest = max(self.longest, seconds)
