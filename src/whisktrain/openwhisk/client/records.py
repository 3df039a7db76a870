"""OpenWhisk's entities and answers as JSON, as far as whisktrain reads or writes them.

The shapes are those of the REST API; a platform may leave keys out, so none is required.
"""

from __future__ import annotations

from typing import TypedDict

from whisktrain.jsontypes import Json

__all__ = [
    "ActionLimits",
    "ActionRecord",
    "ActivationRecord",
    "ApiVersion",
    "Execution",
    "KeyValue",
    "NamespaceLimits",
    "PackageRecord",
    "PlatformInfo",
    "PlatformLimits",
    "Response",
    "RuleEnd",
    "RuleLink",
    "RuleRecord",
    "TriggerRecord",
]


class KeyValue(TypedDict):
    """One parameter or annotation."""

    key: str
    value: Json


class Execution(TypedDict, total=False):
    """An action's code: source of a runtime's kind, an image, or the components of a sequence."""

    kind: str
    code: str
    image: str
    main: str
    components: list[str]


class ActionLimits(TypedDict, total=False):
    """Limits of one action: `timeout` in ms, `memory` and `logs` in MB."""

    timeout: int
    memory: int
    logs: int


class ActionRecord(TypedDict, total=False):
    """An action or a sequence."""

    name: str
    exec: Execution
    parameters: list[KeyValue]
    annotations: list[KeyValue]
    limits: ActionLimits
    publish: bool


class PackageRecord(TypedDict, total=False):
    """A package."""

    name: str
    version: str
    parameters: list[KeyValue]
    annotations: list[KeyValue]
    publish: bool


class RuleLink(TypedDict, total=False):
    """A rule as its trigger shows it."""

    status: str


class TriggerRecord(TypedDict, total=False):
    """A trigger, with its rules by their full names."""

    name: str
    parameters: list[KeyValue]
    annotations: list[KeyValue]
    publish: bool
    rules: dict[str, RuleLink]


class RuleEnd(TypedDict, total=False):
    """The trigger or the action of a rule."""

    path: str
    name: str


class RuleRecord(TypedDict, total=False):
    """A rule as the platform answers it."""

    name: str
    status: str
    trigger: RuleEnd | None
    action: RuleEnd | None


class Response(TypedDict, total=False):
    """An activation's response: `status` as text; `statusCode` 0 to 3."""

    status: str
    statusCode: int
    success: bool
    result: Json


class ActivationRecord(TypedDict, total=False):
    """An activation: of a list (no response, `statusCode`), of a GET, or of a blocking invocation. Times in ms."""

    activationId: str
    name: str
    start: int
    end: int
    duration: int
    cause: str
    statusCode: int
    response: Response
    logs: list[str]
    annotations: list[KeyValue]


class PlatformLimits(TypedDict, total=False):
    """`limits` of `GET /`: durations in ms, sizes in bytes."""

    actions_per_minute: int
    triggers_per_minute: int
    concurrent_actions: int
    max_action_duration: int
    max_action_memory: int


class PlatformInfo(TypedDict, total=False):
    """`GET /`."""

    description: str
    limits: PlatformLimits
    runtimes: dict[str, Json]


class ApiVersion(TypedDict, total=False):
    """`GET /api/v1`."""

    api_version: str
    build: str
    buildno: str


class NamespaceLimits(TypedDict, total=False):
    """`GET …/limits`: duration in ms, memory in MB."""

    invocationsPerMinute: int
    firesPerMinute: int
    concurrentInvocations: int
    maxActionTimeout: int
    maxActionMemory: int
