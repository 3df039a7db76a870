"""Is everything as it must be? Each check says what it found, and how to fix what is wrong."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

import requests

from whisktrain import __version__
from whisktrain.errors import WhisktrainError
from whisktrain.openwhisk import limits as platform_limits
from whisktrain.openwhisk import manifest as manifests
from whisktrain.openwhisk.client import Client
from whisktrain.openwhisk.manifest import Package
from whisktrain.openwhisk.settings import PACKAGE
from whisktrain.openwhisk.system import manifest_path

if TYPE_CHECKING:
    from whisktrain.store.protocol import Store

__all__ = ["Finding", "couch_settings", "examine"]

BUFFER = 1_048_576
"""CouchDB's `attachment_stream_buffer_size` with which a round takes half the time."""
_UNLIMITED = 1_000_000_000
"""What a platform says that does not limit a rate."""
_PROBE_TIMEOUT = 120.0
_END_TO_END_TIMEOUT = 300.0
_HTTP_TIMEOUT = 10.0
_FOLLOWER_S = 6.0
"""Seconds in which a follower that lives has fired for every run that needs it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        name: The check.
        ok: Whether all is well, as far as could be seen.
        detail: What was found.
        fix: What to do about it; empty where all is well.
    """

    name: str
    ok: bool
    detail: str
    fix: str = ""

    def to_record(self) -> dict[str, Any]:
        """`{"name", "ok", "detail", "fix"}`."""
        return {"name": self.name, "ok": self.ok, "detail": self.detail, "fix": self.fix}


def examine(
    client: Client,
    store_address: str | None,
    environment: Mapping[str, str],
    *,
    end_to_end: bool = False,
    narrate: Callable[[Finding], None] = lambda _: None,
) -> list[Finding]:
    """Check a deployment from outside in.

    Args:
        client: The platform.
        store_address: The store's address as seen from here; None where it is not known here.
        environment: Variables: the deployment's (see `settings`), and WHISKTRAIN_FOLLOWER_URL, the follower's address.
        end_to_end: Whether to train a tiny model too.
        narrate: Called with each finding as it is made.

    Returns:
        The findings; checks that depend on a failed one are left out.
    """
    found: list[Finding] = []
    for finding in _checks(client, store_address, environment, end_to_end):
        narrate(finding)
        found.append(finding)
    return found


def _of(name: str, error: WhisktrainError, fix: str = "") -> Finding:
    return Finding(name, ok=False, detail=error.message, fix=fix or error.hint)


def _checks(client: Client, store_address: str | None, environment: Mapping[str, str], end_to_end: bool) -> Iterator[Finding]:
    platform = _platform(client)
    yield platform
    if platform.ok:
        key = _key(client)
        yield key
        if key.ok:
            package = manifests.read(manifest_path(), environment).packages[0]
            yield _limits(client, environment)
            deployed = _deployed(client, package)
            yield deployed
            if deployed.ok:
                yield from _image(client)
            yield from _events(client, package)
    reachable = False
    for finding in _store(store_address) if store_address else ():
        reachable = reachable or (finding.name == "store" and finding.ok)
        yield finding
    yield _follower(environment, store_address if reachable else None)
    if end_to_end and platform.ok:
        yield _end_to_end(client, store_address)


def _platform(client: Client) -> Finding:
    try:
        info, version = client.info(), client.version()
    except WhisktrainError as error:
        return _of("platform", error)
    if "limits" not in info and "runtimes" not in info:
        return Finding(
            "platform", ok=False, detail=f"What answers at {client.apihost} is not OpenWhisk.", fix="Check the API host."
        )
    build = " ".join(str(version[k]) for k in ("build", "buildno") if version.get(k))
    return Finding(
        "platform", ok=True, detail=f"OpenWhisk at {client.apihost}, API {version.get('api_version', '?')} {build}".strip()
    )


def _key(client: Client) -> Finding:
    try:
        namespaces = client.namespaces()
    except WhisktrainError as error:
        return _of("key", error)
    return Finding("key", ok=True, detail=f"accepted; namespace {namespaces[0] if namespaces else '?'}")


def _limits(client: Client, environment: Mapping[str, str]) -> Finding:
    """What the limits mean for a run; wrong only where the actions do not fit."""
    from whisktrain.rounds.slots import plan_slots

    try:
        limits = platform_limits.read(client.info(), client.limits(), environment)
    except WhisktrainError as error:
        return _of("limits", error)
    slots = plan_slots(limits, 1024)
    memory = f"{limits.memory_mb} MB for all containers" if limits.memory_mb else "memory of all containers unknown"
    rate = "invocations not limited"
    meaning = f"{slots} workers at a time"
    if limits.invocations_per_minute < _UNLIMITED:
        rate = f"{limits.invocations_per_minute} invocations and {limits.fires_per_minute} fires a minute"
        literal = max(1, limits.invocations_per_minute // (slots + 1))
        meaning += f"; about {literal} rounds a minute with lease 0, as many as it can with leases"
    detail = (
        f"{limits.concurrent} at once, {rate}, {memory}, "
        f"{limits.max_memory_mb} MB and {limits.max_duration_s:.0f} s an action: {meaning}"
    )
    if limits.max_memory_mb < 512:
        return Finding("limits", ok=False, detail=detail, fix="Allow actions of 512 MB: TensorFlow does not fit in less.")
    return Finding("limits", ok=True, detail=detail)


def _deployed(client: Client, package: Package) -> Finding:
    names = [f"{package.name}/{entry.name}" for part in (package.actions, package.sequences) for entry in part]
    try:
        found = {name: client.get("actions", name) for name in names}
    except WhisktrainError as error:
        return _of("actions", error)
    missing = [name for name, entity in found.items() if entity is None]
    if missing:
        return Finding(
            "actions", ok=False, detail=f"not deployed: {', '.join(missing)}", fix="Deploy the system: whisktrain deploy."
        )
    small = []
    for entry in package.actions:
        limits = (found[f"{package.name}/{entry.name}"] or {}).get("limits") or {}
        if entry.image and entry.limits.get("memory", 0) > limits.get("memory", 0):
            small.append(f"{entry.name} ({limits.get('memory')} MB instead of {entry.limits['memory']})")
    if small:
        return Finding(
            "actions", ok=False, detail=f"too little memory: {', '.join(small)}", fix="Deploy again: whisktrain deploy."
        )
    return Finding("actions", ok=True, detail=f"{len(names)} deployed")


def _image(client: Client) -> Iterator[Finding]:
    """Ask one action of each image what it is: whether the image starts, its version, and its way to the store."""
    for action in ("train", "worker"):
        name = f"image of {action}"
        try:
            answer = client.result(f"{PACKAGE}/{action}", {"probe": True}, timeout=_PROBE_TIMEOUT)
        except WhisktrainError as error:
            yield _of(name, error, "Build the image (runtime-image/), set WHISKTRAIN_IMAGE to it and deploy again.")
            continue
        version = answer.get("lib_version") if isinstance(answer, dict) else None
        if version != __version__:
            fix = f"Install whisktrain {version} here, or deploy an image with {__version__}."
            yield Finding(name, ok=False, detail=f"it has whisktrain {version}, here is {__version__}", fix=fix)
        else:
            yield Finding(name, ok=True, detail=f"whisktrain {version}, Python {answer.get('python')}")
        store = answer.get("store") if isinstance(answer, dict) else None
        if action == "worker" and isinstance(store, dict):
            fix = "" if store.get("ok") else "Set WHISKTRAIN_STORE to an address that containers reach, and deploy again."
            detail = f"{store.get('url') or 'store'}: {store.get('detail')}"
            yield Finding("store, from an action", ok=bool(store.get("ok")), detail=detail, fix=fix)


def _events(client: Client, package: Package) -> Iterator[Finding]:
    """The trigger and its rule."""
    for trigger in package.triggers:
        try:
            there = client.get("triggers", trigger.name) is not None
        except WhisktrainError as error:
            yield _of("trigger", error)
            continue
        fix = "" if there else "Deploy the system: whisktrain deploy."
        yield Finding("trigger", ok=there, detail=f"{trigger.name} {'is there' if there else 'is missing'}", fix=fix)
    for rule in package.rules:
        try:
            entity = client.get("rules", rule.name)
        except WhisktrainError as error:
            yield _of("rule", error)
            continue
        status = "missing" if entity is None else str(entity.get("status"))
        fix = "" if status == "active" else f"Deploy again, or: wsk rule enable {rule.name}"
        yield Finding("rule", ok=status == "active", detail=f"{rule.name} is {status}", fix=fix)


def _store(address: str) -> Iterator[Finding]:
    from whisktrain.store.opening import open_store

    store: Store | None = None
    try:
        store = open_store(address)
        for database in (store.library, store.rounds):
            name = f"doctor:{uuid.uuid4().hex}"
            database.put(name, {"schema": 1})
            database.delete(name)
        yield Finding("store", ok=True, detail=f"{store.url} is reachable and can be written")
        if urlsplit(address).scheme in ("http", "https"):
            yield from couch_settings(address, store.rounds.name)
        yield _registered(store)
    except WhisktrainError as error:
        yield _of("store", error, error.hint or "Check the address, and create the databases: whisktrain deploy.")
    finally:
        if store is not None:
            store.close()


def couch_settings(address: str, database: str) -> Iterator[Finding]:
    """One copy of one shard for the live runs, and the buffer that halves a round."""
    parts = urlsplit(address)
    base = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    auth = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    try:
        answer = requests.get(f"{base}/{quote(database, safe='')}", auth=auth, timeout=_HTTP_TIMEOUT)
        cluster = answer.json().get("cluster") or {}
        config = requests.get(
            f"{base}/_node/_local/_config/couchdb/attachment_stream_buffer_size", auth=auth, timeout=_HTTP_TIMEOUT
        )
    except (requests.RequestException, ValueError) as error:
        yield Finding("store settings", ok=False, detail=f"could not be read: {type(error).__name__}", fix="Check the address.")
        return
    copies = cluster.get("n", 1)
    fix = "" if copies == 1 else f"Create {database} anew with n=1 and q=1: compare-and-swap is only safe with one copy."
    yield Finding("store settings", ok=copies == 1, detail=f"{database} has n={copies}, q={cluster.get('q', 1)}", fix=fix)
    if config.status_code in (401, 403):
        yield Finding("store buffer", ok=True, detail="not checked: only an administrator may read it")
    elif config.status_code == 200:
        size = int(str(config.json()) or 0)
        fix = "" if size >= BUFFER else f"Set [couchdb] attachment_stream_buffer_size = {BUFFER}: a round takes half the time."
        yield Finding("store buffer", ok=size >= BUFFER, detail=f"attachment_stream_buffer_size is {size}", fix=fix)
    elif "express-pouchdb" in requests.get(base, auth=auth, timeout=_HTTP_TIMEOUT).text:
        yield Finding("store buffer", ok=True, detail="PouchDB Server has none")
    else:
        fix = f"Set [couchdb] attachment_stream_buffer_size = {BUFFER}: a round takes half the time."
        yield Finding("store buffer", ok=False, detail="attachment_stream_buffer_size is the default, 4096", fix=fix)


def _registered(store: Store) -> Finding:
    """Whether the feed has a registration: what the follower fires."""
    registrations = store.rounds.list("registration:", bodies=False)
    if registrations:
        return Finding(
            "feed", ok=True, detail=f"{len(registrations)} registered: {registrations[0].id.removeprefix('registration:')}"
        )
    return Finding("feed", ok=False, detail="no trigger is registered in the store", fix="Deploy again: whisktrain deploy.")


def _follower(environment: Mapping[str, str], store_address: str | None) -> Finding:
    """Whether somebody follows: as the follower says where its address is known, else as the open runs show."""
    url = environment.get("WHISKTRAIN_FOLLOWER_URL", "").rstrip("/")
    if not url:
        return _followed(store_address)
    try:
        answer = requests.get(f"{url}/healthz", timeout=_HTTP_TIMEOUT)
        record = answer.json()
    except (requests.RequestException, ValueError):
        return Finding("follower", ok=False, detail=f"does not answer at {url}", fix="Start it: whisktrain follow.")
    if answer.status_code == 200 and record.get("ok"):
        return Finding("follower", ok=True, detail=f"follows ({url})")
    return Finding("follower", ok=False, detail=f"is not well: {record}", fix="See its log.")


def _followed(store_address: str | None) -> Finding:
    """Whether runs that need somebody are looked after: a follower would have fired for them within seconds."""
    if store_address is None:
        detail = "not checked: set WHISKTRAIN_FOLLOWER_URL to its address, http://HOST:PORT"
        return Finding("follower", ok=True, detail=detail)
    from whisktrain.store.opening import open_store

    store = open_store(store_address)
    try:
        waiting = _in_need(store)
        if waiting:
            time.sleep(_FOLLOWER_S)
            waiting &= _in_need(store)
    except WhisktrainError as error:
        return _of("follower", error)
    finally:
        store.close()
    if waiting:
        runs = ", ".join(sorted(waiting)[:3])
        return Finding("follower", ok=False, detail=f"nobody looks after {runs}", fix="Start it: whisktrain follow.")
    return Finding("follower", ok=True, detail="no run waits for it")


def _in_need(store: Store) -> set[str]:
    """The runs for which a follower would fire now."""
    from whisktrain.rounds.follower import Follower

    found: set[str] = set()
    Follower(store, lambda _, payload: found.add(str(payload["run"]))).turn(0.0)
    return found


def _end_to_end(client: Client, store_address: str | None) -> Finding:
    """Train a tiny model through the whole path, and remove it."""
    name = f"doctor-{uuid.uuid4().hex[:8]}"
    request = {
        "data": "iris",
        "model": "linear",
        "train": {"workers": 1, "rounds": 3, "batch": "full", "name": name},
        "predict": {"rows": [[5.1, 3.5, 1.4, 0.2]]},
    }
    try:
        answer = client.result(f"{PACKAGE}/pipeline", request, timeout=_END_TO_END_TIMEOUT)
        if not isinstance(answer, dict) or answer.get("status") != "completed" or not answer.get("decisions"):
            return Finding("end to end", ok=False, detail=f"ended as {str(answer)[:200]}", fix="See `whisktrain runs list`.")
        if store_address:
            _forget(store_address, str(answer["run"]), name)
    except WhisktrainError as error:
        return _of("end to end", error)
    return Finding("end to end", ok=True, detail=f"trained and decided in {answer.get('seconds')} s")


def _forget(address: str, run: str, name: str) -> None:
    from whisktrain.store import documents
    from whisktrain.store.opening import open_store

    store = open_store(address)
    try:
        ids = (documents.model(name, 1), documents.version(name, 1), documents.alias(name), documents.summary(run))
        store.library.delete_many(ids)
    finally:
        store.close()
