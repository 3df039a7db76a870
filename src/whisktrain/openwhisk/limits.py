"""Limits of a platform: rates, concurrency, memory, durations."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from whisktrain.openwhisk import settings
from whisktrain.openwhisk.client import Client
from whisktrain.openwhisk.client.records import NamespaceLimits, PlatformInfo, PlatformLimits
from whisktrain.rules.capacity import ActionMemory

__all__ = ["Limits", "cores", "read", "read_all"]

MB = 1024 * 1024
_AS_SHIPPED = ActionMemory(*map(settings.memory_mb, ActionMemory._fields))


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one namespace on a platform; OpenWhisk's defaults where it publishes none.

    Attributes:
        concurrent: Activations at once.
        invocations_per_minute: Invocations a minute.
        fires_per_minute: Trigger fires a minute.
        memory_mb: Memory of all action containers together, in MB; None where it is not known.
        cores: Processors.
        max_duration_s: Longest duration of an action, in seconds.
        max_memory_mb: Largest memory of an action, in MB.
        one_machine: Whether every container runs on this process' own processors: on the embedded host.
        actions: Memory of the deployed actions, as the platform says it.
    """

    concurrent: int = 30
    invocations_per_minute: int = 60
    fires_per_minute: int = 60
    memory_mb: int | None = None
    cores: int = 1
    max_duration_s: float = 300.0
    max_memory_mb: int = 512
    one_machine: bool = False
    actions: ActionMemory = _AS_SHIPPED


def cores() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return max(1, os.cpu_count() or 1)


def _number(*candidates: object) -> int | None:
    """The first candidate that is a positive whole number."""
    for value in candidates:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0:
            return int(value)
        if isinstance(value, str) and value.strip().isdecimal() and int(value) > 0:
            return int(value)
    return None


def read(
    info: PlatformInfo,
    namespace: NamespaceLimits,
    environment: Mapping[str, str],
    *,
    processors: int | None = None,
    actions: ActionMemory = _AS_SHIPPED,
) -> Limits:
    """Combine the limits that a platform and a namespace publish with those of the environment.

    Args:
        info: The answer of `GET /`; its `limits` are the platform's (durations in ms, sizes in bytes).
        namespace: The answer of `GET …/limits` (durations in ms, sizes in MB); it goes before the platform's.
        environment: `WHISKTRAIN_CONTAINER_MEMORY` says what OpenWhisk does not publish;
            `WHISKTRAIN_EMBEDDED`, whether the host is ours.
        processors: Processors; this process' own by default.
        actions: Memory of the deployed actions; as the manifest gives it by default.
    """
    platform: PlatformLimits = info.get("limits") or {}
    default = Limits()
    concurrent = _number(namespace.get("concurrentInvocations"), platform.get("concurrent_actions"))
    invocations = _number(namespace.get("invocationsPerMinute"), platform.get("actions_per_minute"))
    fires = _number(namespace.get("firesPerMinute"), platform.get("triggers_per_minute"))
    duration_ms = _number(namespace.get("maxActionTimeout"), platform.get("max_action_duration"))
    return Limits(
        concurrent=concurrent or default.concurrent,
        invocations_per_minute=invocations or default.invocations_per_minute,
        fires_per_minute=fires or default.fires_per_minute,
        memory_mb=_number(environment.get("WHISKTRAIN_CONTAINER_MEMORY")),
        cores=processors or cores(),
        max_duration_s=duration_ms / 1000 if duration_ms else default.max_duration_s,
        max_memory_mb=_action_memory_mb(namespace, platform) or default.max_memory_mb,
        one_machine=environment.get("WHISKTRAIN_EMBEDDED") == "1",
        actions=actions,
    )


def read_all(client: Client, environment: Mapping[str, str], package: str) -> Limits:
    """Read all limits from a platform, the memory of the deployed actions included.

    Args:
        client: The platform.
        environment: As for `read`.
        package: The package of the actions, as a prefix of their names: `whisktrain/`.
    """
    actions = ActionMemory(*(_memory_mb(client, package, name) for name in ActionMemory._fields))
    return read(client.info(), client.limits(), environment, actions=actions)


def _memory_mb(client: Client, package: str, name: str) -> int:
    """The memory limit of a deployed action; as the manifest gives it where there is no such action."""
    record = client.action(f"{package}{name}")
    limits = record.get("limits", {}) if record is not None else {}
    return _number(limits.get("memory")) or settings.memory_mb(name)


def _action_memory_mb(namespace: NamespaceLimits, platform: PlatformLimits) -> int | None:
    """An action's largest memory: a namespace says it in MB, the platform in bytes."""
    in_mb = _number(namespace.get("maxActionMemory"))
    in_bytes = _number(platform.get("max_action_memory"))
    return in_mb if in_mb is not None or in_bytes is None else max(1, in_bytes // MB)
