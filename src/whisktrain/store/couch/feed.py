"""Following CouchDB's feed of changes by long poll."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Collection
from typing import Any

from couchdb import http as couchdb_http

from whisktrain.store.couch.documents import plain
from whisktrain.store.couch.session import Answer, HttpSession
from whisktrain.store.protocol import Change, Changes

__all__ = ["follow"]

LONGEST_POLL = 20.0
"""Seconds of one long poll; longer waits are several, so that a dead connection is noticed."""

FIRST_POLL = 0.5
"""Seconds of the first of them, doubled each time.

CouchDB looks through the feed and begins to listen side by side (fabric_view_changes), so that a write between the two wakes
nobody until the next one: it is asked again before long.
"""

PAGE = 500
"""Rows to look through at once for a prefix."""

MARGIN = 10.0
"""Seconds that an answer may be late."""


def follow(
    session: HttpSession,
    address: str,
    since: str | None,
    *,
    timeout: float,
    prefix: str | None,
    ids: Collection[str] | None,
    limit: int,
    bodies: bool,
    deaf: bool,
) -> Changes:
    """The feed at `address` after a position; see `whisktrain.store.protocol.Database.changes`.

    Ids are filtered by the server, a prefix is filtered here. A server is `deaf` if it ignores a long poll's time-out.
    """
    if since is None:
        return Changes(str(_ask(session, address, {"since": "now", "limit": 1}, None)["last_seq"]), [])
    wanted = None if ids is None else frozenset(ids)
    until = time.monotonic() + timeout
    position = since
    page = limit if prefix is None else max(limit, PAGE)
    longest = FIRST_POLL
    while True:
        wait = min(max(until - time.monotonic(), 0.0), longest, LONGEST_POLL)
        longest *= 2
        query: dict[str, Any] = {"since": position, "limit": page} | ({"include_docs": "true"} if bodies else {})
        if wait > 0:
            # A deaf server is left waiting: no byte of a heartbeat may come before we hang up.
            query |= {"feed": "longpoll"} | ({"heartbeat": 3_600_000} if deaf else {"timeout": math.ceil(wait * 1000)})
        silence = {"last_seq": position, "results": []} if deaf and wait > 0 else None
        found = _ask(
            session, address, query, wanted, read_timeout=max(wait, 0.05) if silence else wait + MARGIN, silence=silence
        )
        position, raw = str(found["last_seq"]), found["results"]
        asked = [row for row in raw if _is_asked(row["id"], prefix, wanted)]
        if len(asked) > limit:
            asked = asked[:limit]
            position = str(asked[-1]["seq"])
        # A full page may have more of what is asked for behind it, also when nothing is waited for.
        if asked or (len(raw) < page and time.monotonic() >= until):
            return Changes(position, [_change(row) for row in asked])


def _change(row: dict[str, Any]) -> Change:
    found, deleted = row.get("doc"), bool(row.get("deleted"))
    return Change(row["id"], deleted, plain(found) if found and not deleted else None)


def _is_asked(id_: str, prefix: str | None, wanted: frozenset[str] | None) -> bool:
    return id_.startswith(prefix or "") and not id_.startswith("_") and (wanted is None or id_ in wanted)


def _ask(
    session: HttpSession,
    address: str,
    query: dict[str, Any],
    ids: frozenset[str] | None,
    *,
    read_timeout: float = MARGIN,
    silence: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """One request. `silence` is what no answer within the time-out means."""
    headers = {"Accept": "application/json"}
    body = None
    if ids is not None:
        query = query | {"filter": "_doc_ids"}
        headers["Content-Type"] = "application/json"
        body = json.dumps({"doc_ids": sorted(ids)}).encode()
    url = str(couchdb_http.urljoin(address, **query))
    answer = session.send(
        "GET" if body is None else "POST",
        url,
        body=body,
        headers=headers,
        read_timeout=read_timeout,
        silence=None if silence is None else Answer(200, {}, json.dumps(silence).encode()),
    )
    found: dict[str, Any] = answer.json()
    return found
