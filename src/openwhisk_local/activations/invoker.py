"""The life of an activation: run, recorded, waited for or not."""

from __future__ import annotations

import asyncio
import logging

from openwhisk_local import rejections
from openwhisk_local.activations.calls import Call, now_ms
from openwhisk_local.activations.conductors import run_composition
from openwhisk_local.activations.plain import PlainActions
from openwhisk_local.activations.rates import Rates
from openwhisk_local.activations.records import WHISK_ERROR, Activation, ActivationStore, Response
from openwhisk_local.activations.sequences import run_sequence
from openwhisk_local.jsontypes import JsonObject
from openwhisk_local.rejections import Rejection
from openwhisk_local.state.names import Name
from openwhisk_local.state.registry import ResolvedAction

_LOG = logging.getLogger(__name__)


class Invoker:
    """Runs calls of every kind of action and keeps their records.

    Args:
        plain: Runs plain actions.
        activations: Keeps the records.
        rates: How many invocations are allowed.
    """

    def __init__(
        self,
        plain: PlainActions,
        activations: ActivationStore,
        rates: Rates,
    ) -> None:
        self.registry = plain.registry
        self.limits = plain.limits
        self.rates = rates
        self.activations = activations
        self._recorded_plain = _RecordedPlainActions(plain, activations)
        self._calls: set[asyncio.Task[Activation]] = set()
        self._stopping = False

    async def run(self, call: Call) -> Activation:
        """Run a call to its end and keep its record."""
        action = call.resolved.action
        if action.components is not None:
            activation = await run_sequence(call, self)
        elif action.is_conductor:
            activation = await run_composition(call, self, self._recorded_plain)
        else:
            return await self._recorded_plain.run(call)
        self.activations.add(activation)
        return activation

    async def _run_safely(self, call: Call) -> Activation:
        """Run a call; a fault of the host becomes a failed activation, so that a waiting caller is answered."""
        try:
            return await self.run(call)
        except Exception:  # noqa: BLE001 - logged, and reported as the platform reports its own faults
            _LOG.exception(
                "the activation %s of %s failed", call.id, call.resolved.action.name.qualified
            )
        action, now = call.resolved.action, now_ms()
        activation = call.to_activation(
            Response.error(WHISK_ERROR, rejections.FAULT),
            kind=action.kind,
            start=call.received,
            end=now,
            duration=now - call.received,
            memory_mb=action.limits.memory,
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

    def check_arguments(self, resolved: ResolvedAction, payload: JsonObject) -> None:
        """Check that a caller does not give what is final.

        Raises:
            Rejection: 400; the caller does.
        """
        if not resolved.final_parameters.isdisjoint(payload):
            raise Rejection(400, rejections.PARAMETERS_NOT_ALLOWED)

    def start(self, call: Call) -> asyncio.Task[Activation]:
        """Run a call from outside in the background; it is cancelled when the host stops."""
        if self._stopping:
            raise _stopping()
        task = asyncio.get_running_loop().create_task(self._run_safely(call))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)
        return task

    async def wait_for(self, call: Call, timeout_s: float) -> Activation | None:
        """Run a call and wait for its end, but no longer than the timeout; after that it goes on in the background.

        Returns:
            The activation, or None when it has not ended in time.
        """
        task = self.start(call)
        done, _ = await asyncio.wait([task], timeout=timeout_s)
        if task.cancelled():
            raise _stopping()
        return task.result() if done else None

    def post(self, name: Name, payload: JsonObject, transaction: str) -> str:
        """Invoke an action as rules do: without waiting.

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
        """Cancel every call, and start no more."""
        self._stopping = True
        for task in self._calls:
            task.cancel()


def _stopping() -> Rejection:
    return Rejection(503, "The host is stopping.")


class _RecordedPlainActions:
    """Runs calls of plain actions and keeps their records.

    Args:
        plain: Runs them.
        activations: Keeps the records.
    """

    def __init__(self, plain: PlainActions, activations: ActivationStore) -> None:
        self.registry = plain.registry
        self.limits = plain.limits
        self._plain = plain
        self._activations = activations

    async def run(self, call: Call) -> Activation:
        activation = await self._plain.run(call)
        self._activations.add(activation)
        return activation
