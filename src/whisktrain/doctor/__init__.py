"""Is everything as it must be? Each check says what it found, and how to fix what is wrong.

host ── deployed ── records      the platform, what is deployed to it, what its records say
storage ── following             the store, and whoever follows it
probe ── cleaning                a tiny model through the whole path, and its removal
remedies                         from the platform's words for a failure to what to do
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from whisktrain.doctor import deployed, following, host, probe, records, storage
from whisktrain.doctor.finding import Finding, Tell, failed, silent
from whisktrain.errors import WhisktrainError
from whisktrain.openwhisk import manifest as manifests
from whisktrain.openwhisk.client import Client
from whisktrain.openwhisk.limits import Limits
from whisktrain.openwhisk.manifest import Package
from whisktrain.openwhisk.system import manifest_path

if TYPE_CHECKING:
    from whisktrain.store.protocol import Store

__all__ = ["Finding", "Tell", "examine"]

_DISPROVED = ("image", "start", "missing")
"""Kinds of failures that are history once the action has answered."""


def examine(
    client: Client,
    store_address: str | None,
    environment: Mapping[str, str],
    *,
    end_to_end: bool = False,
    narrate: Callable[[Finding], None] = lambda _: None,
    tell: Tell = silent,
) -> list[Finding]:
    """Check a deployment from outside in.

    Args:
        client: The platform.
        store_address: The store's address as seen from here; None where it is not known here.
        environment: Variables: the deployment's (see `settings`), and WHISKTRAIN_FOLLOWER_URL, the follower's address.
        end_to_end: Whether to train a tiny model too.
        narrate: Called with each finding as it is made.
        tell: Called several times a second while a check waits: what it does, for how many seconds, for how many at most.

    Returns:
        The findings; checks that depend on a failed one are left out.
    """
    found: list[Finding] = []
    for finding in _Examination(client, store_address, environment, end_to_end, tell).checks():
        narrate(finding)
        found.append(finding)
    return found


@dataclass(slots=True)
class _Examination:
    """What is known so far."""

    client: Client
    store_address: str | None
    environment: Mapping[str, str]
    end_to_end: bool
    tell: Tell
    package: Package | None = None
    namespace: str = ""
    limits: Limits | None = None
    runs: bool = False
    wired: bool = False

    def checks(self) -> Iterator[Finding]:
        """All checks, in order."""
        platform = host.check_platform(self.client)
        yield platform
        if platform.ok:
            key, self.namespace = host.check_key(self.client)
            yield key
            if key.ok:
                yield from self._platform()
        yield from following.check_health(self.environment)
        yield from self._store()

    def _platform(self) -> Iterator[Finding]:
        client = self.client
        package = manifests.read(manifest_path(), self.environment).packages[0]
        try:
            self.limits = limits = host.read_limits(client, self.environment)
            memory = deployed.container_memory(client, package, limits)
        except WhisktrainError as error:
            yield failed("limits", error)
            return
        yield host.check_limits(limits)
        try:
            found = deployed.read_actions(client, package)
        except WhisktrainError as error:
            yield failed("actions", error)
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
            yield from records.check_starts(client, package)

    def _actions(self, package: Package, longest_ms: int) -> Iterator[Finding]:
        """Whether the actions start; how they ended lately is read before they are asked, which makes newer records."""
        try:
            lately = records.endings(self.client, package, longest_ms)
        except WhisktrainError as error:
            yield failed("last activations", error)
            lately = []
        answers = list(deployed.check_images(self.client, package, longest_ms, self.tell))
        yield from answers
        self.runs = all(finding.ok for finding in answers)
        broken = {finding.name.removeprefix("image of ") for finding in answers if not finding.ok}
        for ending in lately:
            if ending.action not in broken and ending.kind not in _DISPROVED:
                yield ending.finding()

    def _store(self) -> Iterator[Finding]:
        if self.store_address is None:
            yield Finding("store", ok=True, detail="not checked from here: give its address, --store URL or WHISKTRAIN_STORE")
            return
        from whisktrain.store.opening import open_store

        try:
            store = open_store(self.store_address)
        except WhisktrainError as error:
            yield failed("store", error)
            return
        try:
            yield from self._stored(store, self.store_address)
        finally:
            store.close()

    def _stored(self, store: Store, address: str) -> Iterator[Finding]:
        reachable = False
        for finding in storage.check_store(store, address):
            reachable = reachable or (finding.name == "store" and finding.ok)
            yield finding
        package = self.package
        if not reachable or package is None:
            return
        feed = storage.check_feed(store, [f"/{self.namespace}/{trigger.name}" for trigger in package.triggers])
        yield feed
        awake = True
        if feed.ok:
            for finding in following.check_wake_up(self.client, store, package, wired=self.wired, tell=self.tell):
                awake = awake and finding.ok
                yield finding
        if not self.end_to_end or self.limits is None:
            return
        if self.runs and self.wired and feed.ok and awake:
            yield probe.check_end_to_end(self.client, store, package, self.limits, self.tell)
        else:
            yield Finding("end to end", ok=True, detail="left out: it needs what has failed above")
