"""Plain actions: one activation in one process."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from openwhisk_local.activations.answers import (
    NOT_PROVISIONED,
    failed_to_answer,
    failed_to_start,
    read_answer,
)
from openwhisk_local.activations.calls import Call, now_ms
from openwhisk_local.activations.records import (
    DEVELOPER_ERROR,
    WHISK_ERROR,
    Activation,
    Response,
)
from openwhisk_local.jsontypes import JsonObject, Payload
from openwhisk_local.limits import Limits
from openwhisk_local.processes.pipes import log_line
from openwhisk_local.processes.pool import Pool
from openwhisk_local.processes.process import ActionProcess, Failure
from openwhisk_local.state.parameters import to_environment
from openwhisk_local.state.registry import Registry
from openwhisk_local.version import __version__

_LOGS_MAY_BE_MISSING = (
    "The action did not initialize or run as expected. Log data might be missing."
)


@dataclass(frozen=True)
class ProcessContext:
    """What action processes get from the host besides their arguments.

    Args:
        apihost: The host's own address.
        auth: The key, for actions that may have it.
        environment: Variables that every process gets.
    """

    apihost: str
    auth: str = field(repr=False)
    environment: dict[str, str] = field(repr=False)


@dataclass
class _Run:
    """How one activation went."""

    response: Response
    logs: list[str]
    init_ms: int | None = None
    timed_out: bool = False


class PlainActions:
    """Runs calls of plain actions.

    Args:
        registry: The entities.
        limits: The host's limits.
        pool: The action processes.
        context: What processes get besides their arguments.
    """

    def __init__(
        self,
        registry: Registry,
        limits: Limits,
        pool: Pool,
        context: ProcessContext,
    ) -> None:
        self.registry = registry
        self.limits = limits
        self._pool = pool
        self._process_context = context

    async def run(self, call: Call) -> Activation:
        """Run an action once."""
        action = call.resolved.action
        if self._pool.fits(action):
            process, warm = await self._pool.acquire(action)
            start = now_ms()
            run = await self._run_in(process, call, warm)
        else:
            start = now_ms()
            run = _Run(Response.error(WHISK_ERROR, NOT_PROVISIONED), [])
        end = now_ms()
        marks: JsonObject = {"waitTime": start - call.received, "timeout": run.timed_out}
        if run.init_ms is not None:
            marks["initTime"] = run.init_ms
        return call.to_activation(
            run.response,
            kind=action.kind,
            start=start,
            end=end,
            duration=end - start,
            memory_mb=action.limits.memory,
            logs=_logs_of(run) if action.limits.logs else [],
            marks=marks,
        )

    async def _run_in(self, process: ActionProcess, call: Call, warm: bool) -> _Run:
        """Run an action in a process and give the process back, or end it."""
        timeout_ms = call.resolved.action.limits.timeout
        init_ms = None
        healthy = False
        try:
            if not warm:
                begun = time.monotonic()
                failure = await self._start(process, call, timeout_ms)
                init_ms = round((time.monotonic() - begun) * 1000)
                if failure is not None:
                    timed_out = failure is Failure.TIMED_OUT
                    return _Run(
                        failed_to_start(failure, timeout_ms),
                        process.take_logs(),
                        init_ms,
                        timed_out,
                    )
            outcome = await process.run(self._input_line(call, timeout_ms), timeout_ms / 1000)
            logs = process.take_logs()
            if isinstance(outcome, Failure):
                return _Run(
                    failed_to_answer(outcome, timeout_ms),
                    logs,
                    init_ms,
                    outcome is Failure.TIMED_OUT,
                )
            healthy = True
            return _Run(read_answer(outcome, self.limits.max_payload), logs, init_ms)
        finally:
            if healthy:
                self._pool.release(process)
            else:
                self._pool.discard(process)

    async def _start(
        self,
        process: ActionProcess,
        call: Call,
        timeout_ms: int,
    ) -> Failure | None:
        """Start a process; what went wrong, or None."""
        activation = {
            f"__OW_{key.upper()}": text
            for key, text in self._activation_context(call, timeout_ms).items()
        }
        init_parameters, _ = _split_arguments(call)
        environment = {
            **self._process_context.environment,
            **to_environment(init_parameters),
            "__OW_API_HOST": self._process_context.apihost,
            "__OW_EXECUTION_ENV": "openwhisk_local",
            "__OW_PROXY_VERSION": __version__,
            "__OW_WAIT_FOR_ACK": "1",
            **activation,
        }
        return await process.start(self._pool.folder, environment, timeout_ms / 1000)

    def _input_line(self, call: Call, timeout_ms: int) -> JsonObject:
        """What the process reads: the arguments as `value`, and the context."""
        _, arguments = _split_arguments(call)
        return {"value": arguments, **self._activation_context(call, timeout_ms)}

    def _activation_context(self, call: Call, timeout_ms: int) -> dict[str, str]:
        """What an activation may know of itself, as texts."""
        action = call.resolved.action
        context = {
            "namespace": action.name.namespace,
            "action_name": f"/{action.name.qualified}",
            "action_version": action.version,
            "activation_id": call.id,
            "transaction_id": call.transaction,
            "deadline": str(now_ms() + timeout_ms),
        }
        if action.annotations.is_truthy("provide-api-key", absent=True):
            context["api_key"] = self._process_context.auth
        return context


def _logs_of(run: _Run) -> list[str]:
    """An activation's log lines; a last one says that some may be missing, where the action did not end as it should."""
    if run.response.code != DEVELOPER_ERROR:
        return run.logs
    return [*run.logs, log_line("stderr", _LOGS_MAY_BE_MISSING)]


def _split_arguments(call: Call) -> tuple[JsonObject, Payload]:
    """The parameters marked `init`, for the process's environment, and the other ones with the call's arguments."""
    if not isinstance(call.payload, dict):
        return {}, call.payload
    parameters = call.resolved.parameters
    arguments = {**parameters.values(), **call.payload}
    init_parameters = {key: arguments.pop(key) for key in parameters.init_keys}
    return init_parameters, arguments
