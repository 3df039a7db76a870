"""One call of an action, and who carries calls out."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import Any, Protocol

from openwhisk_local.activations.records import Activation
from openwhisk_local.limits import Limits
from openwhisk_local.state.parameters import Parameters
from openwhisk_local.state.registry import Registry, Resolved


def new_id() -> str:
    """A new activation or transaction id: 32 hexadecimal digits."""
    return uuid.uuid4().hex


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return int(time.time() * 1000)


@dataclass
class Count:
    """What a sequence or composition has run so far, with all that is nested in it."""

    components: int = 0
    conductors: int = 0


@dataclass(frozen=True)
class Call:
    """One call of an action.

    Args:
        resolved: The action and its parameters.
        payload: The arguments: an object, or the array that a sequence's earlier component returned.
        transaction: The id of the request that led to it.
        cause: The id of the sequence or composition that makes the call.
        count: What that has run so far.
        id: The activation id.
        received: When the call was made, in milliseconds since the epoch.
    """

    resolved: Resolved
    payload: Any
    transaction: str
    cause: str | None = None
    count: Count = field(default_factory=Count)
    id: str = field(default_factory=new_id)
    received: int = field(default_factory=now_ms)

    def component(self, resolved: Resolved, payload: Any) -> Call:
        """The call of a component of this sequence or composition."""
        return Call(resolved, payload, self.transaction, self.id, self.count)

    def annotations(self, kind: str, memory_mb: int | None, **marks: Any) -> Parameters:
        """The annotations of the call's activation.

        Args:
            kind: What ran it.
            memory_mb: The memory limit with which it ran; None leaves the limits out: nothing ran.
            marks: Further ones.
        """
        action = self.resolved.action
        entries: dict[str, Any] = {"path": action.name.qualified, "kind": kind, **marks}
        if memory_mb is not None:
            entries["limits"] = {**action.limits, "memory": memory_mb}
        if self.cause is not None:
            entries["causedBy"] = "sequence"
        if self.resolved.binding is not None:
            entries["binding"] = self.resolved.binding.qualified
        return Parameters.of(entries)

    @property
    def filter_path(self) -> str:
        """The name by which lists of activations are filtered: that of the binding, where it was called through one."""
        name = self.resolved.action.name
        return name.in_namespace if self.resolved.binding is None else f"{self.resolved.binding.name}/{name.name}"


class Carrier(Protocol):
    """Whatever carries calls out."""

    limits: Limits
    registry: Registry

    async def carry_out(self, call: Call) -> Activation:
        """Carry a call out to its end and keep its record."""


def memory_of(activation: Activation) -> int:
    """The memory limit that an activation ran with, in MB."""
    limits = activation.annotations.get("limits")
    return 0 if limits is None else int(limits["memory"])
