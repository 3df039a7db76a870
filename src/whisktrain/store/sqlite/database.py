"""One database of the embedded store: a SQLite file, and the files of its larger attachments."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from whisktrain.errors import Damaged
from whisktrain.store.bodies import after_prefix, check_id, decode, encode
from whisktrain.store.protocol import Changes, Document
from whisktrain.store.sqlite.connections import Connections
from whisktrain.store.sqlite.errors import translate_errors
from whisktrain.store.sqlite.feed import SqliteFeed
from whisktrain.store.sqlite.files import AttachmentFiles, check_whole, checksum
from whisktrain.store.sqlite.revisions import (
    NEWEST,
    WRITE,
    Newest,
    conflict,
    next_rev,
    read_newest,
    write_tombstone,
)
from whisktrain.store.sqlite.waking import Waiter, socket_directory, wake

__all__ = ["SqliteDatabase"]

FILE_FROM = 64 * 1024
"""Attachments of so many bytes and more are files."""

DELETES_AT_ONCE = 500

READ = """
SELECT rev, body, size, checksum, file, CASE WHEN ? THEN bytes END FROM documents WHERE id = ? AND deleted = 0
"""


class _Stored(NamedTuple):
    """A document as stored: its attachment inline, or in a file."""

    rev: str
    body: str
    size: int | None
    checksum: int | None
    file: str | None
    inline: bytes | None

    def document(self, id_: str, attachment: bytes | None) -> Document:
        """The document with this attachment."""
        return Document(id_, self.rev, decode(id_, self.body), attachment, self.size)


class SqliteDatabase:
    """A database on SQLite; see `whisktrain.store.protocol.Database`.

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
        self._feed = SqliteFeed(self._connections)

    def __repr__(self) -> str:
        return f"SqliteDatabase({self._name!r}, {str(self._path)!r})"

    @property
    def name(self) -> str:
        """The database's name."""
        return self._name

    def get(self, id: str, *, attachment: bool = False) -> Document | None:  # noqa: A002
        """Read one document; see the protocol."""
        check_id(id)
        if attachment:
            return self._read_whole(id)
        row = self._read(id, attachment=False)
        return None if row is None else row.document(id, None)

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
        if attachment is None:
            return self._write(id, rev, durable, (None, None, None, None, text, None))
        content = (len(attachment), checksum(attachment), content_type)
        if len(attachment) < FILE_FROM:
            return self._write(id, rev, durable, (*content, None, text, attachment))
        self._refuse_known_conflict(id, rev)
        with translate_errors(self._path):
            name = self._files.stage(attachment, durable=durable)
            try:
                return self._write(
                    id, rev, durable, (*content, name, text, None), staged=attachment
                )
            except BaseException:
                self._files.unstage(name)
                raise

    def delete(self, id: str, *, rev: str | None = None) -> bool:  # noqa: A002
        """Delete one document; see the protocol."""
        check_id(id)
        with self._connections.writing() as connection:
            old = read_newest(connection, id)
            if old is None or old.deleted:
                return False
            if rev is not None and rev != old.rev:
                raise conflict(id, old, rev)
            write_tombstone(connection, id, old.rev)
        self._after_commit([old.file])
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
                    old = read_newest(connection, id_)
                    if old is not None and not old.deleted:
                        write_tombstone(connection, id_, old.rev)
                        files.append(old.file)
            if files:
                self._after_commit(files)
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
        position = self._feed.sequence(since)
        if position is None:
            return Changes(self._feed.position(self._feed.last_sequence()), [])
        found = self._feed.changes(position, prefix, ids, limit, bodies)
        if found.rows or timeout <= 0:
            return found
        with Waiter(self._sockets) as waiter:
            while True:
                # The socket is bound: what was written before is found now, what is written from now on wakes this reader.
                found = self._feed.changes(
                    self._feed.sequence(found.position) or 0, prefix, ids, limit, bodies
                )
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
        named = {
            file
            for (file,) in self._connections.rows(
                "SELECT file FROM documents WHERE file IS NOT NULL"
            )
        }
        with translate_errors(self._path):
            suspects = [name for name in self._files.settled() if name not in named]
            self._files.remove_old_parts()
        if not suspects:
            return
        # Only under the write lock is a file without a row an orphan: a writer names its file and then writes its row.
        with self._connections.writing() as connection, translate_errors(self._path):
            for name in suspects:
                if (
                    connection.execute("SELECT 1 FROM documents WHERE file = ?", (name,)).fetchone()
                    is None
                ):
                    self._files.remove(name)

    def close(self) -> None:
        """Close every connection."""
        self._connections.close()

    def _read(self, id_: str, *, attachment: bool) -> _Stored | None:
        rows = self._connections.rows(READ, (attachment, id_))
        return _Stored(*rows[0]) if rows else None

    def _read_whole(self, id_: str) -> Document | None:
        """Read a document with its attachment."""
        rev_without_file = None
        while (row := self._read(id_, attachment=True)) is not None:
            data = row.inline if row.file is None else self._read_file(row.file)
            if row.file is not None and data is None:
                if row.rev == rev_without_file:
                    raise Damaged(
                        f"The file of the attachment of {id_!r} is missing in {self._files.directory}."
                    )
                rev_without_file = (
                    row.rev
                )  # replaced or deleted since the row was read: read that again
                continue
            if row.size is not None:
                data = check_whole(id_, data or b"", row.size, row.checksum or 0)
            return row.document(id_, data)
        return None

    def _read_file(self, name: str) -> bytes | None:
        with translate_errors(self._path):
            return self._files.read(name)

    def _refuse_known_conflict(self, id_: str, rev: str | None) -> None:
        """Raise a conflict before a large attachment is written; the decision itself is taken under the write lock."""
        rows = self._connections.rows(NEWEST, (id_,))
        next_rev(id_, Newest(*rows[0]) if rows else None, rev)

    def _write(
        self,
        id_: str,
        rev: str | None,
        durable: bool,
        content: tuple[object, ...],
        staged: bytes | None = None,
    ) -> str:
        """Write one revision.

        Args:
            id_: The document's id.
            rev: The revision that it replaces.
            durable: Whether it must survive a power cut.
            content: Size, checksum, media type, file, body and bytes, as in `WRITE`.
            staged: The bytes of the staged file that gets its final name with the commit.
        """
        with self._connections.writing(durable=durable) as connection:
            old = read_newest(connection, id_)
            new_rev = next_rev(id_, old, rev)
            if staged is not None:
                self._files.settle(str(content[3]), staged, durable=durable)
            connection.execute(WRITE, (id_, new_rev, 0, *content))
        self._after_commit([old.file] if old else [])
        return new_rev

    def _after_commit(self, replaced_files: Iterable[str | None]) -> None:
        """Wake waiting readers, then remove the files that were replaced."""
        wake(self._sockets)
        for name in replaced_files:
            if name is not None:
                with translate_errors(self._path):
                    self._files.remove(name)
