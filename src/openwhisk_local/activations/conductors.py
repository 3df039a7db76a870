"""Compositions: an action with the annotation `conductor` says which action comes next, until it says none."""

from __future__ import annotations

from dataclasses import dataclass, field

from openwhisk_local.activations.calls import Call, Runner, now_ms
from openwhisk_local.activations.records import APPLICATION_ERROR, Activation, Response
from openwhisk_local.json_text import to_compact_json
from openwhisk_local.jsontypes import Json, JsonObject
from openwhisk_local.rejections import Rejection
from openwhisk_local.state.names import parse_relative
from openwhisk_local.state.registry import ResolvedAction

_TOO_LONG = "Too many actions in the composition."


class _CannotContinueError(Exception):
    """The action that the conductor names cannot be run; the message is what the conductor gets as an error."""


async def run_composition(
    call: Call,
    runner: Runner,
    conductor_runner: Runner,
) -> Activation:
    """Run a conductor and the actions that it names, in turn.

    Args:
        call: The call of the conductor.
        runner: Runs the components.
        conductor_runner: Runs the conductor itself, as a plain action.

    Returns:
        The composition's activation: the conductor's last response, the sum of the durations, all ids as its logs.
    """
    start = now_ms()
    composition = _Composition(call, runner, conductor_runner)
    response = await composition.run()
    activations = composition.activations
    return call.to_activation(
        response,
        kind="sequence",
        start=start,
        end=now_ms(),
        duration=sum(activation.duration or 0 for activation in activations),
        memory_mb=max(
            [
                call.resolved.action.limits.memory,
                *(activation.memory_mb for activation in activations),
            ]
        ),
        logs=[activation.id for activation in activations],
        marks={"topmost": call.cause is None, "conductor": True, "waitTime": start - call.received},
    )


@dataclass
class _Composition:
    """One composition while it runs."""

    call: Call
    runner: Runner
    conductor_runner: Runner
    activations: list[Activation] = field(default_factory=list)

    async def run(self) -> Response:
        """Ask the conductor what comes next and run it, until there is nothing."""
        count, max_components = self.call.count, self.runner.limits.max_components
        payload: Json = self.call.payload
        state: JsonObject = {}
        while count.conductors <= 2 * max_components:
            count.conductors += 1
            code, instruction = await self._ask_conductor(payload, state)
            params = _member_as_object(instruction, "params", box="value")
            state = _member_as_object(instruction, "state", box="state") or {}
            if "action" not in instruction:
                return Response(code, instruction if params is None else params)
            try:
                component = self._find_component(instruction["action"])
            except _CannotContinueError as error:
                payload = {"error": str(error)}
                continue
            payload = await self._run_component(component, params or {})
        return Response.error(APPLICATION_ERROR, _TOO_LONG)

    async def _ask_conductor(
        self,
        payload: Json,
        state: JsonObject,
    ) -> tuple[int, JsonObject]:
        """The code of the conductor's response, and its result if that is an object."""
        arguments = {**payload, **state} if isinstance(payload, dict) else {**state}
        activation = await self.conductor_runner.run(
            self.call.component(self.call.resolved, arguments)
        )
        self.activations.append(activation)
        result = activation.response.result
        return activation.response.code, result if isinstance(result, dict) else {}

    async def _run_component(self, component: ResolvedAction, params: JsonObject) -> Json:
        """Run a component; its result."""
        if not component.action.is_conductor:
            self.call.count.components += 1
        activation = await self.runner.run(self.call.component(component, params))
        self.activations.append(activation)
        return activation.response.result

    def _find_component(self, reference: Json) -> ResolvedAction:
        """The action that the conductor names."""
        namespace = self.call.resolved.action.name.namespace
        registry = self.runner.registry
        try:
            name = parse_relative(reference, namespace)
        except ValueError:
            shown = to_compact_json(reference, sort_keys=False)
            raise _CannotContinueError(
                f"Failed to parse action name from json value {shown} during composition."
            ) from None
        if self.call.count.components >= self.runner.limits.max_components:
            raise _CannotContinueError(_TOO_LONG)
        try:
            registry.check_references(namespace, name)
        except Rejection:
            why = f"Failed entitlement check for action with name '{name.qualified}' during composition."
            raise _CannotContinueError(why) from None
        try:
            return registry.resolve(name)
        except Rejection:
            why = f"Failed to resolve action with name '{name.qualified}' during composition."
            raise _CannotContinueError(why) from None


def _member_as_object(result: JsonObject, key: str, box: str) -> JsonObject | None:
    """A member of a result as an object; another value becomes the member `box` of one. None where there is no member."""
    if key not in result:
        return None
    value = result[key]
    return value if isinstance(value, dict) else {box: value}
