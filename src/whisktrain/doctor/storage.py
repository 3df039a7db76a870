"""Checks of the document store: reachable, writable, with the settings that the protocol needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

import requests

from whisktrain.doctor.findings import Finding, failed, of_error, passed
from whisktrain.errors import WhisktrainError
from whisktrain.openwhisk.client.connection import no_netrc
from whisktrain.records.registrations import Registrations
from whisktrain.store.addresses import is_loopback
from whisktrain.store.trial import try_to_write

if TYPE_CHECKING:
    from whisktrain.store.protocol import Store

__all__ = ["check_feed", "check_store", "couch_settings"]

BUFFER = 1_048_576
"""CouchDB's `attachment_stream_buffer_size` with which a round takes half the time."""
_HTTP_TIMEOUT = 10.0
_NEVER_DELAYS = 3
"""CouchDB's first major version that never delays commits."""
_DEFAULT_BUFFER = 4096
_HINTS = {
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
        yield of_error("store", error, _HINTS.get(error.code, ""))
        return
    yield passed("store", f"{store.url} is reachable and can be written")
    if urlsplit(address).scheme in ("http", "https"):
        yield from couch_settings(address, store.rounds.name)


@dataclass(frozen=True, slots=True)
class _CouchAnswers:
    """A CouchDB's answers about itself and one database."""

    version: str
    is_pouch: bool
    copies: int
    shards: int
    buffer: requests.Response
    delayed_commits: requests.Response


def couch_settings(address: str, database: str) -> Iterator[Finding]:
    """One copy of one shard for the live runs, the buffer that halves a round, and commits that are not delayed."""
    try:
        answers = _ask(address, database)
    except (requests.RequestException, ValueError, AttributeError) as error:
        hint = "Check the address: --store http://USER:PASSWORD@HOST:5984"
        yield failed("store settings", f"could not be read: {type(error).__name__}", hint)
        return
    yield _check_copies(database, answers.copies, answers.shards)
    if answers.is_pouch:
        yield passed("store buffer", "PouchDB Server has none")
        return
    yield _check_buffer(answers.buffer)
    yield _check_commits(answers.version, answers.delayed_commits)


def _ask(address: str, database: str) -> _CouchAnswers:
    parts = urlsplit(address)
    base = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    with requests.Session() as session:
        session.trust_env = not is_loopback(parts.hostname or "")
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        session.auth = (
            requests.auth.HTTPBasicAuth(user.encode(), password.encode()) if user else no_netrc
        )

        def read(path: str) -> requests.Response:
            return session.get(f"{base}/{path}", timeout=_HTTP_TIMEOUT)

        cluster = read(quote(database, safe="")).json().get("cluster") or {}
        greeting = read("").json()
        return _CouchAnswers(
            version=str(greeting.get("version", "")),
            is_pouch="express-pouchdb" in greeting,
            copies=cluster.get("n", 1),
            shards=cluster.get("q", 1),
            buffer=read("_node/_local/_config/couchdb/attachment_stream_buffer_size"),
            delayed_commits=read("_node/_local/_config/couchdb/delayed_commits"),
        )


def _check_copies(database: str, copies: int, shards: int) -> Finding:
    detail = f"{database} has n={copies}, q={shards}"
    if copies == 1:
        return passed("store settings", detail)
    hint = (
        f"Compare-and-swap is only safe with one copy. While no run goes on: curl -X DELETE http://ADMIN:PASSWORD@HOST:5984/{database}"
        f" and then whisktrain deploy, which creates it with n=1 and q=1"
    )
    return failed("store settings", detail, hint)


def _check_buffer(answer: requests.Response) -> Finding:
    name = "store buffer"
    if answer.status_code in (401, 403):
        return passed(name, "not checked: only an administrator may read it")
    is_set = answer.status_code == 200
    try:
        size = int(str(answer.json())) if is_set else _DEFAULT_BUFFER
    except ValueError:
        size = _DEFAULT_BUFFER
    detail = f"attachment_stream_buffer_size is {size}" + ("" if is_set else ", the default")
    if size >= BUFFER:
        return passed(name, detail)
    hint = (
        "A round takes twice as long as it could: curl -X PUT http://ADMIN:PASSWORD@HOST:5984/_node/_local/_config/couchdb/"
        f"attachment_stream_buffer_size -d '\"{BUFFER}\"'"
    )
    return failed(name, detail, hint)


def _check_commits(version: str, answer: requests.Response) -> Finding:
    """CouchDB has not delayed commits since version 3, whatever the setting says; before, models could be lost."""
    name = "store commits"
    major = version.partition(".")[0]
    if not major.isdecimal() or int(major) >= _NEVER_DELAYS:
        return passed(name, f"CouchDB {version} does not delay them")
    if answer.status_code == 200 and "true" in answer.text:
        hint = (
            "A power cut loses models: curl -X PUT "
            "http://ADMIN:PASSWORD@HOST:5984/_node/_local/_config/couchdb/delayed_commits -d '\"false\"'"
        )
        return failed(name, f"CouchDB {version} delays them", hint)
    return passed(name, f"CouchDB {version}, delayed_commits is off")


def check_feed(store: Store, triggers: list[str]) -> Finding:
    """Whether the triggers are registered with the feed: those are what the follower fires.

    Args:
        store: The store.
        triggers: `/namespace/name` of each; empty where the namespace is not known.
    """
    hint = "Register it again: whisktrain deploy"
    try:
        active = Registrations(store).active()
    except WhisktrainError as error:
        return of_error("feed", error)
    if not active:
        what = f"{', '.join(triggers)} is not" if triggers else "no trigger is"
        return failed("feed", f"{what} registered in the store", hint)
    wanted = triggers or sorted(active)
    missing = [name for name in wanted if name not in active]
    if missing:
        known = ", ".join(sorted(active))
        return failed(
            "feed",
            f"{', '.join(missing)} is not registered in the store; registered: {known}",
            hint,
        )
    paused = [name for name in wanted if not active[name]]
    if paused:
        return failed("feed", f"{', '.join(paused)} is paused", hint)
    return passed("feed", f"registered: {', '.join(wanted)}")
