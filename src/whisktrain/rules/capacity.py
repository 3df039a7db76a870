"""How many activations a run may have at once: planned from what the platform says, the aggregate first. Pure.

Of the concurrent activations of a namespace, one is the aggregate's, one the successor's that it hands over to, one the
waiting train stage's and one the sequence's. Of the containers' memory, the aggregate's and the train stage's come off first;
a worker's successor takes over its container, so it needs no memory of its own.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

__all__ = [
    "ActionMemory",
    "Limits",
    "may_wait",
    "plan_lease",
    "plan_slots",
    "plan_workers",
    "workers_within",
]

RESERVED = 4
"""Concurrent activations that are not workers: aggregate, a successor, train, the sequence."""

SHARE = 0.75
"""Share of a limit that a plan uses: of the longest duration for a lease, of the invocations a minute for starts."""


class ActionMemory(NamedTuple):
    """The memory limits of the deployed actions that a run needs, in MB."""

    worker: int
    aggregate: int
    train: int
    predict: int


class Limits(Protocol):
    """What the platform says."""

    @property
    def concurrent(self) -> int:
        """Activations of a namespace at once."""

    @property
    def invocations_per_minute(self) -> int:
        """Invocations of a namespace a minute."""

    @property
    def memory_mb(self) -> int | None:
        """Memory of all containers together, where it is known."""

    @property
    def actions(self) -> ActionMemory:
        """Memory of each action's container."""

    @property
    def cores(self) -> int:
        """Processors, for work side by side."""

    @property
    def one_machine(self) -> bool:
        """Whether every container runs on these processors (the embedded host)."""

    @property
    def max_memory_mb(self) -> int:
        """The most memory that an action may have."""

    @property
    def max_duration_s(self) -> float:
        """The longest that an activation may take."""


def _most(limits: Limits) -> int:
    """Worker activations that fit at once."""
    fitting = [limits.concurrent - RESERVED]
    if limits.memory_mb is not None:
        fitting.append(workers_within(limits.memory_mb, limits.actions))
    # Starting all at once, and replacing all in the same minute, must stay within the rate.
    fitting.append(int(limits.invocations_per_minute * SHARE) // 2 - 1)
    return max(min(fitting), 1)


def may_wait(limits: Limits, slots: int) -> bool:
    """Whether train may wait for the model: whether workers, aggregate and a successor have places beside it."""
    return slots + 3 <= limits.concurrent


def workers_within(memory_mb: int, actions: ActionMemory) -> int:
    """Worker containers that fit at once into the memory of all containers."""
    return (memory_mb - actions.aggregate - actions.train) // actions.worker


def plan_workers(limits: Limits) -> int:
    """N where the caller says "auto": the smaller of the cores and what fits at once."""
    return max(min(limits.cores, _most(limits)), 1)


def plan_slots(limits: Limits, shards: int) -> int:
    """W: worker activations that serve `shards` shards at once; on one machine no more than it has processors.

    Each worker computes on one thread, so more of them than processors only load TensorFlow more often.
    """
    most = _most(limits)
    return min(shards, most, max(limits.cores, 1) if limits.one_machine else most)


def plan_lease(limits: Limits, asked: float | None) -> float:
    """Seconds that an activation serves rounds: as asked, within what the platform allows; 0 stays 0."""
    most = limits.max_duration_s * SHARE
    return round(min(240.0 if asked is None else asked, most), 3)
