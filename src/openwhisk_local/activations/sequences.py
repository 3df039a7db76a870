"""Sequences: each component gets the result of the one before it; an error ends them."""

from __future__ import annotations

from typing import Any

from openwhisk_local import rejections
from openwhisk_local.activations.calls import Call, Carrier, memory_of, now_ms
from openwhisk_local.activations.records import APPLICATION_ERROR, Activation, Response
from openwhisk_local.rejections import Rejection
from openwhisk_local.state import names


async def carry_out_sequence(call: Call, carrier: Carrier) -> Activation:
    """Run the components of a sequence one after the other.

    Returns:
        The sequence's activation: the last response, the sum of the durations, the components' ids as its logs.
    """
    action, start = call.resolved.action, now_ms()
    response = Response(APPLICATION_ERROR, call.payload)
    ids: list[str] = []
    duration, memory_mb = 0, None
    for component in action.components or []:
        if call.count.components >= carrier.limits.max_components:
            response = Response.error(APPLICATION_ERROR, rejections.SEQUENCE_TOO_LONG)
            break
        try:
            resolved = carrier.registry.resolve(names.parse(component, action.name.namespace))
        except Rejection:
            response = Response.error(APPLICATION_ERROR, rejections.SEQUENCE_COMPONENT_MISSING)
            break
        if resolved.action.components is None:
            call.count.components += 1
        activation = await carrier.carry_out(call.component(resolved, _payload(response.result)))
        ids.append(activation.id)
        duration += activation.duration or 0
        memory_mb = max(memory_mb or 0, memory_of(activation))
        response = activation.response
        if isinstance(response.result, dict) and "error" in response.result:
            break
    marks = {"topmost": call.cause is None, "waitTime": start - call.received}
    return Activation(
        id=call.id,
        namespace=action.name.namespace,
        name=action.name.name,
        path=call.filter_path,
        version=action.version,
        start=start,
        end=now_ms(),
        duration=duration,
        response=response,
        cause=call.cause,
        annotations=call.annotations("sequence", memory_mb, **marks),
        logs=ids,
    )


def _payload(result: Any) -> Any:
    return result if isinstance(result, dict | list) else {}
