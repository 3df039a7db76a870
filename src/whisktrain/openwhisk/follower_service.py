"""The follower as a service: follows the store, fires the trigger, serves health and metrics.

Everything comes from the environment: the platform from WSK_CONFIG_FILE or WHISK_APIHOST and WHISK_AUTH, the store from
WHISKTRAIN_STORE. With WHISKTRAIN_FOLLOWER_PORT set, `/healthz` and `/metrics` answer there (on WHISKTRAIN_FOLLOWER_BIND,
127.0.0.1 by default).
"""

from __future__ import annotations

import functools
import json
import os
import random
import re
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import prometheus_client
import structlog

from whisktrain.errors import ConfigurationError, PlatformError, TooManyRequests, WhisktrainError
from whisktrain.openwhisk import settings, wskprops
from whisktrain.openwhisk.client import Client
from whisktrain.openwhisk.ended import ended

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from whisktrain.rounds.activations import Ended
    from whisktrain.store.protocol import Store

__all__ = ["Service", "main", "serve"]

_RECORD_DELAY = 0.2
"""Seconds after which the record of a fire is looked for once more."""
_TOO_MANY = "Too many"
"""How OpenWhisk's refusals for the rate and for concurrent activations begin."""
STALE_S = 120.0
"""Seconds without a turn after which the follower counts as stuck."""
_LONGEST_PAUSE = 30.0
_FIRE_RETRY_TIMEOUT = 5.0
"""Seconds for which a 429 is retried at once; after that the follower itself backs off."""


def logger() -> FilteringBoundLogger:
    """A log of JSON lines on standard output."""
    log: FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(sys.stdout),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.JSONRenderer(default=str),
        ],
    )
    return log


class Service:
    """A follower with its metrics and health.

    Args:
        store: The store to follow.
        client: The platform to fire triggers at.
        log: Log.
        fires_per_minute: What the platform allows.
    """

    def __init__(
        self, store: Store, client: Client, log: FilteringBoundLogger, fires_per_minute: int
    ) -> None:
        from whisktrain.rounds.follower import Follower

        self._client = client
        self._log = log
        self.follower = Follower(
            store, self.fire, self, fires_per_minute=fires_per_minute, report=self._report
        )
        self.following = False
        self.registry = prometheus_client.CollectorRegistry()
        self._fires = prometheus_client.Counter(
            "whisktrain_follower_fires",
            "Trigger fires, by outcome",
            ["outcome"],
            registry=self.registry,
        )
        self._seconds = prometheus_client.Histogram(
            "whisktrain_follower_fire_seconds", "Duration of a fire", registry=self.registry
        )
        for name, about in (
            ("runs", "Runs that are watched"),
            ("triggers", "Registered triggers that are active"),
            ("looks", "Looks at a run's state"),
            ("idle_s", "Seconds since the last turn"),
        ):
            gauge = prometheus_client.Gauge(
                f"whisktrain_follower_{name}", about, registry=self.registry
            )
            gauge.set_function(functools.partial(self._figure, name))

    def _figure(self, name: str) -> float:
        figures: Mapping[str, object] = self.follower.status()
        return float(str(figures[name]))

    def fire(self, trigger: str, payload: Mapping[str, object]) -> None:
        """Fire a trigger.

        Args:
            trigger: `/namespace/name`.
            payload: `{"run": R}`.

        Raises:
            PlatformError: It was not accepted.
        """
        try:
            with self._seconds.time():
                activation = self._client.fire(trigger, payload, retry_timeout=_FIRE_RETRY_TIMEOUT)
                self._check_delivery(activation)
        except PlatformError as error:
            self._fires.labels("limited" if isinstance(error, TooManyRequests) else "refused").inc()
            self._log.warning(
                "not fired",
                trigger=trigger,
                run=payload.get("run"),
                code=error.code,
                reason=error.message,
            )
            raise
        self._fires.labels("accepted" if activation else "no_rule").inc()
        if activation is None:
            self._log.warning(
                "no active rule", trigger=trigger, run=payload.get("run"), hint="whisktrain deploy"
            )
        else:
            self._log.info("fired", trigger=trigger, run=payload.get("run"), activation=activation)

    def _check_delivery(self, activation: str | None) -> None:
        """Read of an accepted fire whether its action was started: where too many activations run, it was not.

        Raises:
            TooManyRequests: The platform declined the action, so that the fire is to be tried again soon.
        """
        record = self._client.activation(activation) if activation else None
        if record is None and activation:
            time.sleep(_RECORD_DELAY)
            record = self._client.activation(activation)
        declined = [line for line in record.logs if _TOO_MANY in line] if record is not None else []
        if record is not None and declined and len(declined) == len(record.logs):
            raise TooManyRequests(
                f"The trigger was fired, and OpenWhisk declined its action: {declined[0]}",
                hint="Wait until other activations have ended, or have the limit of concurrent invocations raised.",
            )

    def ended(self, activation: str) -> Ended | None:
        """The record of an activation that has ended; None where the platform has none.

        Raises:
            PlatformError: The platform does not answer.
        """
        return ended(self._client, activation)

    def _report(self, error: str) -> None:
        if error:
            self._log.warning("store does not answer", reason=error)
        else:
            self._log.info("store answers")

    def check(self) -> dict[str, object]:
        """The health record: `{"ok", "following", …}` and the follower's status."""
        status = self.follower.status()
        well = (
            self.following
            and status["idle_s"] < STALE_S
            and (status["waiting"] or not status["error"])
        )
        return {"ok": well, "following": self.following, **status}

    def run(self, stop: threading.Event) -> None:
        """Follow until `stop` is set; unexpected failures are logged and retried, at the latest after half a minute."""
        failures = 0
        while not stop.is_set():
            begun = time.monotonic()
            try:
                self.following = True
                self.follower.run(stop)
            except Exception as error:  # noqa: BLE001 - the one long-running process must not end
                self._log.error(
                    "following failed",
                    reason=_in_words(error),
                    code=getattr(error, "code", "internal"),
                    at=_place(error),
                )
            self.following = False
            if stop.is_set():
                return
            failures = 0 if time.monotonic() - begun > 60.0 else failures + 1
            stop.wait(random.uniform(0.0, min(_LONGEST_PAUSE, 0.5 * 2**failures)))


def _in_words(error: Exception) -> str:
    """What happened; of an unexpected failure, with its type and without a password in an address."""
    if isinstance(error, WhisktrainError):
        return str(error)
    text = re.sub(r"//[^/@\s]+@", "//", " ".join(str(error).split()))
    return f"{type(error).__name__}: {text[:300]}"


def _place(error: Exception) -> str:
    """Where a failure was raised, as "file.py:12"."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""


class _Pages(ThreadingHTTPServer):
    """Serves `/healthz` and `/metrics`."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], service: Service) -> None:
        super().__init__(address, _Page)
        self.service = service


class _Page(BaseHTTPRequestHandler):
    server: _Pages

    def do_GET(self) -> None:
        """Answer one of the two pages."""
        status, kind, body = 404, "text/plain; charset=utf-8", b"/healthz and /metrics\n"
        if self.path == "/healthz":
            found = self.server.service.check()
            status, kind, body = (
                (200 if found["ok"] else 503),
                "application/json",
                json.dumps(found).encode(),
            )
        elif self.path == "/metrics":
            kind = prometheus_client.CONTENT_TYPE_LATEST
            status, body = 200, prometheus_client.generate_latest(self.server.service.registry)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class' name
        """Keep standard error for failures."""


def _open_pages(environment: Mapping[str, str], service: Service) -> _Pages | None:
    text = environment.get("WHISKTRAIN_FOLLOWER_PORT", "").strip()
    if not text:
        return None
    bind = environment.get("WHISKTRAIN_FOLLOWER_BIND", "").strip() or "127.0.0.1"
    if not text.isdecimal():
        raise ConfigurationError(
            f"WHISKTRAIN_FOLLOWER_PORT was {text!r}; expected a port's number."
        )
    try:
        pages = _Pages((bind, int(text)), service)
    except OSError as error:
        raise ConfigurationError(
            f"The follower cannot listen on {bind}:{text}: {error.strerror}.",
            code="port_in_use",
            hint="Set WHISKTRAIN_FOLLOWER_PORT to another port.",
        ) from None
    threading.Thread(target=pages.serve_forever, name="pages", daemon=True).start()
    return pages


def _fires_per_minute(client: Client, log: FilteringBoundLogger) -> int:
    from whisktrain.openwhisk import limits

    try:
        return limits.read(client.info(), client.limits(), {}).fires_per_minute
    except PlatformError as error:
        log.warning("limits unknown", reason=error.message)
        return limits.Limits().fires_per_minute


def serve(
    environment: Mapping[str, str] = os.environ, *, stop: threading.Event | None = None
) -> None:
    """Follow until stopped: by the event, SIGTERM or SIGINT (in the main thread).

    Failures of the store or the platform are logged and retried, at the latest after half a minute.

    Args:
        environment: Variables, see above.
        stop: Set it to end the service.

    Raises:
        ConfigurationError: The environment names no platform or no store, or the port is in use.
    """
    from whisktrain.store.opening import open_store

    ending = stop or threading.Event()
    properties = wskprops.of_environment(environment)
    address = environment.get("WHISKTRAIN_STORE", "").strip()
    if not address:
        raise ConfigurationError(
            "The follower has no store to follow.", hint="Set WHISKTRAIN_STORE."
        )
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ending.set())
    log = logger()
    store = open_store(address)
    client = Client(
        properties.apihost,
        properties.auth,
        insecure=settings.is_on(environment.get("WHISKTRAIN_INSECURE")),
    )
    pages: _Pages | None = None
    try:
        service = Service(store, client, log, _fires_per_minute(client, log))
        pages = _open_pages(environment, service)
        log.info("following", apihost=client.apihost, store=store.url)
        service.run(ending)
    finally:
        if pages is not None:
            pages.shutdown()
            pages.server_close()
        client.close()
        store.close()
        log.info("stopped")


def main() -> None:
    """Entry point of a container: `serve`; what keeps it from starting is the last line of its log and its exit status."""
    try:
        serve()
    except WhisktrainError as error:
        logger().error("cannot follow", code=error.code, reason=error.message, hint=error.hint)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
