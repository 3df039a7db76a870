"""Whether somebody follows the store: the follower's own word, and a document that only its fire makes go away."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import requests

from whisktrain.doctor.finding import Finding, Tell, failed, wait_for
from whisktrain.doctor.records import Start, describe, starts
from whisktrain.doctor.remedies import FOLLOW, remedy, room
from whisktrain.errors import WhisktrainError
from whisktrain.openwhisk.client import Client
from whisktrain.openwhisk.manifest import Package
from whisktrain.records import ids

if TYPE_CHECKING:
    from whisktrain.store.protocol import Store

__all__ = ["check_health", "check_wake_up", "fired_for"]

FIRE_S = 12.0
"""Seconds in which a follower that lives has fired for what it has just seen."""
SWEEP_S = 45.0
"""Seconds in which the aggregate that was fired has swept, a cold start included."""
_HTTP_TIMEOUT = 10.0


def check_health(environment: Mapping[str, str]) -> Iterator[Finding]:
    """What the follower says of itself, where WHISKTRAIN_FOLLOWER_URL says where it answers."""
    url = environment.get("WHISKTRAIN_FOLLOWER_URL", "").rstrip("/")
    if not url:
        return
    try:
        answer = requests.get(f"{url}/healthz", timeout=_HTTP_TIMEOUT)
        record = answer.json()
        well = answer.status_code == 200 and bool(record.get("ok"))
    except (requests.RequestException, ValueError, AttributeError):
        yield Finding("follower's health", ok=False, detail=f"it does not answer at {url}", fix=FOLLOW)
        return
    if well:
        yield Finding("follower's health", ok=True, detail=f"it is well ({url})")
    else:
        why = str(record.get("error") or record)[:200]
        fix = "See its log (docker compose logs follower), and start it again."
        yield Finding("follower's health", ok=False, detail=f"it is not: {why}", fix=fix)


@dataclass(slots=True)
class _Seen:
    """What has come of the document so far."""

    start: Start | None = None
    swept: bool = False


def fired_for(client: Client, package: Package, run: str) -> Start | None:
    """The newest fire of the package's triggers for a run."""
    for trigger in package.triggers:
        for start in starts(client, trigger.name, limit=20):
            if start.run == run:
                return start
    return None


def check_wake_up(client: Client, store: Store, package: Package, *, wired: bool, tell: Tell) -> Iterator[Finding]:
    """Leave a document without a run in the store: the follower fires, the rule starts an aggregate, and that sweeps it.

    Args:
        client: The platform.
        store: The store that the follower is to follow.
        package: What is deployed.
        wired: Whether trigger and rule are in order; a fire leaves no trace otherwise, and nothing can be seen.
        tell: Told how it goes.
    """
    if not wired:
        yield Finding("follower", ok=True, detail="not checked: its fires leave no trace without trigger and active rule")
        return
    run = f"doctor-{uuid.uuid4().hex[:12]}"
    id_, seen = ids.stop(run), _Seen()

    def look_for_fire() -> bool | None:
        seen.swept = store.rounds.get(id_) is None
        seen.start = seen.start or fired_for(client, package, run)
        return True if seen.swept or seen.start else None

    def look_for_sweep() -> bool | None:
        seen.swept = store.rounds.get(id_) is None
        ended = seen.start is not None and (seen.start.error or client.activation(seen.start.activation) is not None)
        return True if seen.swept or ended else None

    try:
        store.rounds.put(id_, {"schema": ids.SCHEMA})
        try:
            wait_for(look_for_fire, "follower: waiting for its fire", FIRE_S, tell)
            if seen.start is not None or seen.swept:
                wait_for(look_for_sweep, "wake-up: waiting for the aggregate that the rule starts", SWEEP_S, tell)
            seen.swept = store.rounds.get(id_) is None
        finally:
            store.rounds.delete(id_)
        yield from _conclude(client, store, package, seen)
    except WhisktrainError as error:
        yield failed("follower", error)


def _conclude(client: Client, store: Store, package: Package, seen: _Seen) -> Iterator[Finding]:
    start = seen.start
    if start is None and not seen.swept:
        detail = f"nobody has fired in {FIRE_S:.0f} s for a document in {store.url}"
        yield Finding("follower", ok=False, detail=detail, fix=FOLLOW)
        return
    yield Finding("follower", ok=True, detail=f"it follows {store.url} and fires")
    name = "wake-up"
    if seen.swept:
        yield Finding(name, ok=True, detail="its fire reaches the aggregate, which works on the same store")
        return
    if start is None:
        return
    short = start.action.rpartition("/")[2]
    entry = package.action(short)
    if start.error:
        detail = f"the follower fires, but the rule cannot start {start.action}: {start.error}"
        yield Finding(name, ok=False, detail=detail, fix=remedy(start.error, action=short).fix)
        return
    record = client.activation(start.activation)
    if record is None:
        detail = f"the rule has started {start.action}, and it did not end in {SWEEP_S:.0f} s (activation {start.activation})"
        fix = room(entry.limits.get("memory", 256) if entry else 256)
        yield Finding(name, ok=False, detail=detail, fix=fix)
    elif record.succeeded:
        detail = (
            f"{start.action} ran, but not on {store.url}: the deployment has another store than this command and the follower"
        )
        fix = "Deploy with that store (WHISKTRAIN_STORE=... whisktrain deploy), or name the deployment's here: --store URL"
        yield Finding(name, ok=False, detail=detail, fix=fix)
    else:
        text, cure = describe(record, entry)
        detail = f"the rule starts {start.action}, which fails: {text} (activation {record.id})"
        yield Finding(name, ok=False, detail=detail, fix=cure.fix)
