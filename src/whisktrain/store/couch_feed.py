"""Following CouchDB's feed of changes by long poll."""

from __future__ import annotations

import json
import time
from collections.abc import Collection
from typing import Any

from couchdb import http as couchdb_http

from whisktrain.store.couch_http import HttpSession
from whisktrain.store.protocol import Change, Changes

__all__ = ["follow"]

LONGEST_POLL = 20.0
"""Seconds of one long poll; longer waits are several, so that a dead connection is noticed."""

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
) -> Changes:
    """The feed at `address` after a position; see `whisktrain.store.protocol.Database.changes`.

    Ids are filtered by the server, a prefix is filtered here.
    """
    if since is None:
        return Changes(_poll(session, address, {"since": "now", "limit": 1}, None, 0.0)["last_seq"], [])
    wanted = None if ids is None else frozenset(ids)
    until = time.monotonic() + timeout
    position = since
    while True:
        wait = min(max(until - time.monotonic(), 0.0), LONGEST_POLL)
        found = _poll(session, address, {"since": position, "limit": limit}, wanted, wait)
        position, raw = found["last_seq"], found["results"]
        rows = [
            Change(row["id"], bool(row.get("deleted")))
            for row in raw
            if row["id"].startswith(prefix or "") and not row["id"].startswith("_") and (wanted is None or row["id"] in wanted)
        ]
        # A full page may have more of what is asked for behind it, also when nothing is waited for.
        if rows or (len(raw) < limit and time.monotonic() >= until):
            return Changes(position, rows)


def _poll(session: HttpSession, address: str, query: dict[str, Any], ids: frozenset[str] | None, wait: float) -> dict[str, Any]:
    """One request; the position as text, and the rows."""
    query = dict(query)
    if wait > 0:
        query |= {"feed": "longpoll", "timeout": max(1, round(wait * 1000))}
    headers = {"Accept": "application/json"}
    body = None
    if ids is not None:
        query["filter"] = "_doc_ids"
        headers["Content-Type"] = "application/json"
        body = json.dumps({"doc_ids": sorted(ids)}).encode()
    url = str(couchdb_http.urljoin(address, **query))
    answer = session.send("GET" if body is None else "POST", url, body=body, headers=headers, read_timeout=wait + MARGIN)
    found: dict[str, Any] = answer.json()
    return {"last_seq": str(found["last_seq"]), "results": found["results"]}
