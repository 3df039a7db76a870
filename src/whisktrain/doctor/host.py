"""Checks of the platform itself: whether it answers, accepts the key, and what its limits mean."""

from __future__ import annotations

from collections.abc import Mapping

from whisktrain.doctor.findings import Finding, failed, of_error, passed
from whisktrain.errors import PlatformUnreachable, WhisktrainError
from whisktrain.openwhisk import limits as platform_limits
from whisktrain.openwhisk import settings
from whisktrain.openwhisk.client import Client
from whisktrain.openwhisk.limits import Limits

__all__ = ["check_key", "check_limits", "check_platform", "read_limits"]

_UNLIMITED = 1_000_000_000
"""The rate that a platform without a limit publishes."""
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
        standalone = (
            " A standalone is started by: docker compose up --detach --wait"
            if error.retryable
            else ""
        )
        return of_error("platform", error, error.hint + standalone)
    except WhisktrainError as error:
        return of_error("platform", error)
    if "limits" not in info and "runtimes" not in info:
        detail = f"What answers at {client.apihost} is not OpenWhisk."
        return failed("platform", detail, "Give OpenWhisk's address: --apihost http://HOST:3233")
    parts = [f"OpenWhisk at {client.apihost}"]
    if api := _known(version.get("api_version")):
        parts.append(f"API {api}")
    if build := " ".join(
        filter(None, (_known(version.get("build")), _known(version.get("buildno"))))
    ):
        parts.append(f"build {build}")
    return passed("platform", ", ".join(parts))


def _known(value: object) -> str:
    """A part of the version; empty where the platform does not know it itself, and says "???" or "N/A"."""
    text = str(value or "").strip()
    return text if any(c.isalnum() for c in text) and text.upper() != "N/A" else ""


def check_key(client: Client) -> tuple[Finding, str]:
    """Whether the key is accepted; and the namespace that it is for."""
    hint = _KEY.format(apihost=client.apihost)
    try:
        namespaces = client.namespaces()
    except WhisktrainError as error:
        return of_error("key", error, hint if error.code == "unauthorized" else ""), ""
    if not namespaces:
        return failed("key", "accepted, but for no namespace", hint), ""
    return passed("key", f"accepted; namespace {namespaces[0]}"), namespaces[0]


def read_limits(client: Client, environment: Mapping[str, str]) -> Limits:
    """Read the limits of the platform, the key's namespace and the deployed actions."""
    return platform_limits.read_all(client, environment, f"{settings.PACKAGE}/")


def check_limits(limits: Limits) -> Finding:
    """The limits, and their meaning for a run; failed only where the actions do not fit."""
    from whisktrain.rules.capacity import plan_slots

    slots = plan_slots(limits, 1024)
    memory = (
        f"{limits.memory_mb} MB for all containers"
        if limits.memory_mb
        else "memory of all containers unknown"
    )
    rate = "invocations not limited"
    meaning = f"{slots} worker{'s' if slots > 1 else ''} of {limits.actions.worker} MB at a time"
    if limits.invocations_per_minute < _UNLIMITED:
        rate = f"{limits.invocations_per_minute} invocations and {limits.fires_per_minute} fires a minute"
        literal = max(1, limits.invocations_per_minute // (slots + 1))
        meaning += f"; about {literal} rounds a minute with lease 0, as many as it can with leases"
    detail = (
        f"{limits.concurrent} at once, {rate}, {memory}, "
        f"{limits.max_memory_mb} MB and {limits.max_duration_s:.0f} s an action: {meaning}"
    )
    if limits.max_memory_mb < TENSORFLOW_MB:
        hint = f"TensorFlow needs {TENSORFLOW_MB} MB; allow it where OpenWhisk starts: -Dwhisk.memory.max={TENSORFLOW_MB}m"
        return failed("limits", detail, hint)
    return passed("limits", detail)
