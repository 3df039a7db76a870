"""One activation's time: when it started, how long it serves, and when it has to hand over."""

from __future__ import annotations

import time
from dataclasses import dataclass

from whisktrain.rules.timeouts import Timeouts

__all__ = ["LeaseClock"]


@dataclass(slots=True)
class LeaseClock:
    """The time that an activation has.

    Attributes:
        execution: The activation's id.
        start: When it started, in seconds of the epoch.
        deadline: When the platform ends it.
        pace: The protocol's times.
        lease: Seconds that it may serve rounds; 0: one round.
        longest: The longest piece of work so far, in seconds: none is begun that would not fit.
    """

    execution: str
    start: float
    deadline: float
    pace: Timeouts
    lease: float = 0.0
    longest: float = 0.0

    @property
    def lease_end(self) -> float:
        """When it stops to serve and hands over, in seconds of the epoch; 0 where it serves one round only."""
        end = min(self.start + self.lease, self.deadline - self.pace.margin)
        return end if self.lease > 0 and end > self.start else 0.0

    @property
    def leased(self) -> bool:
        """Whether it serves more than one round."""
        return self.lease_end > 0

    @property
    def over(self) -> bool:
        """Whether it has to hand over now: at its lease's end, or because its next work may not fit before the deadline."""
        now = time.time()
        return now >= self.lease_end or now + 1.5 * self.longest > self.deadline - self.pace.margin / 2

    @property
    def out_of_time(self) -> bool:
        """Whether nothing more can be begun before the deadline."""
        return time.time() + self.pace.margin / 2 >= self.deadline

    def rest(self, most: float) -> float:
        """Seconds to wait at most: `most`, within the lease (or the deadline without one)."""
        end = self.lease_end if self.leased else self.deadline - self.pace.margin
        return max(min(most, self.pace.look, end - time.time()), 0.0)

    def worked(self, seconds: float) -> None:
        """Take note of how long a piece of work took."""
        self.longest = max(self.longest, seconds)
