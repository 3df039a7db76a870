"""The context of an action: store, invoker, limits, deadline, log."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from whisktrain.errors import ConfigurationError
from whisktrain.openwhisk import limits as platform_limits
from whisktrain.openwhisk import settings
from whisktrain.openwhisk.client import Client
from whisktrain.openwhisk.limits import Limits

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from whisktrain.errors import PlatformError
    from whisktrain.rounds.activations import Ended
    from whisktrain.store.protocol import Store

__all__ = ["ActionInvoker", "Context", "current"]

_MARGIN = 2.0
"""Seconds before the deadline at which nothing is tried again."""
_LONGEST_RETRY_S = 75.0
_stores: dict[str, Store] = {}
_clients: dict[tuple[str, str], Client] = {}
_lock = threading.Lock()


def _client(environment: Mapping[str, str]) -> Client:
    """The client for the platform that runs this action; kept for later activations of this process."""
    apihost, key = environment.get("__OW_API_HOST", ""), environment.get("__OW_API_KEY", "")
    if not apihost:
        raise ConfigurationError(
            "The platform gave the action no API host (__OW_API_HOST).",
            hint="Invoke it through OpenWhisk.",
        )
    if not key:
        raise ConfigurationError(
            "The action has no key to invoke others with (__OW_API_KEY).",
            hint="Deploy it with the annotation provide-api-key: true.",
        )
    with _lock:
        client = _clients.get((apihost, key))
        if client is None:
            insecure = settings.is_on(environment.get("WHISKTRAIN_INSECURE"))
            client = _clients[apihost, key] = Client(apihost, key, insecure=insecure)
        return client


def _store(url: str) -> Store:
    """The store at an address; kept for later activations of this process."""
    from whisktrain.store.opening import open_store

    with _lock:
        store = _stores.get(url)
        if store is None:
            store = _stores[url] = open_store(url)
        return store


def _package(environment: Mapping[str, str]) -> str:
    """The prefix that the names of this action's package have: `/namespace/package/`."""
    namespace, _, rest = environment.get("__OW_ACTION_NAME", "").strip("/").partition("/")
    return f"/{namespace or '_'}/{rest.rpartition('/')[0]}/".replace("//", "/")


@dataclass(frozen=True)
class ActionInvoker:
    """Invokes the other actions of this action's package, without waiting.

    Args:
        environment: The action's environment: API host, key and its own name.
        deadline: Epoch seconds after which nothing is tried again.
    """

    environment: Mapping[str, str] = field(repr=False)
    deadline: float

    def invoke(self, action: str, arguments: Mapping[str, object]) -> str:
        """Start an action of the same package; 429 is tried again with jitter for as long as the deadline allows.

        Args:
            action: Its name within the package: "worker", "aggregate", …
            arguments: JSON arguments.

        Returns:
            The activation's id.

        Raises:
            PlatformError: It could not be started.
        """
        name = f"{_package(self.environment)}{action}"
        retry_timeout = max(0.0, min(_LONGEST_RETRY_S, self.deadline - time.time() - _MARGIN))
        return _client(self.environment).start(name, arguments, retry_timeout=retry_timeout)

    def give_memory(self, action: str, megabytes: int) -> None:
        """Raise the memory of an action of the same package.

        Args:
            action: Its name within the package.
            megabytes: The new limit.

        Raises:
            PlatformError: The platform refused it.
        """
        name = f"{_package(self.environment)}{action}"
        _client(self.environment).put("actions", name, {"limits": {"memory": megabytes}})

    def ended(self, activation: str) -> Ended | None:
        """The record of an activation that has ended; None where the platform has none.

        Raises:
            PlatformError: The platform does not answer.
        """
        from whisktrain.openwhisk.ended import ended

        return ended(_client(self.environment), activation)

    def wake_up_fault(self, triggers: Mapping[str, bool], since: float) -> PlatformError | None:
        """What keeps an aggregate from being started by the follower; None where nothing is known of it.

        Args:
            triggers: Whether each registered trigger is fired, by its full name.
            since: When an aggregate was needed, in seconds of the epoch.

        Raises:
            PlatformError: The platform does not answer.
        """
        from whisktrain.openwhisk.wiring import fault

        return fault(_client(self.environment), triggers, since)


@dataclass
class Context:
    """The context that an action runs in.

    Attributes:
        activation: This activation's id.
        action: The action's full name.
        namespace: The namespace that it runs in.
        deadline: Epoch seconds at which the platform ends the activation.
        embedded: Whether the host is whisktrain's own.
        invoker: Starts other actions of the package.
    """

    activation: str
    action: str
    namespace: str
    deadline: float
    embedded: bool
    invoker: ActionInvoker
    _environment: Mapping[str, str] = field(repr=False)
    _store_url: str = field(repr=False)

    @cached_property
    def store(self) -> Store:
        """The deployment's store.

        Raises:
            ConfigurationError: The deployment binds none, or not an address of one.
        """
        if not self._store_url:
            raise ConfigurationError(
                "The deployment names no store: its package parameter 'deployment_store' is empty.",
                code="no_store",
                hint="Set WHISKTRAIN_STORE and deploy again.",
            )
        return _store(self._store_url)

    @cached_property
    def log(self) -> FilteringBoundLogger:
        """Structured log; its lines go to the activation's log."""
        import structlog

        logger: FilteringBoundLogger = structlog.wrap_logger(
            structlog.PrintLogger(sys.stdout),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.JSONRenderer(default=str),
            ],
        )
        return logger

    @cached_property
    def limits(self) -> Limits:
        """The platform's limits; read once in an activation."""
        environment = self._environment
        return platform_limits.read_all(_client(environment), environment, _package(environment))


def current(store_url: str, environment: Mapping[str, str] | None = None) -> Context:
    """The context of the activation that runs now, from the launcher's variables.

    Args:
        store_url: The deployment's parameter `deployment_store`.
        environment: Variables; this process' own by default.
    """
    variables = dict(os.environ if environment is None else environment)
    raw = variables.get("__OW_DEADLINE", "")
    deadline = int(raw) / 1000 if raw.isdecimal() else time.time() + 60.0
    activation = variables.get("__OW_ACTIVATION_ID", "")
    return Context(
        activation=activation,
        action=variables.get("__OW_ACTION_NAME", ""),
        namespace=variables.get("__OW_NAMESPACE", "_"),
        deadline=deadline,
        embedded=bool(variables.get("WHISKTRAIN_EMBEDDED")),
        invoker=ActionInvoker(variables, deadline),
        _environment=variables,
        _store_url=store_url,
    )
