"""Plain actions: one activation in one process."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any, NoReturn

from openwhisk_local.activations.calls import Call, now_ms
from openwhisk_local.activations.records import (
    APPLICATION_ERROR,
    DEVELOPER_ERROR,
    SUCCESS,
    WHISK_ERROR,
    Activation,
    Response,
)
from openwhisk_local.limits import Limits
from openwhisk_local.processes.pipes import Answer
from openwhisk_local.processes.pool import Pool
from openwhisk_local.processes.process import ActionProcess, Failure
from openwhisk_local.state.parameters import as_texts
from openwhisk_local.state.registry import Registry
from openwhisk_local.version import __version__

_TRUNCATED = 1024
_NOT_PROVISIONED = "Failed to provision resources to run the action."
_NO_OBJECT = "The action did not return a dictionary or array."


@dataclass(frozen=True)
class Surroundings:
    """What processes get besides their arguments.

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
    """Carries out calls of plain actions.

    Args:
        registry: The entities.
        limits: The host's limits.
        pool: Where processes come from.
        surroundings: What processes get besides their arguments.
    """

    def __init__(self, registry: Registry, limits: Limits, pool: Pool, surroundings: Surroundings) -> None:
        self.registry = registry
        self.limits = limits
        self._pool = pool
        self._surroundings = surroundings

    async def carry_out(self, call: Call) -> Activation:
        """Run an action once."""
        action = call.resolved.action
        if self._pool.fits(action):
            process, warm = await self._pool.acquire(action)
            start = now_ms()
            run = await self._run(call, process, warm)
        else:
            start = now_ms()
            run = _Run(Response.error(WHISK_ERROR, _NOT_PROVISIONED), [])
        end = now_ms()
        marks: dict[str, Any] = {"waitTime": start - call.received, "timeout": run.timed_out}
        if run.init_ms is not None:
            marks["initTime"] = run.init_ms
        return Activation(
            id=call.id,
            namespace=action.name.namespace,
            name=action.name.name,
            path=call.filter_path,
            version=action.version,
            start=start,
            end=end,
            duration=end - start,
            response=run.response,
            cause=call.cause,
            annotations=call.annotations(action.kind, action.limits["memory"], **marks),
            logs=run.logs if action.limits["logs"] else [],
        )

    async def _run(self, call: Call, process: ActionProcess, warm: bool) -> _Run:
        """Run an action in a process and give the process back, or end it."""
        timeout_ms = call.resolved.action.limits["timeout"]
        init_ms = None
        healthy = False
        try:
            if not warm:
                begun = time.monotonic()
                failure = await self._start(call, process, timeout_ms)
                init_ms = round((time.monotonic() - begun) * 1000)
                if failure is not None:
                    timed_out = failure is Failure.TIMED_OUT
                    return _Run(_failed_to_start(failure, timeout_ms), process.take_logs(), init_ms, timed_out)
            outcome = await process.run(self._line(call, timeout_ms), timeout_ms / 1000)
            logs = process.take_logs()
            if isinstance(outcome, Failure):
                return _Run(_failed_to_answer(outcome, timeout_ms), logs, init_ms, outcome is Failure.TIMED_OUT)
            healthy = True
            return _Run(read_answer(outcome, self.limits.max_payload), logs, init_ms)
        finally:
            if healthy:
                self._pool.release(process)
            else:
                self._pool.discard(process)

    async def _start(self, call: Call, process: ActionProcess, timeout_ms: int) -> Failure | None:
        context = {f"__OW_{key.upper()}": text for key, text in self._context(call, timeout_ms).items()}
        environment = {
            **self._surroundings.environment,
            **as_texts(_divided(call)[0]),
            "__OW_API_HOST": self._surroundings.apihost,
            "__OW_EXECUTION_ENV": "openwhisk_local",
            "__OW_PROXY_VERSION": __version__,
            "__OW_WAIT_FOR_ACK": "1",
            **context,
        }
        return await process.start(self._pool.folder, environment, timeout_ms / 1000)

    def _line(self, call: Call, timeout_ms: int) -> dict[str, Any]:
        return {"value": _divided(call)[1], **self._context(call, timeout_ms)}

    def _context(self, call: Call, timeout_ms: int) -> dict[str, str]:
        """What an activation may know of itself; all of it texts."""
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
            context["api_key"] = self._surroundings.auth
        return context


def _divided(call: Call) -> tuple[dict[str, Any], Any]:
    """What an activation is given, bound and by its caller: for its process's environment, and as its arguments."""
    if not isinstance(call.payload, dict):
        return {}, call.payload
    parameters = call.resolved.parameters
    given, of_processes = {**parameters.values(), **call.payload}, parameters.of_processes
    environment = {key: given.pop(key) for key in of_processes}
    return environment, given


def _proxied(message: str) -> Response:
    """A developer error as the process's HTTP proxy words it; the size is that of its JSON line."""
    return Response.error(DEVELOPER_ERROR, message, len(message) + len('{"error":""}\n'))


def _failed_to_start(failure: Failure, timeout_ms: int) -> Response:
    if failure is Failure.TIMED_OUT:
        message = f"The action exceeded its time limits of {timeout_ms} milliseconds during initialization."
        return Response.error(DEVELOPER_ERROR, message)
    if failure is Failure.OUT_OF_MEMORY:
        return Response.error(DEVELOPER_ERROR, "The action exhausted its memory and was aborted.")
    if failure is Failure.NOT_STARTED:
        return Response.error(WHISK_ERROR, _NOT_PROVISIONED)
    if failure is Failure.NOT_COMPILED:
        return _proxied("The action failed to generate or locate a binary. See logs for details.")
    return _proxied("Cannot start action. Check logs for details.")


def _failed_to_answer(failure: Failure, timeout_ms: int) -> Response:
    if failure is Failure.TIMED_OUT:
        return Response.error(DEVELOPER_ERROR, f"The action exceeded its time limits of {timeout_ms} milliseconds.")
    if failure is Failure.OUT_OF_MEMORY:
        return Response.error(DEVELOPER_ERROR, "The action exhausted its memory and was aborted.")
    return _proxied("command exited")


def read_answer(answer: Answer, allowed: int) -> Response:
    """What a process's answer means.

    Args:
        answer: The line that it wrote.
        allowed: Bytes that it may have.
    """
    if answer.size > allowed:
        message = f"The action produced a response that exceeded the allowed length: {answer.size} > {allowed} bytes."
        message += f" The truncated response was: {answer.text[:_TRUNCATED]}"
        return Response.error(APPLICATION_ERROR, message, answer.size)
    size = len(answer.text.encode("utf-16-le", errors="surrogatepass")) // 2  # as Java counts
    try:
        result = json.loads(answer.text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return _proxied(_NO_OBJECT)
    if result is None:
        message = f"The action did not produce a valid JSON or JSON Array response: {answer.text}"
        return Response.error(DEVELOPER_ERROR, message, size)
    if isinstance(result, list):
        return Response(SUCCESS, result, size)
    if not isinstance(result, dict):
        return _proxied(_NO_OBJECT)
    if "error" in result:
        return Response.error(APPLICATION_ERROR, result["error"], size)
    return Response(SUCCESS, result, size)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
