"""The document store as seen from here: reachable, writable, with the settings that the protocol needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

import requests

from whisktrain.doctor.finding import Finding, failed
from whisktrain.errors import WhisktrainError
from whisktrain.openwhisk.client.connection import is_loopback
from whisktrain.store.trial import try_to_write

if TYPE_CHECKING:
    from whisktrain.store.protocol import Store

__all__ = ["check_feed", "check_store", "couch_settings"]

BUFFER = 1_048_576
"""CouchDB's `attachment_stream_buffer_size` with which a round takes half the time."""
_HTTP_TIMEOUT = 10.0
_OLDEST = 3
"""CouchDB's major version that never delays commits."""
_FIXES = {
    "store_unreachable": "Start it (docker compose up --detach couchdb), or give its address: "
    "--store http://USER:PASSWORD@HOST:5984",
    "store_unauthorized": "Give the right ones: --store http://USER:PASSWORD@HOST:5984 (or WHISKTRAIN_STORE)",
    "store_missing": "Create the databases, as an administrator: whisktrain deploy --store http://ADMIN:PASSWORD@HOST:5984",
    "store_forbidden": "Let the user write: make it a member of both databases (docs/howto/openwhisk.md, CouchDB, has the "
    "commands), and look for a design document there that refuses writes.",
}


def check_store(store: Store, address: str) -> Iterator[Finding]:
    """Write and delete a document in both databases, and read the settings of a CouchDB."""
    try:
        try_to_write(store)
    except WhisktrainError as error:
        yield failed("store", error, _FIXES.get(error.code, ""))
        return
    yield Finding("store", ok=True, detail=f"{store.url} is reachable and can be written")
    if urlsplit(address).scheme in ("http", "https"):
        yield from couch_settings(address, store.rounds.name)


def couch_settings(address: str, database: str) -> Iterator[Finding]:
    """One copy of one shard for the live runs, the buffer that halves a round, and commits that are not delayed."""
    parts = urlsplit(address)
    base = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    with requests.Session() as session:
        session.trust_env = not is_loopback(base)
        # Given as a function: else requests would put a password of ~/.netrc in its place.
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        basic = requests.auth.HTTPBasicAuth(user.encode(), password.encode()) if user else None
        session.auth = basic or _nobody

        def read(path: str) -> requests.Response:
            return session.get(f"{base}/{path}", timeout=_HTTP_TIMEOUT)

        try:
            cluster = read(quote(database, safe="")).json().get("cluster") or {}
            greeting = read("").json()
            buffer = read("_node/_local/_config/couchdb/attachment_stream_buffer_size")
            delayed = read("_node/_local/_config/couchdb/delayed_commits")
        except (requests.RequestException, ValueError, AttributeError) as error:
            detail = f"could not be read: {type(error).__name__}"
            yield Finding(
                "store settings", ok=False, detail=detail, fix="Check the address: --store http://USER:PASSWORD@HOST:5984"
            )
            return
    yield _copies(database, cluster)
    if "express-pouchdb" in greeting:
        yield Finding("store buffer", ok=True, detail="PouchDB Server has none")
        return
    yield _buffer(buffer)
    yield _commits(str(greeting.get("version", "")), delayed)


def _nobody(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _copies(database: str, cluster: dict[str, Any]) -> Finding:
    copies, parts = cluster.get("n", 1), cluster.get("q", 1)
    detail = f"{database} has n={copies}, q={parts}"
    if copies == 1:
        return Finding("store settings", ok=True, detail=detail)
    fix = (
        f"Compare-and-swap is only safe with one copy. While no run goes on: curl -X DELETE http://ADMIN:PASSWORD@HOST:5984/{database}"
        f" and then whisktrain deploy, which creates it with n=1 and q=1"
    )
    return Finding("store settings", ok=False, detail=detail, fix=fix)


def _buffer(answer: requests.Response) -> Finding:
    name = "store buffer"
    if answer.status_code in (401, 403):
        return Finding(name, ok=True, detail="not checked: only an administrator may read it")
    try:
        size = int(str(answer.json())) if answer.status_code == 200 else 4096
    except ValueError:
        size = 4096
    said = f"attachment_stream_buffer_size is {size}" + ("" if answer.status_code == 200 else ", the default")
    if size >= BUFFER:
        return Finding(name, ok=True, detail=said)
    fix = (
        "A round takes twice as long as it could: curl -X PUT http://ADMIN:PASSWORD@HOST:5984/_node/_local/_config/couchdb/"
        f"attachment_stream_buffer_size -d '\"{BUFFER}\"'"
    )
    return Finding(name, ok=False, detail=said, fix=fix)


def _commits(version: str, answer: requests.Response) -> Finding:
    """CouchDB has not delayed commits since version 3, whatever the setting says; before, models could be lost."""
    name = "store commits"
    major = version.partition(".")[0]
    if not major.isdecimal() or int(major) >= _OLDEST:
        return Finding(name, ok=True, detail=f"CouchDB {version} does not delay them")
    if answer.status_code == 200 and "true" in answer.text:
        fix = (
            "A power cut loses models: curl -X PUT "
            "http://ADMIN:PASSWORD@HOST:5984/_node/_local/_config/couchdb/delayed_commits -d '\"false\"'"
        )
        return Finding(name, ok=False, detail=f"CouchDB {version} delays them", fix=fix)
    return Finding(name, ok=True, detail=f"CouchDB {version}, delayed_commits is off")


def check_feed(store: Store, triggers: list[str]) -> Finding:
    """Whether the triggers are registered with the feed: those are what the follower fires.

    Args:
        store: The store.
        triggers: `/namespace/name` of each; empty where the namespace is not known.
    """
    fix = "Register it again: whisktrain deploy"
    try:
        found = {str(d.body.get("trigger")): bool(d.body.get("active")) for d in store.rounds.list("registration:")}
    except WhisktrainError as error:
        return failed("feed", error)
    wanted = triggers or sorted(found)
    missing = [name for name in wanted if name not in found]
    if missing or not found:
        known = f"; registered: {', '.join(sorted(found))}" if found else ""
        what = f"{', '.join(missing)} is not" if missing else "no trigger is"
        return Finding("feed", ok=False, detail=f"{what} registered in the store{known}", fix=fix)
    paused = [name for name in wanted if not found[name]]
    if paused:
        return Finding("feed", ok=False, detail=f"{', '.join(paused)} is paused", fix=fix)
    return Finding("feed", ok=True, detail=f"registered: {', '.join(wanted)}")
