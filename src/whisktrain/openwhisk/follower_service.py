"""The follower as a service: follows the store, fires the trigger, says how it is.

Everything comes from the environment: the platform from WSK_CONFIG_FILE or WHISK_APIHOST and WHISK_AUTH, the store from
WHISKTRAIN_STORE. With WHISKTRAIN_FOLLOWER_PORT set, `/healthz` and `/metrics` answer there (on WHISKTRAIN_FOLLOWER_BIND,
127.0.0.1 by default).
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import prometheus_client
import structlog

from whisktrain.errors import ConfigurationError, PlatformError, TooManyRequests, WhisktrainError
from whisktrain.openwhisk import wskprops
from whisktrain.openwhisk.client import Client

if TYPE_CHECKING:
    from whisktrain.store.protocol import Store

__all__ = ["Firing", "Health", "serve"]

SHARE = 0.8
"""The share of the platform's fires a minute that the follower uses: others fire triggers too."""
_LONGEST_PAUSE = 30.0
_FIRE_PATIENCE = 10.0


def logger() -> Any:
    """A log of JSON lines on standard output."""
    return structlog.wrap_logger(
        structlog.PrintLogger(sys.stdout),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.JSONRenderer(default=str),
        ],
    )


class Health:
    """What the service counts, and whether it is well.

    Args:
        store: The store; asked whether it answers.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.following = False
        self.registry = prometheus_client.CollectorRegistry()
        self.fires = prometheus_client.Counter(
            "whisktrain_follower_fires", "Trigger fires, by outcome", ["outcome"], registry=self.registry
        )
        self.restarts = prometheus_client.Counter(
            "whisktrain_follower_restarts", "Times that following began again after a failure", registry=self.registry
        )
        self.last_fire = prometheus_client.Gauge(
            "whisktrain_follower_last_fire_timestamp_seconds", "When the last fire was accepted", registry=self.registry
        )
        self.seconds = prometheus_client.Histogram(
            "whisktrain_follower_fire_seconds", "Duration of a fire", registry=self.registry
        )

    def check(self) -> dict[str, Any]:
        """Whether the service follows and the store answers: `{"ok", "following", "store"}`."""
        try:
            self._store.rounds.list("run:", bodies=False, limit=1)
            store = "reachable"
        except WhisktrainError as error:
            store = error.code
        return {"ok": self.following and store == "reachable", "following": self.following, "store": store}


class Firing:
    """Fires triggers, within the platform's rate, with backing off left to whoever calls.

    Args:
        client: The platform.
        health: Counts.
        log: Log.
        stop: Set when the service is to end; waiting stops then.
        per_minute: Fires that the platform allows a minute.
    """

    def __init__(self, client: Client, health: Health, log: Any, stop: threading.Event, per_minute: int) -> None:
        self._client = client
        self._health = health
        self._log = log
        self._stop = stop
        self._most = max(1, int(per_minute * SHARE))
        self._recent: deque[float] = deque()
        self._lock = threading.Lock()

    def _await_turn(self) -> None:
        """Wait until one more fire stays within the rate."""
        while not self._stop.is_set():
            with self._lock:
                now = time.monotonic()
                while self._recent and now - self._recent[0] >= 60.0:
                    self._recent.popleft()
                if len(self._recent) < self._most:
                    self._recent.append(now)
                    return
                pause = 60.0 - (now - self._recent[0])
            self._stop.wait(min(pause, 1.0))

    def __call__(self, trigger: str, payload: dict[str, Any]) -> None:
        """Fire a trigger.

        Args:
            trigger: Its name, with or without namespace.
            payload: `{"run": R}`.

        Raises:
            PlatformError: It was not accepted, after bounded retries of 429.
        """
        self._await_turn()
        if self._stop.is_set():
            return
        begun = time.monotonic()
        try:
            activation = self._client.fire(trigger, payload, patience=_FIRE_PATIENCE)
        except PlatformError as error:
            self._health.fires.labels("limited" if isinstance(error, TooManyRequests) else "refused").inc()
            self._log.warning("not fired", trigger=trigger, run=payload.get("run"), code=error.code, reason=error.message)
            raise
        self._health.seconds.observe(time.monotonic() - begun)
        self._health.last_fire.set_to_current_time()
        self._health.fires.labels("accepted" if activation else "no_rule").inc()
        if activation is None:
            self._log.warning("no active rule", trigger=trigger, run=payload.get("run"), hint="whisktrain deploy")
        else:
            self._log.info("fired", trigger=trigger, run=payload.get("run"), activation=activation)


class _Pages(ThreadingHTTPServer):
    """Serves `/healthz` and `/metrics`."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], health: Health) -> None:
        super().__init__(address, _Page)
        self.health = health


class _Page(BaseHTTPRequestHandler):
    server: _Pages

    def do_GET(self) -> None:
        """Answer one of the two pages."""
        status, kind, body = 404, "text/plain; charset=utf-8", b"/healthz and /metrics\n"
        if self.path == "/healthz":
            found = self.server.health.check()
            status, kind, body = (200 if found["ok"] else 503), "application/json", json.dumps(found).encode()
        elif self.path == "/metrics":
            kind = prometheus_client.CONTENT_TYPE_LATEST
            status, body = 200, prometheus_client.generate_latest(self.server.health.registry)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class' name
        """Keep standard error for failures."""


def _open_pages(environment: Mapping[str, str], health: Health) -> _Pages | None:
    text = environment.get("WHISKTRAIN_FOLLOWER_PORT", "").strip()
    if not text:
        return None
    bind = environment.get("WHISKTRAIN_FOLLOWER_BIND", "").strip() or "127.0.0.1"
    if not text.isdecimal():
        raise ConfigurationError(f"WHISKTRAIN_FOLLOWER_PORT was {text!r}; expected a port's number.")
    try:
        pages = _Pages((bind, int(text)), health)
    except OSError as error:
        raise ConfigurationError(
            f"The follower cannot listen on {bind}:{text}: {error.strerror}.",
            code="port_in_use",
            hint="Set WHISKTRAIN_FOLLOWER_PORT to another port.",
        ) from None
    threading.Thread(target=pages.serve_forever, name="pages", daemon=True).start()
    return pages


def _fires_per_minute(client: Client, log: Any) -> int:
    from whisktrain.openwhisk import limits

    try:
        return limits.read(client.info(), client.limits(), {}).fires_per_minute
    except PlatformError as error:
        log.warning("limits unknown", reason=error.message)
        return limits.Limits().fires_per_minute


def serve(environment: Mapping[str, str] = os.environ, *, stop: threading.Event | None = None) -> None:
    """Follow until told to stop: by the event, SIGTERM or SIGINT (in the main thread).

    What fails on the way (the store, the platform) is logged and tried again, at the latest after half a minute.

    Args:
        environment: Variables, see above.
        stop: Set it to end the service.

    Raises:
        ConfigurationError: The environment names no platform or no store, or the port is in use.
    """
    from whisktrain.rounds.follower import Follower
    from whisktrain.store.opening import open_store

    ending = stop or threading.Event()
    properties = wskprops.of_environment(environment)
    address = environment.get("WHISKTRAIN_STORE", "").strip()
    if not address:
        raise ConfigurationError("The follower has no store to follow.", hint="Set WHISKTRAIN_STORE.")
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ending.set())
    log = logger()
    store = open_store(address)
    client = Client(properties.apihost, properties.auth, insecure=environment.get("WHISKTRAIN_INSECURE") == "yes")
    health = Health(store)
    pages = _open_pages(environment, health)
    log.info("following", apihost=client.apihost, store=store.url)
    try:
        firing = Firing(client, health, log, ending, _fires_per_minute(client, log))
        failures = 0
        while not ending.is_set():
            begun = time.monotonic()
            try:
                health.following = True
                Follower(store, firing).run(ending)
            except WhisktrainError as error:
                log.error("following failed", code=error.code, reason=error.message)
            except Exception as error:  # noqa: BLE001 - the one long-running process must not end
                log.error("following failed", code="internal", reason=type(error).__name__)
            if ending.is_set():
                break
            health.following = False
            health.restarts.inc()
            failures = 0 if time.monotonic() - begun > 60.0 else failures + 1
            ending.wait(random.uniform(0.0, min(_LONGEST_PAUSE, 0.5 * 2**failures)))
    finally:
        health.following = False
        if pages is not None:
            pages.shutdown()
            pages.server_close()
        client.close()
        store.close()
        log.info("stopped")
