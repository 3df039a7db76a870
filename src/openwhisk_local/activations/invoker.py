"""The life of an activation: carried out, recorded, waited for or not."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from openwhisk_local import rejections
from openwhisk_local.activations.calls import Call, now_ms
from openwhisk_local.activations.conductors import carry_out_composition
from openwhisk_local.activations.plain import PlainActions
from openwhisk_local.activations.rates import Rates
from openwhisk_local.activations.records import WHISK_ERROR, Activation, Activations, Response
from openwhisk_local.activations.sequences import carry_out_sequence
from openwhisk_local.rejections import Rejection
from openwhisk_local.state.names import Name
from openwhisk_local.state.registry import Resolved

_LOG = logging.getLogger(__name__)


class Invoker:
    """Carries out calls of every kind of action and keeps their records.

    Args:
        plain: Carries out plain actions.
        activations: Keeps the records.
        rates: How many invocations are allowed.
    """

    def __init__(self, plain: PlainActions, activations: Activations, rates: Rates) -> None:
        self.registry = plain.registry
        self.limits = plain.limits
        self.rates = rates
        self.activations = activations
        self._plain = plain
        self._recorded = _Recorded(plain, activations)
        self._calls: set[asyncio.Task[Activation]] = set()
        self._stopping = False

    async def carry_out(self, call: Call) -> Activation:
        """Carry a call out to its end and keep its record."""
        action = call.resolved.action
        if action.components is not None:
            activation = await carry_out_sequence(call, self)
        elif action.annotations.is_truthy("conductor"):
            activation = await carry_out_composition(call, self, self._recorded)
        else:
            return await self._recorded.carry_out(call)
        self.activations.add(activation)
        return activation

    async def _carry_out_safely(self, call: Call) -> Activation:
        """Carry a call out; a fault of the host is an activation that failed, so that who waits for it learns of it."""
        try:
            return await self.carry_out(call)
        except Exception:  # noqa: BLE001 - logged, and reported as the platform reports its own faults
            _LOG.exception("the activation %s of %s failed", call.id, call.resolved.action.name.qualified)
        action, now = call.resolved.action, now_ms()
        activation = Activation(
            id=call.id,
            namespace=action.name.namespace,
            name=action.name.name,
            path=call.filter_path,
            version=action.version,
            start=call.received,
            end=now,
            duration=now - call.received,
            response=Response.error(WHISK_ERROR, rejections.FAULT),
            annotations=call.annotations(action.kind, action.limits["memory"]),
        )
        self.activations.add(activation)
        return activation

    def admit(self) -> None:
        """Count an invocation from outside.

        Raises:
            Rejection: 429; there are too many.
        """
        # A sequence or composition has one component in flight at a time, so calls from outside are what is in flight.
        self.rates.check_invocation(len(self._calls))

    def check_arguments(self, resolved: Resolved, payload: dict[str, Any]) -> None:
        """Check that a caller does not give what is final.

        Raises:
            Rejection: 400; the caller does.
        """
        if not resolved.final_parameters.isdisjoint(payload):
            raise Rejection(400, rejections.PARAMETERS_NOT_ALLOWED)

    def start(self, call: Call) -> asyncio.Task[Activation]:
        """Carry a call from outside out in the background; it is cancelled when the host stops."""
        if self._stopping:
            raise _stopping()
        task = asyncio.get_running_loop().create_task(self._carry_out_safely(call))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)
        return task

    async def wait_for(self, call: Call, seconds: float) -> Activation | None:
        """Carry a call out and wait for its end, but not for longer than this; then it goes on unwatched.

        Returns:
            The activation, or None when it has not ended in time.
        """
        task = self.start(call)
        done, _ = await asyncio.wait([task], timeout=seconds)
        if task.cancelled():
            raise _stopping()
        return task.result() if done else None

    def post(self, name: Name, payload: dict[str, Any], transaction: str) -> str:
        """Invoke an action as rules do: like a caller who does not wait.

        Returns:
            The activation's id.

        Raises:
            Rejection: The invocation is declined.
        """
        self.admit()
        resolved = self.registry.resolve(name)
        self.check_arguments(resolved, payload)
        call = Call(resolved, payload, transaction)
        self.start(call)
        return call.id

    def stop(self) -> None:
        """Cancel what is still going on, and begin nothing more."""
        self._stopping = True
        for task in self._calls:
            task.cancel()


def _stopping() -> Rejection:
    return Rejection(503, "The host is stopping.")


class _Recorded:
    """Carries out calls of plain actions and keeps their records.

    Args:
        plain: Carries them out.
        activations: Keeps the records.
    """

    def __init__(self, plain: PlainActions, activations: Activations) -> None:
        self.registry = plain.registry
        self.limits = plain.limits
        self._plain = plain
        self._activations = activations

    async def carry_out(self, call: Call) -> Activation:
        activation = await self._plain.carry_out(call)
        self._activations.add(activation)
        return activation
