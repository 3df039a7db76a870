"""Actions, packages, triggers and rules, as the API shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from openwhisk_local.state.names import Name
from openwhisk_local.state.parameters import Parameters

ACTIVE, INACTIVE = "active", "inactive"


@dataclass(frozen=True)
class Entity:
    """What all entities have.

    Args:
        name: Where it lives.
        version: `major.minor.patch`; an update raises the last figure.
        updated: When it was last written, in milliseconds since the epoch.
        publish: Whether it says that it is shared.
        annotations: What is said about it.
    """

    name: Name
    version: str
    updated: int
    publish: bool = False
    annotations: Parameters = field(default_factory=Parameters)

    def to_summary(self) -> dict[str, Any]:
        """The entity's row in a list."""
        return {
            "annotations": self.annotations.to_wire(),
            "name": self.name.name,
            "namespace": self.name.path,
            "publish": self.publish,
            "updated": self.updated,
            "version": self.version,
        }


@dataclass(frozen=True)
class Action(Entity):
    """Code, or a sequence of other actions.

    Args:
        execution: `{"kind", "code", "main"?, "binary"}` or `{"kind": "sequence", "components"}`.
        parameters: Default arguments.
        limits: `{"timeout" (ms), "memory" (MB), "logs" (MB), "concurrency"}`.
        revision: Different for every write: processes are warm for one revision.
    """

    execution: Mapping[str, Any] = field(default_factory=dict)
    parameters: Parameters = field(default_factory=Parameters)
    limits: Mapping[str, int] = field(default_factory=dict)
    revision: int = 0

    @property
    def kind(self) -> str:
        """What runs it."""
        return str(self.execution["kind"])

    @property
    def components(self) -> list[str] | None:
        """The actions of a sequence, in order; None for code."""
        return self.execution.get("components") if self.kind == "sequence" else None

    def to_record(self, *, code: bool = True, parameters: Parameters | None = None) -> dict[str, Any]:
        """The action as the API shows it.

        Args:
            code: Whether the code is shown.
            parameters: Shown instead of its own: those of its package merged with its own.
        """
        execution = {key: value for key, value in self.execution.items() if code or key != "code"}
        shown = self.parameters if parameters is None else parameters
        return {
            **super().to_summary(),
            "exec": execution,
            "limits": dict(self.limits),
            "parameters": shown.to_wire(),
        }

    def to_summary(self) -> dict[str, Any]:
        """The action's row in a list."""
        return {
            **super().to_summary(),
            "exec": {"binary": bool(self.execution.get("binary"))},
            "limits": dict(self.limits),
        }

    def to_package_row(self) -> dict[str, Any]:
        """The action as its package shows it."""
        return {"annotations": self.annotations.to_wire(), "name": self.name.name, "version": self.version}


@dataclass(frozen=True)
class Package(Entity):
    """A folder of actions with common parameters, or a binding to one.

    Args:
        parameters: Default arguments of its actions.
        binding: The package that this one stands for, if it is a binding.
    """

    parameters: Parameters = field(default_factory=Parameters)
    binding: Name | None = None

    def _binding(self) -> dict[str, str] | None:
        return None if self.binding is None else {"name": self.binding.name, "namespace": self.binding.namespace}

    def to_record(self, parameters: Parameters | None = None) -> dict[str, Any]:
        """The package as the API shows it."""
        shown = self.parameters if parameters is None else parameters
        return {**super().to_summary(), "binding": self._binding() or {}, "parameters": shown.to_wire()}

    def to_summary(self) -> dict[str, Any]:
        """The package's row in a list."""
        return {**super().to_summary(), "binding": self._binding() or False}


@dataclass(frozen=True)
class Link:
    """A rule as its trigger knows it: which action, and whether it is active."""

    action: Name
    status: str

    def to_record(self) -> dict[str, Any]:
        """The link as the API shows it."""
        return {"action": self.action.to_reference(), "status": self.status}


@dataclass(frozen=True)
class Trigger(Entity):
    """A named event.

    Args:
        parameters: Default arguments of the actions that it starts.
        rules: Its rules by their names.
    """

    parameters: Parameters = field(default_factory=Parameters)
    rules: Mapping[Name, Link] = field(default_factory=dict)

    def to_record(self) -> dict[str, Any]:
        """The trigger as the API shows it."""
        record = {**super().to_summary(), "limits": {}, "parameters": self.parameters.to_wire()}
        if self.rules:
            record["rules"] = {name.qualified: link.to_record() for name, link in self.rules.items()}
        return record


@dataclass(frozen=True, kw_only=True)
class Rule(Entity):
    """Which action a trigger starts. Whether it is active is known to the trigger alone.

    Args:
        trigger: The trigger's name.
        action: The action's name.
    """

    trigger: Name
    action: Name

    def to_record(self, status: str) -> dict[str, Any]:
        """The rule as the API shows it."""
        return {**self.to_summary(), "status": status}

    def to_summary(self) -> dict[str, Any]:
        """The rule's row in a list: without its status."""
        return {
            **super().to_summary(),
            "action": self.action.to_reference(),
            "trigger": self.trigger.to_reference(),
        }
