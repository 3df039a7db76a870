"""What the rounds need of the platform: to start an activation and not wait for it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from whisktrain.errors import PlatformError

__all__ = ["Invoker", "invoke_all"]

AT_ONCE = 8


class Invoker(Protocol):
    """Starts activations of the deployment's actions."""

    def invoke(self, action: str, arguments: dict[str, Any]) -> str:
        """Start one activation without waiting for it; bounded retries inside.

        Args:
            action: "worker" or "aggregate".
            arguments: Its arguments: references and numbers.

        Returns:
            The activation's id.

        Raises:
            PlatformError: It could not be started.
        """


def invoke_all(invoker: Invoker, action: str, calls: Sequence[dict[str, Any]]) -> list[tuple[dict[str, Any], PlatformError]]:
    """Start several activations side by side.

    A platform that refuses some is no reason to fail: what was not started becomes overdue and is started again.

    Returns:
        The arguments of those that were not started, and why.
    """

    def one(arguments: dict[str, Any]) -> tuple[dict[str, Any], PlatformError] | None:
        try:
            invoker.invoke(action, arguments)
        except PlatformError as error:
            return arguments, error
        return None

    if len(calls) <= 1:
        return [refused for refused in map(one, calls) if refused]
    with ThreadPoolExecutor(min(len(calls), AT_ONCE), thread_name_prefix="invoke") as pool:
        return [refused for refused in pool.map(one, calls) if refused]
