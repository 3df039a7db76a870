"""Sequences: each component gets the result of the one before it; an error ends them."""

from __future__ import annotations

from openwhisk_local import rejections
from openwhisk_local.activations.calls import Call, Runner, now_ms
from openwhisk_local.activations.records import APPLICATION_ERROR, Activation, Response
from openwhisk_local.jsontypes import Json, Payload
from openwhisk_local.rejections import Rejection


async def run_sequence(call: Call, runner: Runner) -> Activation:
    """Run the components of a sequence one after the other.

    Args:
        call: The call of the sequence.
        runner: Runs the components.

    Returns:
        The sequence's activation: the last response, the sum of the durations, the components' ids as its logs.
    """
    start = now_ms()
    response = Response(APPLICATION_ERROR, call.payload)
    activations: list[Activation] = []
    for component in call.resolved.action.components or ():
        if call.count.components >= runner.limits.max_components:
            response = Response.error(APPLICATION_ERROR, rejections.SEQUENCE_TOO_LONG)
            break
        try:
            resolved = runner.registry.resolve(component)
        except Rejection:
            response = Response.error(APPLICATION_ERROR, rejections.SEQUENCE_COMPONENT_MISSING)
            break
        if resolved.action.components is None:
            call.count.components += 1
        activation = await runner.run(call.component(resolved, _to_payload(response.result)))
        activations.append(activation)
        response = activation.response
        if response.has_error:
            break
    return call.to_activation(
        response,
        kind="sequence",
        start=start,
        end=now_ms(),
        duration=sum(activation.duration or 0 for activation in activations),
        memory_mb=max((activation.memory_mb for activation in activations), default=None),
        logs=[activation.id for activation in activations],
        marks={"topmost": call.cause is None, "waitTime": start - call.received},
    )


def _to_payload(result: Json) -> Payload:
    """A result as the arguments of the next component."""
    return result if isinstance(result, dict | list) else {}
