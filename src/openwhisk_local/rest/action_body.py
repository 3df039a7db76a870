"""What a PUT makes of an action: the body read, checked against the limits, and merged with what was there.

No containers are started: code of every Python 3 kind runs in the host's own interpreter, and so does that of a `blackbox`
action, whatever its image; without code a `blackbox` action is declined.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from openwhisk_local import rejections
from openwhisk_local.limits import Limits
from openwhisk_local.rejections import Rejection, malformed, too_large
from openwhisk_local.state import names
from openwhisk_local.state.entities import Action
from openwhisk_local.state.names import Name
from openwhisk_local.state.parameters import Parameters
from openwhisk_local.state.registry import Registry, next_version

DEFAULT_KIND = "python:3.11"
"""The kind that is published, and that `python:default` means."""
_KINDS = re.compile(r"python:(default|3(\.\d+)?)")
_BASE64 = re.compile(r"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)")
_LIMITS = {"timeout": "time", "memory": "memory", "logs": "log", "concurrency": "concurrency"}
_HALF = 1 << 31
_PART = r"[a-z0-9]+(?:(?:[_.]|-*)[a-z0-9]+)*"
_DOMAIN = r"(?:[a-z0-9-]*(?:\.[a-z0-9-]*)+(?::\d+)?|[a-z0-9-]*(?:\.[a-z0-9-]*)*:\d+)"
_IMAGE = re.compile(
    rf"((?:{_DOMAIN}/)?{_PART}(?:/{_PART})*(?::[a-z0-9_][a-z0-9_.-]{{0,127}})?)"
    r"(?:@[a-z][a-z0-9]*(?:[+._-][a-z][a-z0-9]*)*:[0-9a-fA-F]{32,})?"
)
"""The names of images that the platform takes: it knows no capitals and no double underscores. The digest is dropped."""


@dataclass(frozen=True)
class ActionBody:
    """The body of an action's PUT; None means not given.

    Args:
        execution: The `exec` part, resolved.
        parameters: Default arguments.
        annotations: What is said about it.
        removed_annotations: Annotations to remove.
        limits: The limits that are given.
        version: A version to set.
        publish: Whether it says that it is shared.
    """

    execution: dict[str, Any] | None
    parameters: Parameters | None
    annotations: Parameters
    removed_annotations: tuple[str, ...]
    limits: dict[str, int]
    version: str | None
    publish: bool | None

    def components(self) -> list[Name]:
        """The actions of a sequence."""
        listed = [] if self.execution is None else self.execution.get("components", [])
        return [names.parse(component, "") for component in listed]


def read_optional_parameters(body: Mapping[str, Any], key: str) -> Parameters | None:
    """The parameters or annotations of a body; None when they are not given."""
    if body.get(key) is None:
        return None
    try:
        return Parameters.from_wire(body[key])
    except ValueError as error:
        raise malformed(str(error)) from None


def read_version(body: Mapping[str, Any]) -> str | None:
    """The version that a body sets; None when it sets none."""
    version = body.get("version")
    if version is None:
        return None
    figures = version.split(".")[:3] if isinstance(version, str) else [""]
    if not all(re.fullmatch(r"\d{1,9}", figure) for figure in figures) or not any(map(int, figures)):
        raise malformed("semantic version malformed")
    return ".".join(str(int(figure)) for figure in [*figures, "0", "0"][:3])


def read_publish(body: Mapping[str, Any]) -> bool | None:
    """Whether a body says that its entity is shared; None when it does not say."""
    publish = body.get("publish")
    if publish is not None and not isinstance(publish, bool):
        raise malformed(f"Expected JsBoolean, but got {json.dumps(publish)}")
    return publish


def check_sizes(parameters: Parameters | None, annotations: Parameters | None, limits: Limits) -> None:
    """Check that parameters and annotations are not larger than the host stores.

    Raises:
        Rejection: 413; they are.
    """
    for what, part in (("parameters", parameters), ("annotations", annotations)):
        if part is not None and (size := part.size()) > limits.max_payload:
            raise too_large(what, size, limits.max_payload)


def is_binary(code: str) -> bool:
    """Whether code counts as base64 on OpenWhisk."""
    stripped = code.strip()
    return bool(stripped) and len(stripped) % 4 == 0 and _BASE64.fullmatch(stripped) is not None


def read_action(body: Mapping[str, Any], namespace: str, limits: Limits) -> ActionBody:
    """Read and check the body of an action's PUT.

    Raises:
        Rejection: 400 or 413; something is not as it must be.
    """
    execution = None if body.get("exec") is None else _read_execution(body["exec"], namespace, limits)
    given = _read_limits(body.get("limits"), limits)
    annotations = read_optional_parameters(body, "annotations") or Parameters()
    parameters = read_optional_parameters(body, "parameters")
    check_sizes(parameters, annotations, limits)
    removed = body.get("delAnnotations") or []
    if not isinstance(removed, list):
        raise malformed(f"Expected Array as JsArray, but got {json.dumps(removed)}")
    if not all(isinstance(key, str) for key in removed):
        raise malformed("Expected String as JsString")
    return ActionBody(execution, parameters, annotations, tuple(removed), given, read_version(body), read_publish(body))


def _read_execution(content: object, namespace: str, limits: Limits) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise malformed("JSON object expected")
    if not isinstance(content.get("kind"), str):
        raise malformed("'kind' must be a string defined in 'exec'")
    kind = content["kind"].strip().lower()
    if kind == "sequence":
        if "components" not in content:
            raise malformed("'components' must be defined for sequence kind")
        if not isinstance(content.get("components"), list):
            raise malformed("'components' must be an array")
        try:
            components = [names.parse(component, namespace) for component in content["components"]]
        except ValueError as error:
            raise malformed(str(error)) from None
        return {"kind": kind, "components": [f"/{component.qualified}" for component in components]}
    if kind != "blackbox" and not _KINDS.fullmatch(kind):
        known = f"'{DEFAULT_KIND}', 'sequence', 'blackbox'"
        raise malformed(f"The specified runtime '{kind}' is not supported by this platform. Valid values are: {known}.")
    code, main = content.get("code"), content.get("main")
    if kind == "blackbox" and not isinstance(content.get("image"), str):
        raise malformed("'image' must be a string defined in 'exec' for 'blackbox' actions")
    image = _IMAGE.fullmatch(content["image"]) if kind == "blackbox" else None
    if kind == "blackbox" and image is None:
        raise malformed("could not parse image name")
    if kind == "blackbox" and (not isinstance(code, str) or not code.strip()):
        raise malformed(
            "'code' must be defined in 'exec' for 'blackbox' actions: this host starts no containers, "
            "it runs the code in its own Python"
        )
    if code is not None and not isinstance(code, str | dict):
        raise malformed(f"Could not deserialize as attachment record: {json.dumps(code)}")
    if not isinstance(code, str):
        raise malformed(f"'code' must be a string or attachment object defined in 'exec' for '{kind}' actions")
    if main is not None and not isinstance(main, str):
        raise malformed(f"if defined, 'main' be a string in 'exec' for '{kind}' actions")
    if len(code) > limits.max_code:
        raise too_large("exec", len(code), limits.max_code)
    execution: dict[str, Any] = {
        "kind": DEFAULT_KIND if kind == "python:default" else kind,
        "code": code,
        "binary": is_binary(code),
    }
    if image is not None:
        execution["image"] = image[1]
    if main is not None:
        execution["main"] = main
    return execution


def _read_limits(content: object, limits: Limits) -> dict[str, int]:
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise malformed("Object expected in field 'timeout'")
    given: dict[str, int] = {}
    for key, called in _LIMITS.items():
        value = content.get(key)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise malformed(f"{called} limit malformed")
        if value != int(value):
            raise malformed(f"requirement failed: {called} limit must be whole number")
        value = (int(value) + _HALF) % (2 * _HALF) - _HALF  # it overflows as a 32-bit integer does
        if key in ("memory", "logs") and value < 0:
            raise malformed("requirement failed: a negative size of an object is not allowed.")
        given[key] = value
    _within("memory size", given.get("memory"), limits.min_memory_mb, limits.max_memory_mb, " MB")
    _within("duration", given.get("timeout"), limits.min_duration_ms, limits.max_duration_ms, " milliseconds")
    _within("log size", given.get("logs"), 0, limits.max_logs_mb, " MB")
    _within("concurrency", given.get("concurrency"), 1, 1, "")
    return given


def _within(what: str, value: int | None, least: int, most: int, unit: str) -> None:
    if value is None or least <= value <= most:
        return
    relation, threshold = ("below", least) if value < least else ("exceeds", most)
    message = f"requirement failed: {what} {value}{unit} {relation} allowed threshold of {threshold}{unit}"
    raise Rejection(400, message)


def create(name: Name, body: ActionBody, registry: Registry, limits: Limits) -> Action:
    """Make a new action.

    Raises:
        Rejection: 400; there is no code, or a sequence that cannot be.
    """
    if body.execution is None:
        raise Rejection(400, "exec undefined")
    check_sequence(name, body.execution, registry, limits)
    defaults = {
        "timeout": limits.default_duration_ms,
        "memory": limits.default_memory_mb,
        "logs": limits.default_logs_mb,
        "concurrency": 1,
    }
    annotations = body.annotations
    if "provide-api-key" not in annotations:
        annotations = annotations.merged(Parameters.of({"provide-api-key": False}))
    now = registry.now()
    return Action(
        name,
        body.version or "0.0.1",
        now,
        publish=bool(body.publish),
        annotations=annotations.merged(Parameters.of({"exec": body.execution["kind"]})),
        execution=body.execution,
        parameters=_of_sequence(body.execution) or body.parameters or Parameters(),
        limits={**defaults, **body.limits},
        revision=now,
    )


def update(action: Action, body: ActionBody, registry: Registry, limits: Limits) -> Action:
    """Make the next version of an action: what the body does not give stays.

    Raises:
        Rejection: 400; a sequence that cannot be.
    """
    execution = body.execution or action.execution
    if body.execution is not None:
        check_sequence(action.name, body.execution, registry, limits)
    kept = Parameters() if action.components is not None and body.execution is not None else action.parameters
    given = kept if body.parameters is None else body.parameters
    annotations = action.annotations.without(*body.removed_annotations).merged(body.annotations)
    now = registry.now()
    return Action(
        action.name,
        body.version or next_version(action.version),
        now,
        publish=action.publish if body.publish is None else body.publish,
        annotations=annotations.merged(Parameters.of({"exec": execution["kind"]})),
        execution=execution,
        parameters=_of_sequence(execution) or given,
        limits={**action.limits, **body.limits},
        revision=now,
    )


def _of_sequence(execution: Mapping[str, Any]) -> Parameters | None:
    """A sequence's only parameter: its components."""
    return Parameters.of({"_actions": execution["components"]}) if execution["kind"] == "sequence" else None


def check_sequence(name: Name, execution: Mapping[str, Any], registry: Registry, limits: Limits) -> None:
    """Check that a sequence has components, that they exist, that it does not contain itself and is not too long.

    Raises:
        Rejection: 400; it has none, they do not, it does, or it is.
    """
    if execution["kind"] != "sequence":
        return
    if not execution["components"]:
        raise Rejection(400, rejections.SEQUENCE_EMPTY)
    if _count(registry.locate(name), execution["components"], registry, limits.max_components) > limits.max_components:
        raise Rejection(400, rejections.SEQUENCE_TOO_LONG)


def _count(origin: Name, components: list[str], registry: Registry, most: int) -> int:
    """How many actions a sequence runs, the sequences in it counted by what they run."""
    if len(components) > most:
        raise Rejection(400, rejections.SEQUENCE_TOO_LONG)
    count = 0
    for component in components:
        name = registry.locate(names.parse(component, ""))
        if name == origin:
            raise Rejection(400, rejections.SEQUENCE_CYCLIC)
        action = registry.find(Action, name)
        if action is None:
            raise Rejection(400, rejections.SEQUENCE_COMPONENT_MISSING)
        count += 1 if action.components is None else _count(origin, action.components, registry, most)
    return count
