"""Activation records: reading them, and the error that a failed one stands for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from whisktrain.errors import PlatformError, WhisktrainError, from_record
from whisktrain.jsontypes import Json, JsonObject
from whisktrain.openwhisk import settings
from whisktrain.openwhisk.client.records import ActivationRecord, Response

__all__ = ["Activation", "activation_of", "failure_of"]

_EXHAUSTED = r"exhausted its memory|out of memory|\bOOM|\b(exit|exited|status|code)\D{0,20}137\b"
"""What platforms say of an action that was killed for its memory; 137 is the exit status of a process that was killed."""

_STATUS = {
    0: "success",
    1: "application error",
    2: "action developer error",
    3: "whisk internal error",
}


@dataclass(frozen=True, slots=True)
class Activation:
    """The record of one invocation.

    Attributes:
        id: The activation's id.
        name: The entity's name, without its package.
        path: Its full name, `namespace/package/name`, where known.
        start: Start, in epoch milliseconds.
        end: End, in epoch milliseconds; None for a trigger.
        duration_ms: Duration in milliseconds.
        status: "success", "application error", "action developer error" or "whisk internal error".
        result: The action's answer.
        logs: Log lines; of a sequence, the ids of its components' activations.
        kind: The runtime's kind, or "sequence".
        cause: Of a component: the sequence's activation.
        init_ms: Milliseconds of a cold start; None where the container was warm.
        wait_ms: Milliseconds until it started.
        memory_mb: Its memory limit.
        timed_out: Whether its duration limit ended it.
    """

    id: str
    name: str
    path: str
    start: int
    end: int | None
    duration_ms: int
    status: str
    result: Json
    logs: tuple[str, ...] = field(default=(), repr=False)
    kind: str = ""
    cause: str | None = None
    init_ms: int | None = None
    wait_ms: int | None = None
    memory_mb: int | None = None
    timed_out: bool = False

    @property
    def succeeded(self) -> bool:
        """Whether it answered without an error."""
        return self.status == "success"

    def with_logs(self, logs: Sequence[str]) -> Activation:
        """The same with log lines."""
        return replace(self, logs=tuple(logs))


def activation_of(record: ActivationRecord) -> Activation:
    """Read a record as OpenWhisk writes it: of a list, of a GET, or the body of a blocking invocation."""
    annotations = _annotations(record)
    response = record.get("response") or {}
    name = str(record.get("name", ""))
    limits = annotations.get("limits")
    memory = limits.get("memory") if isinstance(limits, Mapping) else None
    return Activation(
        id=str(record.get("activationId", "")),
        name=name,
        path=str(annotations.get("path", name)),
        start=int(record.get("start") or 0),
        end=int(record["end"]) if record.get("end") else None,
        duration_ms=int(record.get("duration") or 0),
        status=_status(record, response),
        result=response.get("result"),
        logs=tuple(str(line) for line in record.get("logs") or ()),
        kind=str(annotations.get("kind", "")),
        cause=record.get("cause"),
        init_ms=_whole(annotations.get("initTime")),
        wait_ms=_whole(annotations.get("waitTime")),
        memory_mb=_whole(memory),
        timed_out=bool(annotations.get("timeout", False)),
    )


def _annotations(record: ActivationRecord) -> JsonObject:
    pairs = record.get("annotations") or []
    return {
        pair["key"]: pair.get("value")
        for pair in pairs
        if isinstance(pair, Mapping) and "key" in pair
    }


def _status(record: ActivationRecord, response: Response) -> str:
    """The status as text, of a record in full or of a list's row."""
    if status := response.get("status"):
        return str(status)
    code = record.get("statusCode", response.get("statusCode"))
    return _STATUS.get(code if code is not None else 0, "unknown")


def _whole(value: Json) -> int | None:
    return int(value) if isinstance(value, int | float) else None


def failure_of(activation: Activation) -> WhisktrainError:
    """The error that a failed activation is: the action's own where it sent one, else a `PlatformError`.

    The error carries `activation`, the record it came from (with its log lines where they were fetched).
    """
    error = activation.result.get("error") if isinstance(activation.result, Mapping) else None
    if isinstance(error, Mapping) and "message" in error:
        failure = from_record(dict(error), str(error.get("kind") or ""))
    else:
        text = error if isinstance(error, str) else f"it ended with {activation.status!r}"
        failure = (
            _out_of_memory(activation)
            if re.search(_EXHAUSTED, text, re.IGNORECASE)
            else PlatformError(
                f"The action {activation.path} failed (activation {activation.id}): {text}",
                code="timed_out" if activation.timed_out else "action_failed",
                hint="The activation's log may say more.",
                retryable=activation.timed_out,
            )
        )
    failure.activation = activation  # type: ignore[attr-defined]
    return failure


def _out_of_memory(activation: Activation) -> PlatformError:
    """The failure of an action that was killed because it took more memory than it may."""
    name, has = activation.path.rpartition("/")[2], activation.memory_mb
    hint = f"Give {name} more memory than its {has} MB." if has else f"Give {name} more memory."
    if has and f"/{settings.PACKAGE}/" in f"/{activation.path}":
        variable = f"WHISKTRAIN_{name.upper()}_MEMORY"
        hint = f"Set {variable}={2 * has} and deploy again: whisktrain deploy; or use a smaller model or smaller batches."
    return PlatformError(
        f"The action {activation.path} was killed, because it needs more memory than the {has or 'few'} MB that it has "
        f"(activation {activation.id}).",
        code="out_of_memory",
        hint=hint,
        retryable=False,
    )
