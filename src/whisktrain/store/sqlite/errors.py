"""SQLite's and the operating system's failures as `StoreError`s."""

from __future__ import annotations

import contextlib
import errno
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from whisktrain.errors import Damaged, StoreError, StoreRefused, StoreUnreachable

__all__ = ["BUSY_SECONDS", "busy", "is_busy", "translate_errors"]

BUSY_SECONDS = 30.0
"""How long a call waits for other writers."""


@contextlib.contextmanager
def translate_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite and the operating system raise into `StoreError`s that name the store."""
    try:
        yield
    except sqlite3.Error as error:
        raise _of_sqlite(path, error) from error
    except OSError as error:
        raise _of_system(path, error) from error


def busy(path: Path) -> StoreUnreachable:
    """The error of a call that other writers have held up for too long."""
    return StoreUnreachable(
        f"Other writers held the store {path} for more than {BUSY_SECONDS:.0f} s.",
        code="store_busy",
        hint="Try again; fewer commands at once on one home wait less.",
    )


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another connection's lock is the reason."""
    return _code_of(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _code_of(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _of_sqlite(path: Path, error: sqlite3.Error) -> StoreError:
    if is_busy(error):
        return busy(path)
    code = _code_of(error)
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return Damaged(
            f"The store {path} is damaged or is no whisktrain store ({error}).",
            hint="Restore it from a backup, or move it away and start afresh.",
        )
    if code == sqlite3.SQLITE_FULL:
        return _full(path)
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN):
        return _read_only(path)
    return StoreError(
        f"The store {path} answered: {error}.",
        code="store_io",
        hint="Check the disk and its permissions, or choose another --home.",
    )


def _of_system(path: Path, error: OSError) -> StoreError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return _full(path)
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return _read_only(path)
    return StoreError(
        f"The store {path} cannot be used: {error.strerror}.",
        code="store_io",
        hint="Check the disk and its permissions, or choose another --home.",
    )


def _full(path: Path) -> StoreRefused:
    return StoreRefused(
        f"No space is left on the disk of the store {path}.",
        code="disk_full",
        hint="Free some space.",
    )


def _read_only(path: Path) -> StoreRefused:
    return StoreRefused(
        f"The store {path} cannot be opened for writing.",
        code="store_read_only",
        hint="Check that the directory exists, and its owner and permissions, or choose another --home.",
    )
