"""The record of an invocation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from whisktrain.errors import PlatformError, WhisktrainError, from_record

__all__ = ["Activation", "activation_of", "failure_of"]

_STATUS = {0: "success", 1: "application error", 2: "action developer error", 3: "whisk internal error"}


@dataclass(frozen=True, slots=True)
class Activation:
    """What became of one invocation.

    Attributes:
        id: The activation's id.
        name: The entity's name, without its package.
        path: Its full name, `namespace/package/name`, where known.
        start: Start, in epoch milliseconds.
        end: End, in epoch milliseconds; None for a trigger.
        duration_ms: Duration in milliseconds.
        status: "success", "application error", "action developer error" or "whisk internal error".
        result: What was answered.
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
    result: Any
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


def activation_of(record: Mapping[str, Any]) -> Activation:
    """Read a record as OpenWhisk writes it: of a list, of a GET, or the body of a blocking invocation."""
    annotations = {a["key"]: a.get("value") for a in record.get("annotations") or [] if isinstance(a, Mapping) and "key" in a}
    response = record.get("response") or {}
    code = record.get("statusCode", response.get("statusCode"))
    limits = annotations.get("limits") or {}
    return Activation(
        id=str(record.get("activationId", "")),
        name=str(record.get("name", "")),
        path=str(annotations.get("path", record.get("name", ""))),
        start=int(record.get("start") or 0),
        end=int(record["end"]) if record.get("end") else None,
        duration_ms=int(record.get("duration") or 0),
        status=str(response.get("status") or _STATUS.get(code if code is not None else 0, "unknown")),
        result=response.get("result"),
        logs=tuple(str(line) for line in record.get("logs") or ()),
        kind=str(annotations.get("kind", "")),
        cause=record.get("cause"),
        init_ms=annotations.get("initTime"),
        wait_ms=annotations.get("waitTime"),
        memory_mb=limits.get("memory") if isinstance(limits, Mapping) else None,
        timed_out=bool(annotations.get("timeout", False)),
    )


def failure_of(activation: Activation) -> WhisktrainError:
    """The error that a failed activation is: the action's own where it sent one, else a `PlatformError`.

    The error carries `activation`, the record it came from (with its log lines where they were fetched).
    """
    error = activation.result.get("error") if isinstance(activation.result, Mapping) else None
    if isinstance(error, Mapping) and "message" in error:
        failure = from_record(dict(error), str(error.get("kind") or ""))
    else:
        text = error if isinstance(error, str) else f"it ended with {activation.status!r}"
        failure = PlatformError(
            f"The action {activation.path} failed (activation {activation.id}): {text}",
            code="timed_out" if activation.timed_out else "action_failed",
            hint="The activation's log may say more.",
            retryable=activation.timed_out,
        )
    failure.activation = activation  # type: ignore[attr-defined]
    return failure
