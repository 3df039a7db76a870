"""Connections to one SQLite file: opened lazily, pooled, with short write transactions and failures in our own words."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from whisktrain.errors import ConfigurationError, Damaged, StoreError, StoreUnreachable
from whisktrain.store.sqlite.filesystems import check_local

__all__ = ["Connections", "in_our_words"]

_Found = TypeVar("_Found")

BUSY_SECONDS = 30.0
"""How long a call waits for other writers."""

PAGES_AT_ONCE = 1000

FORMAT = 1
"""What `PRAGMA user_version` must say."""

# The sequence is the row's key: the feed is a range of it. Ids compare as UTF-8 bytes, which is the order of code points.
# Bytes come last, so that a scan of the feed never reads them.
SCHEMA = """
CREATE TABLE documents (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  rev TEXT NOT NULL,
  deleted INTEGER NOT NULL,
  size INTEGER,
  checksum INTEGER,
  content_type TEXT,
  file TEXT,
  body TEXT,
  bytes BLOB
);
CREATE INDEX files ON documents (file) WHERE file IS NOT NULL;
CREATE TABLE feed (epoch TEXT NOT NULL);
INSERT INTO feed VALUES (lower(hex(randomblob(4))));
"""


class Connections:
    """A pool of connections to one SQLite file, made with its directories at first use.

    Args:
        path: The SQLite file.
        directories: Directories to make beside it.
    """

    def __init__(self, path: Path, directories: list[Path]) -> None:
        self.path = path
        self._directories = directories
        self._idle: list[sqlite3.Connection] = []
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._writers = threading.Lock()
        self._closed = False
        self._local = False

    def rows(self, statement: str, values: Sequence[object] = ()) -> list[Any]:
        """All rows of one statement, which is a read transaction of its own."""
        with self.borrowed() as connection:
            return _patiently(lambda: connection.execute(statement, values).fetchall())

    @contextlib.contextmanager
    def borrowed(self) -> Iterator[sqlite3.Connection]:
        """A connection outside any transaction."""
        with in_our_words(self.path):
            connection = self._take()
            usable = True
            try:
                yield connection
            except sqlite3.Error:
                usable = False  # it may be in any state
                raise
            finally:
                self._give_back(connection, usable)

    @contextlib.contextmanager
    def writing(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """A connection inside a write transaction: committed at the end, rolled back on any exception.

        Args:
            durable: Whether the commit waits for the disk.
        """
        if not self._writers.acquire(timeout=BUSY_SECONDS):
            raise _busy(self.path)
        try:
            with self.borrowed() as connection:
                if durable:
                    connection.execute("PRAGMA synchronous=FULL")
                try:
                    _patiently(lambda: connection.execute("BEGIN IMMEDIATE"))
                    try:
                        yield connection
                        connection.execute("COMMIT")
                    finally:
                        if connection.in_transaction:
                            connection.execute("ROLLBACK")
                finally:
                    if durable:
                        connection.execute("PRAGMA synchronous=NORMAL")
        finally:
            self._writers.release()

    def shrink(self) -> None:
        """Give free pages back to the file system, a few per transaction, and empty the write-ahead log if nobody reads."""
        with self.borrowed() as connection:
            while int(connection.execute("PRAGMA freelist_count").fetchone()[0]) > 0:
                with self._writers:
                    # As a script: a plain execute would step once, and so free one page.
                    _patiently(lambda: connection.executescript(f"PRAGMA incremental_vacuum({PAGES_AT_ONCE})"))
            try:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            except sqlite3.OperationalError as error:
                if not _is_held_up(error):
                    raise

    def close(self) -> None:
        """Close the idle connections; those in use are closed when they are given back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _take(self) -> sqlite3.Connection:
        with self._lock:
            if self._closed:
                raise StoreError(f"The store {self.path} was used after it had been closed.", code="store_closed")
            if self._pid != os.getpid():
                # A forked child must not use its parent's connections, nor close them (that would drop the parent's locks).
                _of_parents.extend(self._idle)
                self._idle, self._pid = [], os.getpid()
            if self._idle:
                return self._idle.pop()
        return self._open()

    def _give_back(self, connection: sqlite3.Connection, usable: bool) -> None:
        with self._lock:
            if usable and not self._closed and self._pid == os.getpid():
                self._idle.append(connection)
                return
        connection.close()

    def _open(self) -> sqlite3.Connection:
        if not self._local:
            check_local(self.path.parent)
            self._local = True
        if not self.path.exists():
            for directory in [self.path.parent, *self._directories]:
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            version = int(_patiently(lambda: connection.execute("PRAGMA user_version").fetchone())[0])
            if version == 0:
                _create(connection)
            elif version != FORMAT:
                raise ConfigurationError(
                    f"The store {self.path} has the format {version}; this whisktrain reads format {FORMAT}.",
                    code="store_format",
                    hint="Use the whisktrain that made it, or another --home.",
                )
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("PRAGMA fullfsync=ON")
        except BaseException:
            connection.close()
            raise
        return connection


_of_parents: list[sqlite3.Connection] = []


def _create(connection: sqlite3.Connection) -> None:
    """Make the tables, once, whoever comes first."""
    _patiently(lambda: connection.execute("PRAGMA auto_vacuum=INCREMENTAL"))
    _patiently(lambda: connection.execute("PRAGMA journal_mode=WAL"))
    _patiently(lambda: connection.execute("BEGIN IMMEDIATE"))
    try:
        if int(connection.execute("PRAGMA user_version").fetchone()[0]) == 0:
            for statement in SCHEMA.split(";")[:-1]:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version={FORMAT}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _patiently(execute: Callable[[], _Found]) -> _Found:
    """Execute what other processes may hold up.

    Transactions here last a fraction of a millisecond, so short jittered sleeps are both quicker and fairer than SQLite's
    own back-off, which grows to 100 ms.
    """
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            return execute()
        except sqlite3.OperationalError as error:
            if not _is_held_up(error) or time.monotonic() > until:
                raise
        time.sleep(random.uniform(0.0002, 0.001))


def _is_held_up(error: sqlite3.Error) -> bool:
    """Whether somebody else's lock is the reason."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _busy(path: Path) -> StoreUnreachable:
    return StoreUnreachable(f"Other writers held the store {path} for more than {BUSY_SECONDS:.0f} s.", code="store_busy")


@contextlib.contextmanager
def in_our_words(path: Path) -> Iterator[None]:
    """Turn what SQLite and the operating system raise into `StoreError`s that name the store."""
    try:
        yield
    except sqlite3.Error as error:
        raise _translated(path, error) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise _full(path) from error
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise _read_only(path) from error
        raise StoreError(f"The store {path} cannot be used: {error.strerror}.", code="store_io") from error


def _translated(path: Path, error: sqlite3.Error) -> StoreError:
    if _is_held_up(error):
        return _busy(path)
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return Damaged(
            f"The store {path} is damaged or is no whisktrain store ({error}).",
            hint="Restore it from a backup, or move it away and start afresh.",
        )
    if code == sqlite3.SQLITE_FULL:
        return _full(path)
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN):
        return _read_only(path)
    return StoreError(f"The store {path} answered: {error}.", code="store_io")


def _full(path: Path) -> StoreError:
    return StoreError(f"No space is left on the disk of the store {path}.", code="disk_full", hint="Free some space.")


def _read_only(path: Path) -> StoreError:
    return StoreError(
        f"The store {path} cannot be opened for writing.",
        code="store_read_only",
        hint="Check that the directory exists, and its owner and permissions, or choose another --home.",
    )
