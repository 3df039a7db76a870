"""The embedded store: two SQLite files in one directory, larger attachments as files beside them.

    DIRECTORY/library.sqlite   library.sqlite.files/   library.sqlite.wake/
    DIRECTORY/rounds.sqlite    rounds.sqlite.files/    rounds.sqlite.wake/

Any number of processes and threads of one machine use it at once.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from whisktrain.errors import Conflict, Damaged, StoreError
from whisktrain.store.bodies import after_prefix, check_id, decode, encode
from whisktrain.store.protocol import Change, Changes, Document
from whisktrain.store.sqlite.connections import Connections, in_our_words
from whisktrain.store.sqlite.files import AttachmentFiles, check_whole, checksum
from whisktrain.store.sqlite.waking import Waiter, socket_directory, wake

__all__ = ["SqliteDatabase"]

FILE_FROM = 64 * 1024
"""Attachments of so many bytes and more are files."""

DELETES_AT_ONCE = 500

NEWEST = "SELECT rev, deleted, file FROM documents WHERE id = ?"

WRITE = """
INSERT INTO documents (seq, id, rev, deleted, size, checksum, content_type, file, body, bytes)
VALUES ((SELECT coalesce(max(seq), 0) + 1 FROM documents), ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, rev = excluded.rev, deleted = excluded.deleted, size = excluded.size,
  checksum = excluded.checksum, content_type = excluded.content_type, file = excluded.file, body = excluded.body,
  bytes = excluded.bytes
"""


class SqliteDatabase:
    """One database of the embedded store; see `whisktrain.store.protocol.Database`.

    Args:
        name: The database's name.
        path: Its SQLite file.
    """

    def __init__(self, name: str, path: Path) -> None:
        self._name = name
        self._path = path
        self._files = AttachmentFiles(path.with_name(path.name + ".files"))
        self._sockets = socket_directory(path)
        self._connections = Connections(path, [self._files.directory])
        self._epoch = ""

    def __repr__(self) -> str:
        return f"SqliteDatabase({self._name!r}, {str(self._path)!r})"

    @property
    def name(self) -> str:
        """The database's name."""
        return self._name

    def get(self, id: str, *, attachment: bool = False) -> Document | None:  # noqa: A002
        """Read one document; see the protocol."""
        check_id(id)
        rev_without_file = None
        while True:
            rows = self._connections.rows(
                "SELECT rev, body, size, checksum, file, CASE WHEN ? THEN bytes END FROM documents"
                " WHERE id = ? AND deleted = 0",
                (attachment, id),
            )
            if not rows:
                return None
            rev, body, size, crc, file, data = rows[0]
            if attachment and file is not None:
                with in_our_words(self._path):
                    data = self._files.read(file)
                if data is None and rev != rev_without_file:
                    rev_without_file = rev  # replaced or deleted since the row was read: read that again
                    continue
                if data is None:
                    raise Damaged(f"The file of the attachment of {id!r} is missing in {self._files.directory}.")
            if attachment and size is not None:
                data = check_whole(id, data or b"", size, crc)
            return Document(id, rev, decode(id, body), data if attachment else None, size)

    def get_many(self, ids: Collection[str]) -> dict[str, Document]:
        """Read several documents with their attachments; see the protocol."""
        found = (self.get(id_, attachment=True) for id_ in dict.fromkeys(ids))
        return {document.id: document for document in found if document is not None}

    def put(
        self,
        id: str,  # noqa: A002
        body: Mapping[str, object],
        *,
        rev: str | None = None,
        attachment: bytes | None = None,
        content_type: str = "application/octet-stream",
        durable: bool = False,
    ) -> str:
        """Write one document, and its attachment, in one atomic step; see the protocol."""
        check_id(id)
        text = encode(body)
        size = crc = name = inline = None
        with in_our_words(self._path):
            if attachment is not None:
                size, crc = len(attachment), checksum(attachment)
                if size < FILE_FROM:
                    inline = attachment
                else:
                    self._refuse_known_conflict(id, rev)
                    name = self._files.stage(attachment, durable=durable)
            try:
                with self._connections.writing(durable=durable) as connection:
                    old = _newest(connection, id)
                    new_rev = _next_rev(id, old, rev)
                    if name is not None and attachment is not None:
                        self._files.settle(name, attachment, durable=durable)
                    kind = content_type if attachment is not None else None
                    connection.execute(WRITE, (id, new_rev, 0, size, crc, kind, name, text, inline))
            except BaseException:
                if name is not None:
                    self._files.unstage(name)
                raise
        self._wrote([old[2]] if old else [])
        return new_rev

    def delete(self, id: str, *, rev: str | None = None) -> bool:  # noqa: A002
        """Delete one document; see the protocol."""
        check_id(id)
        with self._connections.writing() as connection:
            old = _newest(connection, id)
            if old is None or old[1]:
                return False
            if rev is not None and rev != old[0]:
                raise _conflict(id, old, rev)
            _bury(connection, id, old[0])
        self._wrote([old[2]])
        return True

    def delete_many(self, ids: Iterable[str], *, known: Mapping[str, str] | None = None) -> int:
        """Delete whatever is there of these ids; see the protocol. Looking revisions up costs nothing here."""
        del known
        wanted = sorted({check_id(id_) for id_ in ids})
        deleted = 0
        for start in range(0, len(wanted), DELETES_AT_ONCE):
            files = []
            with self._connections.writing() as connection:
                for id_ in wanted[start : start + DELETES_AT_ONCE]:
                    old = _newest(connection, id_)
                    if old is not None and not old[1]:
                        _bury(connection, id_, old[0])
                        files.append(old[2])
            if files:
                self._wrote(files)
            deleted += len(files)
        return deleted

    def list(
        self,
        prefix: str,
        *,
        bodies: bool = True,
        limit: int | None = None,
        descending: bool = False,
        skip: int = 0,
    ) -> list[Document]:
        """Documents whose id starts with `prefix`, in order of id; see the protocol."""
        end = after_prefix(prefix)
        rows = self._connections.rows(
            f"SELECT id, rev, size, {'body' if bodies else 'NULL'} FROM documents"  # noqa: S608
            f" WHERE deleted = 0 AND id >= ? {'AND id < ?' if end is not None else ''}"
            f" ORDER BY id {'DESC' if descending else 'ASC'} LIMIT ? OFFSET ?",
            (prefix, *([end] if end is not None else []), -1 if limit is None else limit, skip),
        )
        return [
            Document(id_, rev, decode(id_, text) if text is not None else {}, attachment_size=size)
            for id_, rev, size, text in rows
        ]

    def changes(
        self,
        since: str | None,
        *,
        timeout: float = 0.0,
        prefix: str | None = None,
        ids: Collection[str] | None = None,
        limit: int = 1000,
        bodies: bool = False,
    ) -> Changes:
        """The feed after a position; see the protocol."""
        until = time.monotonic() + timeout
        position = self._sequence(since)
        if position is None:
            return Changes(self._position(self._last()), [])
        found = self._rows(position, prefix, ids, limit, bodies)
        if found.rows or timeout <= 0:
            return found
        with Waiter(self._sockets) as waiter:
            while True:
                # The socket is bound: what was written before is found now, what is written from now on wakes us.
                found = self._rows(self._sequence(found.position) or 0, prefix, ids, limit, bodies)
                rest = until - time.monotonic()
                if found.rows or rest <= 0:
                    return found
                waiter.wait(rest)

    def compact(self) -> None:
        """Remove what crashed writers left, give free pages back, and empty the write-ahead log."""
        self.sweep()
        self._connections.shrink()

    def sweep(self) -> None:
        """Remove files that no document names."""
        named = {file for (file,) in self._connections.rows("SELECT file FROM documents WHERE file IS NOT NULL")}
        with in_our_words(self._path):
            suspects = [name for name in self._files.settled() if name not in named]
            self._files.remove_old_parts()
        if not suspects:
            return
        # Only under the write lock is a file without a row an orphan: a writer names its file and then writes its row.
        with self._connections.writing() as connection, in_our_words(self._path):
            for name in suspects:
                if connection.execute("SELECT 1 FROM documents WHERE file = ?", (name,)).fetchone() is None:
                    self._files.remove(name)

    def close(self) -> None:
        """Close every connection."""
        self._connections.close()

    def _refuse_known_conflict(self, id_: str, rev: str | None) -> None:
        """Look before a large attachment is written for nothing; the decision itself falls under the write lock."""
        rows = self._connections.rows(NEWEST, (id_,))
        _next_rev(id_, rows[0] if rows else None, rev)

    def _wrote(self, replaced_files: Iterable[str | None]) -> None:
        """After a commit: wake who waits, then remove the files that were replaced."""
        wake(self._sockets)
        for name in replaced_files:
            if name is not None:
                with in_our_words(self._path):
                    self._files.remove(name)

    def _rows(self, after: int, prefix: str | None, ids: Collection[str] | None, limit: int, bodies: bool) -> Changes:
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
        last = self._last()
        rows = self._connections.rows(
            f"SELECT id, deleted, rev, size, {'body' if bodies else 'NULL'}, seq FROM documents"  # noqa: S608
            f" WHERE seq > ? AND seq <= ?{where} ORDER BY seq LIMIT ?",
            (after, last, *values, limit),
        )
        if len(rows) == limit and rows:
            last = rows[-1][-1]
        return Changes(self._position(max(last, after)), [_change(*row[:-1]) for row in rows])

    def _last(self) -> int:
        return int(self._connections.rows("SELECT coalesce(max(seq), 0) FROM documents")[0][0])

    def _position(self, sequence: int) -> str:
        if not self._epoch:
            self._epoch = str(self._connections.rows("SELECT epoch FROM feed")[0][0])
        return f"{sequence}-{self._epoch}"

    def _sequence(self, position: str | None) -> int | None:
        """The sequence of a position; from the beginning where it belongs to another file (nothing may be missed)."""
        if position is None or position == "0":
            return None if position is None else 0
        number, _, epoch = position.partition("-")
        if not (number.isdecimal() and epoch):
            raise StoreError(f"A position of the feed was {position[:80]!r}; expected one that the feed answered, or '0'.")
        return int(number) if position == self._position(int(number)) else 0


def _change(id_: str, deleted: int, rev: str, size: int | None, text: str | None) -> Change:
    found = Document(id_, rev, decode(id_, text), attachment_size=size) if text is not None and not deleted else None
    return Change(id_, bool(deleted), found)


_Row = tuple[str, int, str | None]


def _newest(connection: sqlite3.Connection, id_: str) -> _Row | None:
    """Revision, whether deleted, and the file of a document's newest row."""
    row: _Row | None = connection.execute(NEWEST, (id_,)).fetchone()
    return row


def _next_rev(id_: str, old: _Row | None, rev: str | None) -> str:
    """The revision that a put gets; Conflict where it must not be written."""
    present = None if old is None or old[1] else old[0]
    if present != rev:
        raise _conflict(id_, old, rev)
    return _rev_after(old[0] if old else "0-")


def _rev_after(rev: str) -> str:
    """One more than `rev`; the word behind the number is random, so that no two writers ever share a revision."""
    return f"{int(rev.partition('-')[0]) + 1}-{secrets.token_hex(16)}"


def _bury(connection: sqlite3.Connection, id_: str, rev: str) -> None:
    """Replace a document by its tombstone: nothing but the revision, from which a later put goes on."""
    connection.execute(WRITE, (id_, _rev_after(rev), 1, None, None, None, None, None, None))


def _conflict(id_: str, old: _Row | None, rev: str | None) -> Conflict:
    there = "absent" if old is None else f"deleted (revision {old[0]})" if old[1] else f"at revision {old[0]}"
    return Conflict(f"The document {id_!r} is {there}; the write expected {'it absent' if rev is None else f'revision {rev}'}.")
