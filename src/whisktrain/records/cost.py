"""What a run costs: activations of workers and aggregates, and their seconds times their memory. Pure.

An activation is known by what it writes: a worker by its updates, an aggregate by its merges. It counts from its start to the
last thing it is known by, so that what it idles after that is left out. Not counted: the activations of preprocess, train,
predict and the feed, and those that found nothing to do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Cost"]


@dataclass(frozen=True, slots=True)
class Cost:
    """The sums so far.

    Attributes:
        invocations: Activations that are known to have worked.
        gb_seconds: Of the activations that another has followed in their place.
        serving: The present activation of each place ("aggregate", or a slot's number): `[id, start, last, MB]`.
    """

    invocations: int = 0
    gb_seconds: float = 0.0
    serving: dict[str, list[Any]] = field(default_factory=dict)

    def seen(self, place: str, execution: str, start: float, last: float, megabytes: int) -> Cost:
        """The sums after an activation showed itself in a place at the time `last`."""
        before = self.serving.get(place)
        if before is not None and before[0] == execution:
            known = [execution, before[1], max(before[2], round(last, 3)), megabytes]
            return Cost(self.invocations, self.gb_seconds, {**self.serving, place: known})
        closed = self.gb_seconds + (_gb_seconds(before) if before else 0.0)
        now = [execution, round(start, 3), round(max(last, start), 3), megabytes]
        return Cost(self.invocations + 1, closed, {**self.serving, place: now})

    def to_body(self) -> dict[str, Any]:
        """The sums as JSON."""
        return {"invocations": self.invocations, "gb_seconds": self.gb_seconds, "serving": self.serving}

    def total(self) -> dict[str, Any]:
        """`{"invocations", "gb_seconds"}` with those that still serve."""
        seconds = self.gb_seconds + sum(_gb_seconds(known) for known in self.serving.values())
        return {"invocations": self.invocations, "gb_seconds": round(seconds, 3)}


def _gb_seconds(known: list[Any]) -> float:
    _, start, last, megabytes = known
    return max(float(last) - float(start), 0.0) * float(megabytes) / 1024
