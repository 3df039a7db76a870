"""CouchDB's changes feed, read by long polls."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from typing import NotRequired, TypedDict, cast

from couchdb import http as couchdb_http

from whisktrain.store.couch.documents import plain
from whisktrain.store.couch.multipart import RawDocument
from whisktrain.store.couch.session import Answer, HttpSession
from whisktrain.store.protocol import Change, Changes

__all__ = ["Feed", "Selection"]

LONGEST_POLL = 20.0
"""Seconds of one long poll; longer waits are several, so that a dead connection is noticed."""

FIRST_POLL = 0.5
"""Seconds of the first of them, doubled each time.

CouchDB reads the feed and subscribes to updates side by side (fabric_view_changes), so a write between the two is only
reported with the next one: it is asked again before long.
"""

PAGE = 500
"""Rows to read at once for a prefix."""

MARGIN = 10.0
"""Seconds that an answer may be late."""

_SHORTEST_READ_TIMEOUT = 0.05
_LONG_HEARTBEAT_MS = 3_600_000


class _Row(TypedDict):
    """One change as CouchDB answers it."""

    id: str
    seq: str | int
    deleted: NotRequired[bool]
    doc: NotRequired[RawDocument | None]


class _ChangesAnswer(TypedDict):
    """The answer to `_changes`."""

    last_seq: str | int
    results: list[_Row]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which changes are asked for; see `whisktrain.store.protocol.Database.changes`.

    Attributes:
        prefix: Only ids that start so; filtered here.
        ids: Only these; filtered by the server.
        limit: At most so many rows.
        bodies: Whether to read the documents too.
    """

    prefix: str | None
    ids: frozenset[str] | None
    limit: int
    bodies: bool

    @property
    def page(self) -> int:
        """Rows to read in one request."""
        return self.limit if self.prefix is None else max(self.limit, PAGE)

    def includes(self, id_: str) -> bool:
        """Whether a document's change is asked for."""
        return (
            id_.startswith(self.prefix or "")
            and not id_.startswith("_")
            and (self.ids is None or id_ in self.ids)
        )


@dataclass(frozen=True, slots=True)
class Feed:
    """The changes feed of one database.

    Attributes:
        session: The session with the server.
        address: The address of `_changes`.
        ignores_timeout: Whether the server is PouchDB, which ignores `timeout` on long polls.
    """

    session: HttpSession
    address: str
    ignores_timeout: bool

    def position(self) -> str:
        """The present end of the feed."""
        return str(self._ask({"since": "now", "limit": 1}, None)["last_seq"])

    def changes(self, since: str, selection: Selection, timeout: float) -> Changes:
        """The selected changes after a position; waits for the first one, at most `timeout` seconds."""
        until = time.monotonic() + timeout
        position = since
        longest = FIRST_POLL
        while True:
            wait = min(max(until - time.monotonic(), 0.0), longest, LONGEST_POLL)
            longest *= 2
            answer = self._poll(position, selection, wait)
            position, results = str(answer["last_seq"]), answer["results"]
            rows = [row for row in results if selection.includes(row["id"])]
            if len(rows) > selection.limit:
                rows = rows[: selection.limit]
                position = str(rows[-1]["seq"])
            # A full page may have selected rows behind it, also when nothing is waited for.
            is_end = len(results) < selection.page
            if rows or (is_end and time.monotonic() >= until):
                return Changes(position, [_change(row) for row in rows])

    def _poll(self, position: str, selection: Selection, wait: float) -> _ChangesAnswer:
        """One request that waits for changes for `wait` seconds; 0 answers at once."""
        query: dict[str, str | int] = {"since": position, "limit": selection.page}
        if selection.bodies:
            query["include_docs"] = "true"
        if wait <= 0:
            return self._ask(query, selection.ids)
        query["feed"] = "longpoll"
        if not self.ignores_timeout:
            query["timeout"] = math.ceil(wait * 1000)
            return self._ask(query, selection.ids, read_timeout=wait + MARGIN)
        # PouchDB ignores `timeout`; use a long heartbeat and a client-side timeout.
        query["heartbeat"] = _LONG_HEARTBEAT_MS
        nothing = json.dumps({"last_seq": position, "results": []}).encode()
        read_timeout = max(wait, _SHORTEST_READ_TIMEOUT)
        return self._ask(
            query, selection.ids, read_timeout=read_timeout, on_timeout=Answer(200, {}, nothing)
        )

    def _ask(
        self,
        query: dict[str, str | int],
        ids: frozenset[str] | None,
        *,
        read_timeout: float = MARGIN,
        on_timeout: Answer | None = None,
    ) -> _ChangesAnswer:
        headers = {"Accept": "application/json"}
        body = None
        if ids is not None:
            query = {**query, "filter": "_doc_ids"}
            headers["Content-Type"] = "application/json"
            body = json.dumps({"doc_ids": sorted(ids)}).encode()
        answer = self.session.send(
            "GET" if body is None else "POST",
            str(couchdb_http.urljoin(self.address, **query)),
            body=body,
            headers=headers,
            read_timeout=read_timeout,
            on_timeout=on_timeout,
        )
        return cast(_ChangesAnswer, answer.json())


def _change(row: _Row) -> Change:
    document, deleted = row.get("doc"), bool(row.get("deleted"))
    return Change(row["id"], deleted, plain(document) if document and not deleted else None)
