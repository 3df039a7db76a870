"""The platform itself: whether it answers, takes the key, and what its limits mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from whisktrain.doctor.finding import Finding, failed
from whisktrain.errors import PlatformUnreachable, WhisktrainError
from whisktrain.openwhisk import limits as platform_limits
from whisktrain.openwhisk.client import Client
from whisktrain.openwhisk.limits import Limits

__all__ = ["check_key", "check_limits", "check_platform", "read_limits"]

_UNLIMITED = 1_000_000_000
"""What a platform says that does not limit a rate."""
TENSORFLOW_MB = 512
_KEY = (
    "Give the right one, UUID:KEY: whisktrain doctor --apihost {apihost} --auth KEY, or AUTH=KEY in the file that "
    "WSK_CONFIG_FILE names."
)


def check_platform(client: Client) -> Finding:
    """Whether an OpenWhisk answers, and which one."""
    try:
        info, version = client.info(), client.version()
    except PlatformUnreachable as error:
        fix = f"{error.hint} A standalone is started by: docker compose up --detach --wait" if error.retryable else error.hint
        return failed("platform", error, fix)
    except WhisktrainError as error:
        return failed("platform", error)
    if "limits" not in info and "runtimes" not in info:
        detail = f"What answers at {client.apihost} is not OpenWhisk."
        return Finding("platform", ok=False, detail=detail, fix="Give OpenWhisk's address: --apihost http://HOST:3233")
    parts = [f"OpenWhisk at {client.apihost}"]
    if api := _known(version.get("api_version")):
        parts.append(f"API {api}")
    if build := " ".join(filter(None, (_known(version.get(key)) for key in ("build", "buildno")))):
        parts.append(f"build {build}")
    return Finding("platform", ok=True, detail=", ".join(parts))


def _known(value: Any) -> str:
    """A part of the version, unless the platform does not know it itself: it says "???" or "N/A" then."""
    text = str(value or "").strip()
    return text if any(c.isalnum() for c in text) and text.upper() != "N/A" else ""


def check_key(client: Client) -> tuple[Finding, str]:
    """Whether the key is accepted; and the namespace that it is for."""
    try:
        namespaces = client.namespaces()
    except WhisktrainError as error:
        return failed("key", error, _KEY.format(apihost=client.apihost) if error.code == "unauthorized" else ""), ""
    if not namespaces:
        return Finding("key", ok=False, detail="accepted, but for no namespace", fix=_KEY.format(apihost=client.apihost)), ""
    return Finding("key", ok=True, detail=f"accepted; namespace {namespaces[0]}"), namespaces[0]


def read_limits(client: Client, environment: Mapping[str, str]) -> Limits:
    """What the platform allows the key's namespace."""
    return platform_limits.read(client.info(), client.limits(), environment)


def check_limits(limits: Limits) -> Finding:
    """What the limits mean for a run; wrong only where the actions do not fit."""
    from whisktrain.rules.capacity import plan_slots

    slots = plan_slots(limits, 1024)
    memory = f"{limits.memory_mb} MB for all containers" if limits.memory_mb else "memory of all containers unknown"
    rate = "invocations not limited"
    meaning = f"{slots} worker{'s' if slots > 1 else ''} at a time"
    if limits.invocations_per_minute < _UNLIMITED:
        rate = f"{limits.invocations_per_minute} invocations and {limits.fires_per_minute} fires a minute"
        literal = max(1, limits.invocations_per_minute // (slots + 1))
        meaning += f"; about {literal} rounds a minute with lease 0, as many as it can with leases"
    detail = (
        f"{limits.concurrent} at once, {rate}, {memory}, "
        f"{limits.max_memory_mb} MB and {limits.max_duration_s:.0f} s an action: {meaning}"
    )
    if limits.max_memory_mb < TENSORFLOW_MB:
        fix = f"TensorFlow needs {TENSORFLOW_MB} MB; allow it where OpenWhisk starts: -Dwhisk.memory.max={TENSORFLOW_MB}m"
        return Finding("limits", ok=False, detail=detail, fix=fix)
    return Finding("limits", ok=True, detail=detail)
