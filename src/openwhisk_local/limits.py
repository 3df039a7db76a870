"""The host's limits: its own generous defaults, or those of OpenWhisk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from openwhisk_local.jsontypes import JsonObject

MB = 1024 * 1024
UNLIMITED = 1_000_000_000
"""The published value of a rate that is not limited: clients expect a number."""


_CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def machine_memory_mb() -> int:
    """The machine's memory, or that of the container which this process runs in, in MB."""
    import psutil

    return min([psutil.virtual_memory().total, *_container_limits()]) // MB


def available_memory_mb() -> int:
    """The memory that programs may still take without swapping, in MB."""
    import psutil

    return int(psutil.virtual_memory().available // MB)


def _container_limits() -> Iterator[int]:
    for file in _CGROUP_LIMITS:
        try:
            text = file.read_text().strip()
        except OSError:
            continue
        if text.isdecimal():
            yield int(text)


def _three_quarters_of_the_machine() -> int:
    return machine_memory_mb() * 3 // 4


@dataclass(frozen=True)
class Limits:
    """The host's limits. All of them are published at `GET /` and at `/api/v1/namespaces/_/limits`.

    Args:
        invocations_per_minute: Invocations of one clock minute; None: any number.
        fires_per_minute: Trigger fires of one clock minute; None: any number.
        concurrent: Activations that may run or wait at once.
        user_memory_mb: Memory of all action processes together, counted by their memory limits; by default three quarters
            of the machine's.
        min_memory_mb: The smallest memory limit of an action.
        max_memory_mb: The largest.
        default_memory_mb: An action's memory limit when it states none.
        min_duration_ms: The smallest duration limit of an action.
        max_duration_ms: The largest.
        default_duration_ms: An action's duration limit when it states none.
        max_logs_mb: The largest limit of an activation's log lines.
        default_logs_mb: That limit when an action states none.
        max_payload: Largest arguments, stored parameters and results, in bytes.
        max_code: Largest code of an action, in bytes as sent (base64 counts).
        max_components: Most components of a sequence or a composition.
        max_blocking_s: How long a blocking invocation is waited for before it is answered 202.
        idle_s: How long an unused process stays warm.
        activations_kept: Activation records kept, newest first.
        activation_bytes_kept: Bytes of results and logs kept, newest first.
    """

    invocations_per_minute: int | None = None
    fires_per_minute: int | None = None
    concurrent: int = 200
    user_memory_mb: int = field(default_factory=_three_quarters_of_the_machine)
    min_memory_mb: int = 128
    max_memory_mb: int = 4096
    default_memory_mb: int = 256
    min_duration_ms: int = 100
    max_duration_ms: int = 600_000
    default_duration_ms: int = 60_000
    max_logs_mb: int = 10
    default_logs_mb: int = 10
    max_payload: int = MB
    max_code: int = 48 * MB
    max_components: int = 50
    max_blocking_s: float = 60.0
    idle_s: float = 600.0
    activations_kept: int = 10_000
    activation_bytes_kept: int = 256 * MB

    @property
    def max_entity(self) -> int:
        """Largest body that creates or changes an entity, in bytes."""
        return self.max_code + 2 * self.max_payload + MB

    @classmethod
    def openwhisk_defaults(cls) -> Limits:
        """The limits of OpenWhisk 2.0.0 standalone as it comes."""
        return cls(
            invocations_per_minute=60,
            fires_per_minute=60,
            concurrent=30,
            user_memory_mb=1024,
            max_memory_mb=512,
            max_duration_ms=300_000,
        )

    def of_the_platform(self) -> JsonObject:
        """The limits as published at `GET /`: durations in milliseconds, sizes in bytes."""
        return {
            "actions_per_minute": _published(self.invocations_per_minute),
            "concurrent_actions": self.concurrent,
            "default_max_action_duration": self.max_duration_ms,
            "default_max_action_logs": self.max_logs_mb * MB,
            "default_max_action_memory": self.max_memory_mb * MB,
            "default_min_action_duration": self.min_duration_ms,
            "default_min_action_logs": 0,
            "default_min_action_memory": self.min_memory_mb * MB,
            "max_action_duration": self.max_duration_ms,
            "max_action_logs": self.max_logs_mb * MB,
            "max_action_memory": self.max_memory_mb * MB,
            "min_action_duration": self.min_duration_ms,
            "min_action_logs": 0,
            "min_action_memory": self.min_memory_mb * MB,
            "sequence_length": self.max_components,
            "triggers_per_minute": _published(self.fires_per_minute),
        }

    def of_the_namespace(self) -> JsonObject:
        """The limits as published at `/namespaces/_/limits`: durations in milliseconds, memory and logs in MB."""
        return {
            "concurrentInvocations": self.concurrent,
            "firesPerMinute": _published(self.fires_per_minute),
            "invocationsPerMinute": _published(self.invocations_per_minute),
            "maxActionConcurrency": 1,
            "maxActionInstances": self.concurrent,
            "maxActionLogs": self.max_logs_mb,
            "maxActionMemory": self.max_memory_mb,
            "maxActionTimeout": self.max_duration_ms,
            "maxParameterSize": f"{self.max_payload} B",
            "minActionConcurrency": 1,
            "minActionLogs": 0,
            "minActionMemory": self.min_memory_mb,
            "minActionTimeout": self.min_duration_ms,
        }


def _published(rate: int | None) -> int:
    return UNLIMITED if rate is None else rate
