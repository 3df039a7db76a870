"""The changes feed of the embedded store: rows after a position, and positions."""

from __future__ import annotations

import json
from collections.abc import Collection

from whisktrain.errors import StoreError
from whisktrain.store.bodies import after_prefix, decode
from whisktrain.store.protocol import Change, Changes, Document
from whisktrain.store.sqlite.connections import Connections

__all__ = ["SqliteFeed"]


class SqliteFeed:
    """The feed of one database: documents by the sequence of their last write.

    A position is the sequence and the file's epoch, so that one of another file is noticed.

    Args:
        connections: The connections to the database.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._epoch = ""

    def changes(
        self, after: int, prefix: str | None, ids: Collection[str] | None, limit: int, bodies: bool
    ) -> Changes:
        """The changes after a sequence; see `whisktrain.store.protocol.Database.changes`."""
        where, values = "", []
        if prefix:
            end = after_prefix(prefix)
            # The plus keeps SQLite from walking the index of ids: what is new is the shorter way.
            where = " AND +id >= ?" + (" AND +id < ?" if end is not None else "")
            values = [prefix] if end is None else [prefix, end]
        if ids is not None:
            where += " AND id IN (SELECT value FROM json_each(?))"
            values = [*values, json.dumps(sorted(set(ids)))]
        # Read the end first: what moves behind it meanwhile is found from there the next time.
        last = self.last_sequence()
        rows = self._connections.rows(
            f"SELECT id, deleted, rev, size, {'body' if bodies else 'NULL'}, seq FROM documents"  # noqa: S608
            f" WHERE seq > ? AND seq <= ?{where} ORDER BY seq LIMIT ?",
            (after, last, *values, limit),
        )
        if len(rows) == limit and rows:
            last = rows[-1][-1]
        return Changes(self.position(max(last, after)), [_change(*row[:-1]) for row in rows])

    def last_sequence(self) -> int:
        """The sequence of the last write."""
        return int(self._connections.rows("SELECT coalesce(max(seq), 0) FROM documents")[0][0])

    def position(self, sequence: int) -> str:
        """The position of a sequence."""
        if not self._epoch:
            self._epoch = str(self._connections.rows("SELECT epoch FROM feed")[0][0])
        return f"{sequence}-{self._epoch}"

    def sequence(self, position: str | None) -> int | None:
        """The sequence of a position; from the beginning where it belongs to another file (nothing may be missed)."""
        if position is None or position == "0":
            return None if position is None else 0
        number, _, epoch = position.partition("-")
        if not (number.isdecimal() and epoch):
            raise StoreError(
                f"A position of the feed was {position[:80]!r}; expected one that the feed answered, or '0'."
            )
        return int(number) if position == self.position(int(number)) else 0


def _change(id_: str, deleted: int, rev: str, size: int | None, text: str | None) -> Change:
    found = (
        Document(id_, rev, decode(id_, text), attachment_size=size)
        if text is not None and not deleted
        else None
    )
    return Change(id_, bool(deleted), found)
