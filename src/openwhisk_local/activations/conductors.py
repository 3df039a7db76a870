"""Compositions: an action with the annotation `conductor` says which action comes next, until it says none."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from openwhisk_local.activations.calls import Call, Carrier, memory_of, now_ms
from openwhisk_local.activations.records import APPLICATION_ERROR, Activation, Response
from openwhisk_local.rejections import Rejection
from openwhisk_local.state import names
from openwhisk_local.state.registry import Resolved

_TOO_LONG = "Too many actions in the composition."


@dataclass
class _Session:
    """What one composition has done so far."""

    duration: int = 0
    memory_mb: int = 0
    ids: list[str] = field(default_factory=list)

    def add(self, activation: Activation) -> None:
        self.ids.append(activation.id)
        self.duration += activation.duration or 0
        self.memory_mb = max(self.memory_mb, memory_of(activation))


async def carry_out_composition(call: Call, carrier: Carrier, conduct: Carrier) -> Activation:
    """Run a conductor and the actions that it names, in turn.

    Args:
        call: The call of the conductor.
        carrier: Carries out the components.
        conduct: Carries out the conductor itself, as a plain action.

    Returns:
        The composition's activation: the conductor's last response, the sum of the durations, all ids as its logs.
    """
    action, start = call.resolved.action, now_ms()
    session = _Session(memory_mb=action.limits["memory"])
    response = await _conduct(call, carrier, conduct, session)
    marks = {"topmost": call.cause is None, "conductor": True, "waitTime": start - call.received}
    return Activation(
        id=call.id,
        namespace=action.name.namespace,
        name=action.name.name,
        path=call.filter_path,
        version=action.version,
        start=start,
        end=now_ms(),
        duration=session.duration,
        response=response,
        cause=call.cause,
        annotations=call.annotations("sequence", session.memory_mb, **marks),
        logs=session.ids,
    )


async def _conduct(call: Call, carrier: Carrier, conduct: Carrier, session: _Session) -> Response:
    most = carrier.limits.max_components
    payload: Any = call.payload
    state: dict[str, Any] = {}
    while True:
        if call.count.conductors > 2 * most:
            return Response.error(APPLICATION_ERROR, _TOO_LONG)
        call.count.conductors += 1
        arguments = {**payload, **state} if isinstance(payload, dict) else dict(state)
        activation = await conduct.carry_out(call.component(call.resolved, arguments))
        session.add(activation)
        result = activation.response.result if isinstance(activation.response.result, dict) else {}
        params = _boxed(result, "params", "value")
        state = _boxed(result, "state", "state") or {}
        if "action" not in result:
            return Response(activation.response.code, result if params is None else params)
        following = _next(result["action"], call, carrier, most)
        if isinstance(following, str):
            payload = {"error": following}
            continue
        if not following.action.annotations.is_truthy("conductor"):
            call.count.components += 1
        component = await carrier.carry_out(call.component(following, params or {}))
        session.add(component)
        payload = component.response.result


def _next(named: Any, call: Call, carrier: Carrier, most: int) -> Resolved | str:
    """The action that the conductor names, or why there is none."""
    namespace = call.resolved.action.name.namespace
    try:
        name = names.parse_relative(named, namespace)
    except ValueError:
        shown = json.dumps(named, separators=(",", ":"), ensure_ascii=False)
        return f"Failed to parse action name from json value {shown} during composition."
    if call.count.components >= most:
        return _TOO_LONG
    try:
        carrier.registry.check_references(namespace, name)
    except Rejection:
        return f"Failed entitlement check for action with name '{name.qualified}' during composition."
    try:
        return carrier.registry.resolve(name)
    except Rejection:
        return f"Failed to resolve action with name '{name.qualified}' during composition."


def _boxed(result: dict[str, Any], key: str, box: str) -> dict[str, Any] | None:
    """A part of a result as an object; what is none is put into a box."""
    if key not in result:
        return None
    value = result[key]
    return value if isinstance(value, dict) else {box: value}
