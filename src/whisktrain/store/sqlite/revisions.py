"""Revisions of the embedded store's documents: reading the newest one, and the one that a write makes."""

from __future__ import annotations

import secrets
import sqlite3
from typing import NamedTuple

from whisktrain.errors import Conflict

__all__ = ["NEWEST", "WRITE", "Newest", "conflict", "next_rev", "read_newest", "write_tombstone"]

NEWEST = "SELECT rev, deleted, file FROM documents WHERE id = ?"

WRITE = """
INSERT INTO documents (seq, id, rev, deleted, size, checksum, content_type, file, body, bytes)
VALUES ((SELECT coalesce(max(seq), 0) + 1 FROM documents), ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, rev = excluded.rev, deleted = excluded.deleted, size = excluded.size,
  checksum = excluded.checksum, content_type = excluded.content_type, file = excluded.file, body = excluded.body,
  bytes = excluded.bytes
"""


class Newest(NamedTuple):
    """The newest revision of a document."""

    rev: str
    deleted: int
    file: str | None


def read_newest(connection: sqlite3.Connection, id_: str) -> Newest | None:
    """The newest revision of a document, also of a deleted one; None where there never was one."""
    row = connection.execute(NEWEST, (id_,)).fetchone()
    return None if row is None else Newest(*row)


def next_rev(id_: str, old: Newest | None, rev: str | None) -> str:
    """The revision that a put gets.

    Raises:
        Conflict: The document is not at the revision that the put expects.
    """
    present = None if old is None or old.deleted else old.rev
    if present != rev:
        raise conflict(id_, old, rev)
    return _rev_after(old.rev if old else "0-")


def _rev_after(rev: str) -> str:
    """One more than `rev`; the part behind the number is random, so that no two writers ever share a revision."""
    return f"{int(rev.partition('-')[0]) + 1}-{secrets.token_hex(16)}"


def write_tombstone(connection: sqlite3.Connection, id_: str, rev: str) -> None:
    """Replace a document by its tombstone: nothing but the revision, from which a later put goes on."""
    connection.execute(WRITE, (id_, _rev_after(rev), 1, None, None, None, None, None, None))


def conflict(id_: str, old: Newest | None, rev: str | None) -> Conflict:
    """The conflict of a write that expected revision `rev`, or none, and found `old`."""
    there = (
        "absent"
        if old is None
        else f"deleted (revision {old.rev})"
        if old.deleted
        else f"at revision {old.rev}"
    )
    return Conflict(
        f"The document {id_!r} is {there}; the write expected {'it absent' if rev is None else f'revision {rev}'}."
    )
