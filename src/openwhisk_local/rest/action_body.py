"""The body of an action's PUT: read, checked against the limits, and merged with the action that is there."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from openwhisk_local.jsontypes import Json, JsonObject
from openwhisk_local.limits import Limits
from openwhisk_local.rejections import Rejection, malformed
from openwhisk_local.rest.bodies import (
    check_sizes,
    read_optional_parameters,
    read_publish,
    read_version,
)
from openwhisk_local.rest.exec_body import read_exec
from openwhisk_local.state.entities import (
    Action,
    ActionLimits,
    CodeExec,
    SequenceExec,
    next_version,
)
from openwhisk_local.state.names import Name
from openwhisk_local.state.parameters import Parameters
from openwhisk_local.state.registry import Registry
from openwhisk_local.state.sequences import check_sequence

_LIMITS = {"timeout": "time", "memory": "memory", "logs": "log", "concurrency": "concurrency"}
"""The members of an action's limits, and what the platform's messages call them."""
_INT32_HALF = 1 << 31


@dataclass(frozen=True)
class ActionBody:
    """The body of an action's PUT; None means not given.

    Args:
        exec: The `exec` part.
        parameters: Default arguments.
        annotations: Annotations.
        removed_annotations: Annotations to remove.
        limits: The limits that are given, by name.
        version: A version to set.
        publish: Whether it says that it is shared.
    """

    exec: CodeExec | SequenceExec | None
    parameters: Parameters | None
    annotations: Parameters
    removed_annotations: tuple[str, ...]
    limits: dict[str, int]
    version: str | None
    publish: bool | None

    def components(self) -> tuple[Name, ...]:
        """The actions of a sequence."""
        return self.exec.components if isinstance(self.exec, SequenceExec) else ()


def read_action_body(content: JsonObject, namespace: str, limits: Limits) -> ActionBody:
    """Read and check the body of an action's PUT.

    Args:
        content: The body.
        namespace: The namespace that `_` stands for.
        limits: The host's limits.

    Raises:
        Rejection: 400 or 413; a member is malformed, out of its limits or too large.
    """
    stated_exec = content.get("exec")
    action_exec = None if stated_exec is None else read_exec(stated_exec, namespace, limits)
    given_limits = _read_limits(content.get("limits"), limits)
    annotations = read_optional_parameters(content, "annotations") or Parameters()
    parameters = read_optional_parameters(content, "parameters")
    check_sizes(parameters, annotations, limits)
    return ActionBody(
        exec=action_exec,
        parameters=parameters,
        annotations=annotations,
        removed_annotations=_read_removed_annotations(content),
        limits=given_limits,
        version=read_version(content),
        publish=read_publish(content),
    )


def _read_removed_annotations(content: JsonObject) -> tuple[str, ...]:
    removed = content.get("delAnnotations") or []
    if not isinstance(removed, list):
        raise malformed(f"Expected Array as JsArray, but got {json.dumps(removed)}")
    keys = [key for key in removed if isinstance(key, str)]
    if len(keys) < len(removed):
        raise malformed("Expected String as JsString")
    return tuple(keys)


def _read_limits(content: Json, limits: Limits) -> dict[str, int]:
    """The limits that a body gives, by name."""
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise malformed("Object expected in field 'timeout'")
    stated = [key for key in _LIMITS if content.get(key) is not None]
    given = {key: _read_limit(key, content[key]) for key in stated}
    _check_range(
        "memory size", given.get("memory"), limits.min_memory_mb, limits.max_memory_mb, " MB"
    )
    _check_range(
        "duration",
        given.get("timeout"),
        limits.min_duration_ms,
        limits.max_duration_ms,
        " milliseconds",
    )
    _check_range("log size", given.get("logs"), 0, limits.max_logs_mb, " MB")
    _check_range("concurrency", given.get("concurrency"), 1, 1, "")
    return given


def _read_limit(key: str, value: Json) -> int:
    label = _LIMITS[key]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise malformed(f"{label} limit malformed")
    if value != int(value):
        raise malformed(f"requirement failed: {label} limit must be whole number")
    # It overflows as a 32-bit integer does.
    offset = int(value) + _INT32_HALF
    wrapped = offset % (2 * _INT32_HALF) - _INT32_HALF
    if key in ("memory", "logs") and wrapped < 0:
        raise malformed("requirement failed: a negative size of an object is not allowed.")
    return wrapped


def _check_range(what: str, value: int | None, least: int, most: int, unit: str) -> None:
    if value is None or least <= value <= most:
        return
    is_below = value < least
    relation = (
        f"below allowed threshold of {least}"
        if is_below
        else f"exceeds allowed threshold of {most}"
    )
    raise Rejection(400, f"requirement failed: {what} {value}{unit} {relation}{unit}")


def create_action(
    name: Name,
    body: ActionBody,
    registry: Registry,
    limits: Limits,
) -> Action:
    """Make a new action.

    Raises:
        Rejection: 400; there is no `exec`, or the sequence may not exist.
    """
    if body.exec is None:
        raise Rejection(400, "exec undefined")
    if isinstance(body.exec, SequenceExec):
        check_sequence(name, body.exec, registry, limits.max_components)
    default_limits = ActionLimits(
        limits.default_duration_ms, limits.default_memory_mb, limits.default_logs_mb
    )
    annotations = body.annotations
    if "provide-api-key" not in annotations:
        annotations = annotations.merged(Parameters.of({"provide-api-key": False}))
    now = registry.now()
    return Action(
        name,
        body.version or "0.0.1",
        now,
        publish=bool(body.publish),
        annotations=annotations.merged(_kind_annotation(body.exec)),
        exec=body.exec,
        parameters=_sequence_parameters(body.exec) or body.parameters or Parameters(),
        limits=replace(default_limits, **body.limits),
        revision=now,
    )


def update_action(
    action: Action,
    body: ActionBody,
    registry: Registry,
    limits: Limits,
) -> Action:
    """Make the next version of an action: what the body does not give stays.

    Raises:
        Rejection: 400; the sequence may not exist.
    """
    if isinstance(body.exec, SequenceExec):
        check_sequence(action.name, body.exec, registry, limits.max_components)
    was_sequence = action.components is not None
    kept_parameters = Parameters() if was_sequence and body.exec is not None else action.parameters
    given_parameters = kept_parameters if body.parameters is None else body.parameters
    annotations = action.annotations.without(*body.removed_annotations).merged(body.annotations)
    new_exec = body.exec or action.exec
    now = registry.now()
    return Action(
        action.name,
        body.version or next_version(action.version),
        now,
        publish=action.publish if body.publish is None else body.publish,
        annotations=annotations.merged(_kind_annotation(new_exec)),
        exec=new_exec,
        parameters=_sequence_parameters(new_exec) or given_parameters,
        limits=replace(action.limits, **body.limits),
        revision=now,
    )


def _kind_annotation(action_exec: CodeExec | SequenceExec) -> Parameters:
    return Parameters.of({"exec": action_exec.kind})


def _sequence_parameters(action_exec: CodeExec | SequenceExec) -> Parameters | None:
    """A sequence's only parameter: its components. None for code."""
    if not isinstance(action_exec, SequenceExec):
        return None
    return Parameters.of({"_actions": action_exec.references()})
