"""Actions, packages, triggers and rules, as the API shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from openwhisk_local.jsontypes import Json, JsonObject
from openwhisk_local.state.names import Name
from openwhisk_local.state.parameters import Parameters

ACTIVE, INACTIVE = "active", "inactive"


def next_version(version: str) -> str:
    """Raise the last figure of a version."""
    major, minor, patch = version.split(".")
    return f"{major}.{minor}.{int(patch) + 1}"


@dataclass(frozen=True)
class Entity:
    """What all entities have.

    Args:
        name: Its full name.
        version: `major.minor.patch`; an update raises the last figure. 0.0.0 has never been written.
        updated: When it was last written, in milliseconds since the epoch.
        publish: Whether it says that it is shared.
        annotations: Its annotations.
    """

    name: Name
    version: str = "0.0.0"
    updated: int = 0
    publish: bool = False
    annotations: Parameters = field(default_factory=Parameters)

    def to_summary(self) -> JsonObject:
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
class CodeExec:
    """The `exec` part of an action that is code.

    Args:
        kind: The runtime, for example `python:3.11`.
        code: The code as sent.
        binary: Whether the code is base64, usually of a zip file.
        main: The function to call; None: `main`.
        image: The image of a `blackbox` action.
    """

    kind: str
    code: str
    binary: bool = False
    main: str | None = None
    image: str | None = None

    def to_record(self, *, code: bool = True) -> JsonObject:
        """The `exec` part as the API shows it, with or without the code."""
        record: JsonObject = {
            "kind": self.kind,
            "code": self.code if code else None,
            "main": self.main,
            "image": self.image,
        }
        return {
            "binary": self.binary,
            **{key: value for key, value in record.items() if value is not None},
        }


@dataclass(frozen=True)
class SequenceExec:
    """The `exec` part of a sequence.

    Args:
        components: Its actions, in order.
    """

    kind: ClassVar[str] = "sequence"
    binary: ClassVar[bool] = False
    components: tuple[Name, ...]

    def references(self) -> list[Json]:
        """The components as `/namespace/package/name`."""
        return [f"/{component.qualified}" for component in self.components]

    def to_record(self, *, code: bool = True) -> JsonObject:
        """The `exec` part as the API shows it; a sequence has no code to leave out."""
        return {"kind": self.kind, "components": self.references()}


@dataclass(frozen=True)
class ActionLimits:
    """The limits of one action.

    Args:
        timeout: How long an activation may take, in milliseconds.
        memory: How much memory its process may take, in MB.
        logs: How much log output of an activation is kept, in MB.
        concurrency: Activations that one process serves at once; always 1.
    """

    timeout: int
    memory: int
    logs: int
    concurrency: int = 1

    def to_record(self) -> JsonObject:
        """The limits as the API shows them."""
        return {
            "timeout": self.timeout,
            "memory": self.memory,
            "logs": self.logs,
            "concurrency": self.concurrency,
        }


@dataclass(frozen=True, kw_only=True)
class Action(Entity):
    """Code, or a sequence of other actions.

    Args:
        exec: What it runs.
        parameters: Default arguments.
        limits: Its limits.
        revision: Different for every write: processes are warm for one revision.
    """

    exec: CodeExec | SequenceExec
    limits: ActionLimits
    parameters: Parameters = field(default_factory=Parameters)
    revision: int = 0

    @property
    def kind(self) -> str:
        """Its runtime, or `sequence`."""
        return self.exec.kind

    @property
    def components(self) -> tuple[Name, ...] | None:
        """The actions of a sequence, in order; None for code."""
        return self.exec.components if isinstance(self.exec, SequenceExec) else None

    @property
    def is_conductor(self) -> bool:
        """Whether its results say which action comes next."""
        return self.annotations.is_truthy("conductor")

    def to_record(
        self,
        *,
        code: bool = True,
        parameters: Parameters | None = None,
    ) -> JsonObject:
        """The action as the API shows it.

        Args:
            code: Whether the code is shown.
            parameters: Shown instead of its own: those of its package merged with its own.
        """
        shown = self.parameters if parameters is None else parameters
        return {
            **super().to_summary(),
            "exec": self.exec.to_record(code=code),
            "limits": self.limits.to_record(),
            "parameters": shown.to_wire(),
        }

    def to_summary(self) -> JsonObject:
        """The action's row in a list."""
        return {
            **super().to_summary(),
            "exec": {"binary": self.exec.binary},
            "limits": self.limits.to_record(),
        }

    def to_package_row(self) -> JsonObject:
        """The action as its package shows it."""
        return {
            "annotations": self.annotations.to_wire(),
            "name": self.name.name,
            "version": self.version,
        }


@dataclass(frozen=True)
class Package(Entity):
    """A folder of actions with common parameters, or a binding to one.

    Args:
        parameters: Default arguments of its actions.
        binding: The package that this one stands for, if it is a binding.
    """

    parameters: Parameters = field(default_factory=Parameters)
    binding: Name | None = None

    def binding_record(self) -> JsonObject:
        """The package that this one stands for, as the API shows it; an empty object where it is no binding."""
        return (
            {}
            if self.binding is None
            else {"name": self.binding.name, "namespace": self.binding.namespace}
        )

    def to_record(self, parameters: Parameters | None = None) -> JsonObject:
        """The package as the API shows it.

        Args:
            parameters: Shown instead of its own: those of the package behind a binding merged with its own.
        """
        shown = self.parameters if parameters is None else parameters
        return {
            **super().to_summary(),
            "binding": self.binding_record(),
            "parameters": shown.to_wire(),
        }

    def to_summary(self) -> JsonObject:
        """The package's row in a list."""
        return {**super().to_summary(), "binding": self.binding_record() or False}


@dataclass(frozen=True)
class Link:
    """A rule as its trigger knows it: which action, and whether it is active."""

    action: Name
    status: str

    @property
    def is_active(self) -> bool:
        """Whether the trigger starts the action."""
        return self.status == ACTIVE

    def to_record(self) -> JsonObject:
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

    def to_record(self) -> JsonObject:
        """The trigger as the API shows it."""
        record: JsonObject = {
            **super().to_summary(),
            "limits": {},
            "parameters": self.parameters.to_wire(),
        }
        if self.rules:
            record["rules"] = {
                name.qualified: link.to_record() for name, link in self.rules.items()
            }
        return record


@dataclass(frozen=True, kw_only=True)
class Rule(Entity):
    """Which action a trigger starts. Only the trigger knows whether the rule is active.

    Args:
        trigger: The trigger's name.
        action: The action's name.
    """

    trigger: Name
    action: Name

    def to_record(self, status: str) -> JsonObject:
        """The rule as the API shows it."""
        return {**self.to_summary(), "status": status}

    def to_summary(self) -> JsonObject:
        """The rule's row in a list: without its status."""
        return {
            **super().to_summary(),
            "action": self.action.to_reference(),
            "trigger": self.trigger.to_reference(),
        }
