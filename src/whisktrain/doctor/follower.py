"""Checks of the follower: its health page, and a document that only its fire makes go away."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import requests

from whisktrain.doctor.activations import RuleStart, explain_failure, rule_starts
from whisktrain.doctor.findings import Finding, Progress, failed, of_error, passed, wait_for
from whisktrain.doctor.hints import diagnose, no_container
from whisktrain.errors import WhisktrainError
from whisktrain.openwhisk.client import Client
from whisktrain.openwhisk.manifest import Package
from whisktrain.openwhisk.wiring import START_FOLLOWER
from whisktrain.records.run_records import RunRecords

if TYPE_CHECKING:
    from whisktrain.store.protocol import Store

__all__ = ["check_health", "check_wake_up", "start_for"]

FIRE_S = 12.0
"""Seconds within which a live follower fires for what it has just seen."""
SWEEP_S = 45.0
"""Seconds within which the aggregate that was fired has swept, a cold start included."""
_HTTP_TIMEOUT = 10.0
_DEFAULT_MEMORY_MB = 256


def check_health(environment: Mapping[str, str]) -> Iterator[Finding]:
    """The follower's health page, where WHISKTRAIN_FOLLOWER_URL says its address."""
    name, url = "follower's health", environment.get("WHISKTRAIN_FOLLOWER_URL", "").rstrip("/")
    if not url:
        return
    try:
        answer = requests.get(f"{url}/healthz", timeout=_HTTP_TIMEOUT)
        record = answer.json()
        healthy = answer.status_code == 200 and bool(record.get("ok"))
    except (requests.RequestException, ValueError, AttributeError):
        yield failed(name, f"it does not answer at {url}", START_FOLLOWER)
        return
    if healthy:
        yield passed(name, f"it is well ({url})")
    else:
        reason = str(record.get("error") or record)[:200]
        yield failed(
            name,
            f"it is not: {reason}",
            "See its log (docker compose logs follower), and start it again.",
        )


def start_for(client: Client, package: Package, run: str) -> RuleStart | None:
    """The newest action start by the package's triggers for a run."""
    for trigger in package.triggers:
        for start in rule_starts(client, trigger.name, limit=20):
            if start.run == run:
                return start
    return None


def check_wake_up(
    client: Client, store: Store, package: Package, *, wired: bool, progress: Progress
) -> Iterator[Finding]:
    """Put a document without a run into the store: the follower fires, the rule starts an aggregate, and that sweeps it.

    Args:
        client: The platform.
        store: The store that the follower is to follow.
        package: What is deployed.
        wired: Whether trigger and rule are in order; a fire leaves no trace otherwise, and nothing can be seen.
        progress: Called while the check waits.
    """
    if not wired:
        yield passed(
            "follower", "not checked: its fires leave no trace without trigger and active rule"
        )
        return
    check = _WakeUp(client, store, package, f"doctor-{uuid.uuid4().hex[:12]}")
    try:
        check.observe(progress)
        yield from check.findings()
    except WhisktrainError as error:
        yield of_error("follower", error)


@dataclass(slots=True)
class _WakeUp:
    """One wake-up check: the document of a run that does not exist, and what became of it so far."""

    client: Client
    store: Store
    package: Package
    run: str
    start: RuleStart | None = None
    swept: bool = False

    def observe(self, progress: Progress) -> None:
        """Put the document, wait for the fire and the sweep, delete it."""
        records = RunRecords(self.store, self.run)
        records.request_stop()
        try:
            wait_for(self._poll_fire, "follower: waiting for its fire", FIRE_S, progress)
            if self.start is not None or self.swept:
                wait_for(
                    self._poll_sweep,
                    "wake-up: waiting for the aggregate that the rule starts",
                    SWEEP_S,
                    progress,
                )
            self._look_for_document()
        finally:
            records.withdraw_stop()

    def _look_for_document(self) -> None:
        self.swept = not RunRecords(self.store, self.run).stop_requested()

    def _poll_fire(self) -> bool | None:
        self._look_for_document()
        self.start = self.start or start_for(self.client, self.package, self.run)
        return True if self.swept or self.start else None

    def _poll_sweep(self) -> bool | None:
        self._look_for_document()
        start = self.start
        ended = start is not None and (
            start.error or self.client.activation(start.activation) is not None
        )
        return True if self.swept or ended else None

    def findings(self) -> Iterator[Finding]:
        """Whether the follower fired, and whether its fire reached the aggregate."""
        if self.start is None and not self.swept:
            detail = (
                f"the follower has not fired in {FIRE_S:.0f} s for a document in {self.store.url}"
            )
            yield failed("follower", detail, START_FOLLOWER)
            return
        yield passed("follower", f"it follows {self.store.url} and fires")
        if self.swept:
            yield passed("wake-up", "its fire reaches the aggregate, which works on the same store")
        elif self.start is not None:
            yield self._unswept(self.start)

    def _unswept(self, start: RuleStart) -> Finding:
        """The finding where the rule's action has not swept the document."""
        name, action = "wake-up", start.action
        if start.error:
            detail = f"the follower fires, but the rule cannot start {action}: {start.error}"
            return failed(name, detail, diagnose(start.error, action=start.action_name).hint)
        entry = self.package.action(start.action_name)
        record = self.client.activation(start.activation)
        if record is None:
            detail = f"the rule has started {action}, and it did not end in {SWEEP_S:.0f} s (activation {start.activation})"
            memory = entry.limits.get("memory", _DEFAULT_MEMORY_MB) if entry else _DEFAULT_MEMORY_MB
            return failed(name, detail, no_container(memory))
        if record.succeeded:
            other = "the deployment has another store than this command and the follower"
            detail = f"{action} ran, but not on {self.store.url}: {other}"
            hint = "Deploy with that store (WHISKTRAIN_STORE=... whisktrain deploy), or name the deployment's here: --store URL"
            return failed(name, detail, hint)
        text, diagnosis = explain_failure(record, entry)
        return failed(
            name,
            f"the rule starts {action}, which fails: {text} (activation {record.id})",
            diagnosis.hint,
        )
