"""One call of an action, and the interface of what runs calls."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import Protocol

from openwhisk_local.activations.records import Activation, Response
from openwhisk_local.jsontypes import Json, JsonObject, Payload
from openwhisk_local.limits import Limits
from openwhisk_local.state.parameters import Parameters
from openwhisk_local.state.registry import Registry, ResolvedAction


def new_id() -> str:
    """A new activation or transaction id: 32 hexadecimal digits."""
    return uuid.uuid4().hex


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return int(time.time() * 1000)


@dataclass
class RunCount:
    """How many actions a sequence or composition has run, those nested in it included."""

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
        count: How many actions that has run.
        id: The activation id.
        received: When the call was made, in milliseconds since the epoch.
    """

    resolved: ResolvedAction
    payload: Payload
    transaction: str
    cause: str | None = None
    count: RunCount = field(default_factory=RunCount)
    id: str = field(default_factory=new_id)
    received: int = field(default_factory=now_ms)

    def component(self, resolved: ResolvedAction, payload: Payload) -> Call:
        """The call of a component of this sequence or composition."""
        return Call(resolved, payload, self.transaction, self.id, self.count)

    def to_activation(
        self,
        response: Response,
        *,
        kind: str,
        start: int,
        end: int,
        duration: int,
        memory_mb: int | None,
        logs: list[str] | None = None,
        marks: JsonObject | None = None,
    ) -> Activation:
        """The record of this call.

        Args:
            response: How it ended.
            kind: What ran it: a runtime or `sequence`.
            start: When it began, in milliseconds since the epoch.
            end: When it ended.
            duration: How long it ran, in milliseconds.
            memory_mb: The memory limit with which it ran; None leaves the limits out of the annotations: nothing ran.
            logs: Its log lines, or the ids of its components.
            marks: Annotations besides those that every record has.
        """
        action = self.resolved.action
        annotations: dict[str, Json] = {
            "path": action.name.qualified,
            "kind": kind,
            **(marks or {}),
        }
        if memory_mb is not None:
            annotations["limits"] = {**action.limits.to_record(), "memory": memory_mb}
        if self.cause is not None:
            annotations["causedBy"] = "sequence"
        if self.resolved.binding is not None:
            annotations["binding"] = self.resolved.binding.qualified
        return Activation(
            id=self.id,
            namespace=action.name.namespace,
            name=action.name.name,
            path=self._filter_path(),
            version=action.version,
            start=start,
            end=end,
            duration=duration,
            response=response,
            cause=self.cause,
            memory_mb=memory_mb or 0,
            annotations=Parameters.of(annotations),
            logs=logs or [],
        )

    def _filter_path(self) -> str:
        """The name by which lists of activations are filtered: that of the binding, where it was called through one."""
        name, binding = self.resolved.action.name, self.resolved.binding
        return name.in_namespace if binding is None else f"{binding.name}/{name.name}"


class Runner(Protocol):
    """Runs calls of actions."""

    limits: Limits
    registry: Registry

    async def run(self, call: Call) -> Activation:
        """Run a call to its end and keep its record."""
