"""Checks of an installation from outside in; each failure comes with a hint.

host ── deployed ── activations   the platform, what is deployed to it, its activation records
storage ── follower               the store, and the follower of its changes
probe ── cleanup                  a tiny model through the whole pipeline, and its deletion
findings, hints                   results of checks; hints for the platform's messages
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from whisktrain.doctor import activations, deployed, follower, host, probe, storage
from whisktrain.doctor.findings import Finding, Progress, no_progress, of_error, passed
from whisktrain.errors import WhisktrainError
from whisktrain.openwhisk import manifest as manifests
from whisktrain.openwhisk.client import Client
from whisktrain.openwhisk.limits import Limits
from whisktrain.openwhisk.manifest import Package
from whisktrain.openwhisk.system import manifest_path

if TYPE_CHECKING:
    from whisktrain.store.protocol import Store

__all__ = ["Finding", "Progress", "examine"]

_DISPROVED = ("image", "start", "missing")
"""Kinds of failures that are history once the action has answered."""


def examine(
    client: Client,
    store_address: str | None,
    environment: Mapping[str, str],
    *,
    end_to_end: bool = False,
    report: Callable[[Finding], None] = lambda _: None,
    progress: Progress = no_progress,
) -> list[Finding]:
    """Check a deployment from outside in.

    Args:
        client: The platform.
        store_address: The store's address as seen from here; None where it is not known here.
        environment: Variables: the deployment's (see `settings`), and WHISKTRAIN_FOLLOWER_URL, the follower's address.
        end_to_end: Whether to train a tiny model too.
        report: Called with each finding as it is made.
        progress: Called several times a second while a check waits: what for, seconds so far, seconds at most.

    Returns:
        The findings; checks that depend on a failed one are left out.
    """
    found: list[Finding] = []
    for finding in _Examination(client, store_address, environment, end_to_end, progress).checks():
        report(finding)
        found.append(finding)
    return found


@dataclass(slots=True)
class _Examination:
    """One examination: its arguments, and what the checks so far have found."""

    client: Client
    store_address: str | None
    environment: Mapping[str, str]
    end_to_end: bool
    progress: Progress
    package: Package | None = None
    namespace: str = ""
    limits: Limits | None = None
    actions_run: bool = False
    wired: bool = False

    def checks(self) -> Iterator[Finding]:
        """Make all checks, in order."""
        platform = host.check_platform(self.client)
        yield platform
        if platform.ok:
            key, self.namespace = host.check_key(self.client)
            yield key
            if key.ok:
                yield from self._platform()
        yield from follower.check_health(self.environment)
        yield from self._store()

    def _platform(self) -> Iterator[Finding]:
        client = self.client
        package = manifests.read(manifest_path(), self.environment).packages[0]
        try:
            limits = host.read_limits(client, self.environment)
            memory = deployed.container_memory(client, package, limits)
            self.limits = limits = replace(limits, memory_mb=memory)
        except WhisktrainError as error:
            yield of_error("limits", error)
            return
        yield host.check_limits(limits)
        try:
            found = deployed.read_actions(client, package)
        except WhisktrainError as error:
            yield of_error("actions", error)
        else:
            package = deployed.as_deployed(package, found)
            actions = deployed.check_actions(package, found, memory)
            yield actions
            if actions.ok:
                yield from self._actions(package, int(limits.max_duration_s * 1000))
        self.package = package
        events = list(deployed.check_events(client, package))
        self.wired = all(finding.ok for finding in events)
        yield from events
        if self.wired:
            yield from activations.check_fires(client, package)

    def _actions(self, package: Package, longest_ms: int) -> Iterator[Finding]:
        """Whether the actions start; their recent failures are read before probes make newer records."""
        try:
            failures = activations.recent_failures(self.client, package, longest_ms)
        except WhisktrainError as error:
            yield of_error("last activations", error)
            failures = []
        answers = list(deployed.check_images(self.client, package, longest_ms, self.progress))
        yield from answers
        self.actions_run = all(finding.ok for finding in answers)
        broken = {finding.name.removeprefix("image of ") for finding in answers if not finding.ok}
        for failure in failures:
            if failure.action not in broken and failure.diagnosis.kind not in _DISPROVED:
                yield failure.finding()

    def _store(self) -> Iterator[Finding]:
        if self.store_address is None:
            yield passed(
                "store", "not checked from here: give its address, --store URL or WHISKTRAIN_STORE"
            )
            return
        from whisktrain.store.opening import open_store

        try:
            store = open_store(self.store_address)
        except WhisktrainError as error:
            yield of_error("store", error)
            return
        try:
            reachable = False
            for finding in storage.check_store(store, self.store_address):
                reachable = reachable or (finding.name == "store" and finding.ok)
                yield finding
            if reachable and self.package is not None:
                yield from self._events(store, self.package)
        finally:
            store.close()

    def _events(self, store: Store, package: Package) -> Iterator[Finding]:
        """Whether changes of the store reach the actions, and whether a tiny model can be trained."""
        feed = storage.check_feed(
            store, [f"/{self.namespace}/{trigger.name}" for trigger in package.triggers]
        )
        yield feed
        woken = list(self._wake_up(store, package)) if feed.ok else []
        yield from woken
        if not self.end_to_end or self.limits is None:
            return
        if self.actions_run and self.wired and feed.ok and all(finding.ok for finding in woken):
            yield probe.check_end_to_end(self.client, store, package, self.limits, self.progress)
        else:
            yield passed("end to end", "left out: it needs what has failed above")

    def _wake_up(self, store: Store, package: Package) -> Iterator[Finding]:
        return follower.check_wake_up(
            self.client, store, package, wired=self.wired, progress=self.progress
        )
