"""Attachments as files beside the database: temporary name, rename, then the row.

A file gets its final name only while the writer holds the database's write lock, and no name is used twice. So a file with a
final name that no row names, seen under that lock, is what a crashed writer left; and a temporary file may go at any time,
because its writer still has the bytes and writes them again.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

from whisktrain.errors import Damaged

__all__ = ["AttachmentFiles", "check_whole", "checksum"]

PART = ".part"
PART_AGE = 3600.0
"""Seconds after which a temporary file counts as left over."""


def checksum(data: bytes | memoryview) -> int:
    """The CRC-32 that is stored beside an attachment: it shall find torn and rotten bytes, not forgery."""
    return zlib.crc32(data)


def check_whole(id_: str, data: bytes, size: int, crc: int) -> bytes:
    """Return an attachment's bytes if they are the ones that were put.

    Raises:
        Damaged: Length or checksum differ.
    """
    if len(data) != size:
        raise Damaged(
            f"The attachment of {id_!r} has {len(data)} bytes; {size} were stored.", hint=HINT
        )
    if checksum(data) != crc:
        raise Damaged(
            f"The attachment of {id_!r} has the right length, but not the checksum that was stored.",
            hint=HINT,
        )
    return data


HINT = "The disk or a crash damaged it; delete the document and compute it again."


class AttachmentFiles:
    """The directory that holds one database's larger attachments.

    Args:
        directory: Its path; must exist before anything is written.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def stage(self, data: bytes, *, durable: bool) -> str:
        """Write bytes under a temporary name and return the name that they shall have."""
        name = secrets.token_hex(16)
        part = self.directory / (name + PART)
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            try:
                rest = memoryview(data)
                while rest:
                    rest = rest[os.write(fd, rest) :]
                if durable:
                    _sync(fd)
            finally:
                os.close(fd)
        except BaseException:
            self.unstage(name)
            raise
        return name

    def settle(self, name: str, data: bytes, *, durable: bool) -> None:
        """Give staged bytes their final name; call it with the write lock held, just before the row is written."""
        part, final = self.directory / (name + PART), self.directory / name
        try:
            part.rename(final)
        except FileNotFoundError:
            # This process slept so long that its temporary file was taken for a leftover.
            again = self.stage(data, durable=durable)
            (self.directory / (again + PART)).rename(final)
        if durable:
            fd = os.open(self.directory, os.O_RDONLY)
            try:
                _sync(fd)
            finally:
                os.close(fd)

    def unstage(self, name: str) -> None:
        """Remove staged bytes that will not be used."""
        with contextlib.suppress(FileNotFoundError):
            (self.directory / (name + PART)).unlink()

    def read(self, name: str) -> bytes | None:
        """The bytes of one attachment; None where the file is gone (its document was replaced or deleted meanwhile)."""
        try:
            return (self.directory / name).read_bytes()
        except FileNotFoundError:
            return None

    def remove(self, name: str) -> None:
        """Remove an attachment that no row names any more."""
        with contextlib.suppress(FileNotFoundError):
            (self.directory / name).unlink()

    def settled(self) -> Iterator[str]:
        """The names of all files that have their final name."""
        with os.scandir(self.directory) as entries:
            for entry in entries:
                if not entry.name.endswith(PART):
                    yield entry.name

    def remove_old_parts(self) -> None:
        """Remove temporary files that crashed writers left."""
        with os.scandir(self.directory) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    if entry.name.endswith(PART) and time.time() - entry.stat().st_mtime > PART_AGE:
                        Path(entry.path).unlink()


def _sync(fd: int) -> None:
    """Force a file to the disk; on macOS fsync alone leaves it in the drive's cache."""
    import fcntl

    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is None:
        os.fsync(fd)
    else:
        fcntl.fcntl(fd, full)
