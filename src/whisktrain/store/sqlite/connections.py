"""Connections to one SQLite file: opened lazily, pooled, with short write transactions."""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from whisktrain.errors import ConfigurationError, StoreError
from whisktrain.store.private import make_directory, make_file, tighten
from whisktrain.store.sqlite import errors
from whisktrain.store.sqlite.errors import is_busy, translate_errors
from whisktrain.store.sqlite.filesystems import check_local

__all__ = ["Connections"]

_Found = TypeVar("_Found")

PAGES_AT_ONCE = 1000

FORMAT = 1
"""The value of `PRAGMA user_version`."""

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
        self._is_local = False

    def rows(self, statement: str, values: Sequence[object] = ()) -> list[Any]:
        """All rows of one statement, which is a read transaction of its own."""
        with self.borrowed() as connection:
            return _retry_while_busy(lambda: connection.execute(statement, values).fetchall())

    @contextlib.contextmanager
    def borrowed(self) -> Iterator[sqlite3.Connection]:
        """A connection outside any transaction."""
        with translate_errors(self.path):
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
        if not self._writers.acquire(timeout=errors.BUSY_SECONDS):
            raise errors.busy(self.path)
        try:
            with self.borrowed() as connection:
                if durable:
                    connection.execute("PRAGMA synchronous=FULL")
                try:
                    _retry_while_busy(lambda: connection.execute("BEGIN IMMEDIATE"))
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
        """Give free pages back to the file system, a few per transaction; empty the write-ahead log if unread."""
        with self.borrowed() as connection:
            while int(connection.execute("PRAGMA freelist_count").fetchone()[0]) > 0:
                with self._writers:
                    # As a script: a plain execute would step once, and so free one page.
                    _retry_while_busy(
                        lambda: connection.executescript(
                            f"PRAGMA incremental_vacuum({PAGES_AT_ONCE})"
                        )
                    )
            try:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            except sqlite3.OperationalError as error:
                if not is_busy(error):
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
                raise StoreError(
                    f"The store {self.path} was used after it had been closed.",
                    code="store_closed",
                    hint="Use it inside its with block.",
                )
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
        if not self._is_local:
            check_local(self.path.parent)
            self._is_local = True
            self._tighten()
        if not self.path.exists():
            for directory in [self.path.parent, *self._directories]:
                make_directory(directory)
            make_file(self.path)  # SQLite gives its log and index the rights of this file
        connection = sqlite3.connect(
            self.path, timeout=0, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _tighten(self) -> None:
        """Take others' rights away from what an earlier version made; the directory that holds it is its owner's matter."""
        for part in ("", "-wal", "-shm"):
            tighten(self.path.with_name(self.path.name + part))
        for directory in self._directories:
            tighten(directory)

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Check the file's format, make the tables of a new one, and set the connection's pragmas."""
        version = int(
            _retry_while_busy(lambda: connection.execute("PRAGMA user_version").fetchone())[0]
        )
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


_of_parents: list[sqlite3.Connection] = []
"""Connections of the parent process, kept from being closed by garbage collection."""


def _create(connection: sqlite3.Connection) -> None:
    """Make the tables, unless another process has been quicker."""
    _retry_while_busy(lambda: connection.execute("PRAGMA auto_vacuum=INCREMENTAL"))
    _retry_while_busy(lambda: connection.execute("PRAGMA journal_mode=WAL"))
    _retry_while_busy(lambda: connection.execute("BEGIN IMMEDIATE"))
    try:
        if int(connection.execute("PRAGMA user_version").fetchone()[0]) == 0:
            for statement in SCHEMA.split(";")[:-1]:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version={FORMAT}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _retry_while_busy(execute: Callable[[], _Found]) -> _Found:
    """Execute a statement, again for `BUSY_SECONDS` while other processes hold the lock.

    Transactions here last a fraction of a millisecond, so short jittered sleeps are both quicker and fairer than SQLite's
    own back-off, which grows to 100 ms.
    """
    until = time.monotonic() + errors.BUSY_SECONDS
    while True:
        try:
            return execute()
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() > until:
                raise
        time.sleep(random.uniform(0.0002, 0.001))
