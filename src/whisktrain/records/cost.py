"""The cost of a run: activations of workers and aggregates, and their seconds times their memory.

An activation is known by what it writes: a worker by its updates, an aggregate by its merges, one that found nothing to do by
its idle document, and one that was killed by its record. It counts from its start to the last write, so that idle time after
that is left out. Not counted: the activations of preprocess, train, predict and the feed, and those that found the run ended.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, TypedDict, cast

from whisktrain.errors import StoreError
from whisktrain.records import ids
from whisktrain.store.protocol import Store

__all__ = ["Cost", "CostBody", "CostTotal", "Idle", "IdleBody", "IdleRecords", "Usage"]


class Usage(NamedTuple):
    """The time and memory of one activation.

    Attributes:
        execution: The activation's id.
        start: When it started, in seconds of the epoch.
        last: When it last wrote something.
        megabytes: Its memory.
    """

    execution: str
    start: float
    last: float
    megabytes: int

    @property
    def gb_seconds(self) -> float:
        """Seconds times GB."""
        return max(self.last - self.start, 0.0) * self.megabytes / 1024


class CostBody(TypedDict):
    """A cost as the run document holds it."""

    invocations: int
    gb_seconds: float
    serving: dict[str, list[str | float]]


class CostTotal(TypedDict):
    """A cost as results report it."""

    invocations: int
    gb_seconds: float


@dataclass(frozen=True, slots=True)
class Cost:
    """The sums so far.

    Attributes:
        invocations: Activations that are known.
        gb_seconds: Of the activations that others have replaced.
        serving: The present activation of each role, "aggregate" or a slot's number, and the one before ("0 before").
    """

    invocations: int = 0
    gb_seconds: float = 0.0
    serving: dict[str, Usage] = field(default_factory=dict)

    def seen(self, role: str, execution: str, start: float, last: float, megabytes: int) -> Cost:
        """The sums after an activation wrote something.

        Args:
            role: "aggregate", or a slot's number.
            execution: The activation's id.
            start: When it started, in seconds of the epoch.
            last: When it wrote.
            megabytes: Its memory.
        """
        serving, earlier = dict(self.serving), f"{role} before"
        present, replaced = serving.get(role), serving.get(earlier)
        if replaced is not None and replaced.execution == execution and present is not None:
            # Two activations of one role take turns: this one was counted before.
            present, serving[earlier] = replaced, present
        if present is not None and present.execution == execution:
            end = max(present.last, round(last, 3))
            serving[role] = Usage(execution, present.start, end, megabytes)
            return replace(self, serving=serving)
        gb_seconds = self.gb_seconds + (replaced.gb_seconds if replaced is not None else 0.0)
        if present is not None:
            serving[earlier] = present
        serving[role] = Usage(execution, round(start, 3), round(max(last, start), 3), megabytes)
        return Cost(self.invocations + 1, gb_seconds, serving)

    def with_idle(self, execution: str, start: float, end: float, megabytes: int) -> Cost:
        """The sums with an activation that wrote nothing; as they are where it serves a role."""
        if any(usage.execution == execution for usage in self.serving.values()):
            return self
        seconds = self.gb_seconds + Usage(execution, start, end, megabytes).gb_seconds
        return Cost(self.invocations + 1, seconds, self.serving)

    def to_body(self) -> CostBody:
        """The sums as JSON."""
        serving: dict[str, list[str | float]] = {
            role: list(usage) for role, usage in self.serving.items()
        }
        return {"invocations": self.invocations, "gb_seconds": self.gb_seconds, "serving": serving}

    @classmethod
    def from_body(cls, body: CostBody) -> Cost:
        """The sums that `to_body` wrote."""
        serving = {
            role: Usage(str(execution), float(start), float(last), int(megabytes))
            for role, (execution, start, last, megabytes) in body["serving"].items()
        }
        return cls(body["invocations"], body["gb_seconds"], serving)

    def total(self) -> CostTotal:
        """The sums, including the activations that still serve."""
        seconds = self.gb_seconds + sum(usage.gb_seconds for usage in self.serving.values())
        return {"invocations": self.invocations, "gb_seconds": round(seconds, 3)}


class IdleBody(TypedDict):
    """The body of an idle document: see `Idle`."""

    schema: int
    action: Literal["worker", "aggregate"]
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Idle:
    """An activation that found nothing to do, or could not do it.

    Attributes:
        action: "worker" or "aggregate".
        execution: Its id.
        start: When it started, in seconds of the epoch.
        end: When it ended.
    """

    action: Literal["worker", "aggregate"]
    execution: str
    start: float
    end: float


class IdleRecords:
    """Every read and write of one run's idle documents.

    Args:
        store: The store.
        run: The run's id.
    """

    def __init__(self, store: Store, run: str) -> None:
        self._rounds, self._run = store.rounds, run

    def put(self, idle: Idle) -> None:
        """Create a document, while the run is open: what ends later is no part of its cost. A lost one is not missed."""
        try:
            document = self._rounds.get(ids.run(self._run))
            if document is None or document.body["status"] != "running":
                return
            body: IdleBody = {
                "schema": ids.SCHEMA,
                "action": idle.action,
                "start": round(idle.start, 3),
                "end": round(idle.end, 3),
            }
            self._rounds.put(ids.idle(self._run, idle.execution), body)
        except StoreError:
            return

    def read(self) -> list[Idle]:
        """All of the run."""
        prefix = ids.idles(self._run)
        return [
            Idle(body["action"], document.id.removeprefix(prefix), body["start"], body["end"])
            for document in self._rounds.list(prefix)
            for body in (cast(IdleBody, document.body),)
        ]
