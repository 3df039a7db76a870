"""Waking readers of the feed: each waiting reader binds a Unix datagram socket, each writer sends it one byte.

The directory of sockets is the list of waiting readers: without one, a writer only reads an empty directory. The socket is
bound before the reader's first read, so a write is either in that read or wakes the reader. A writer that dies
between its commit and the byte is covered by the reader's slow poll.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import socket
import stat
import time
from pathlib import Path
from types import TracebackType

from whisktrain.store.private import open_directory

__all__ = ["POLL", "Waiter", "socket_directory", "wake"]

POLL = 0.5
"""Seconds after which a waiting reader looks again by itself."""

BIND_ATTEMPTS = 20

# The limit of a Unix socket's path is 104 bytes on macOS and 108 on Linux; our names in the directory take 17.
_LONGEST_DIRECTORY = 103 - 17


def socket_directory(database: Path) -> Path:
    """The directory for the sockets of a database's waiting readers: beside it, or a short one where that is too long.

    It must be the same in every process, so it depends on no environment variable.
    """
    real = os.path.realpath(database)
    beside = real + ".wake"
    if len(os.fsencode(beside)) <= _LONGEST_DIRECTORY:
        return Path(beside)
    digest = hashlib.blake2b(os.fsencode(real), digest_size=12).hexdigest()
    return Path(f"/tmp/whisktrain-{os.getuid()}-{digest}")  # noqa: S108


def wake(directory: Path) -> None:
    """Wake all waiting readers; remove the sockets of readers that died."""
    try:
        opened = open_directory(directory)
    except FileNotFoundError:
        return
    if opened is None:
        return
    try:
        names = os.listdir(opened)  # noqa: PTH208
        if not names:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            for name in names:
                try:
                    sender.sendto(b"w", str(directory / name))
                except ConnectionRefusedError:
                    _remove_socket(name, opened)
                except OSError:
                    # A full queue means that it has been woken already; a missing file, that it has gone.
                    continue
    finally:
        os.close(opened)


def _remove_socket(name: str, directory: int) -> None:
    """Remove a dead reader's socket, and nothing else: a plain file refuses a connection too."""
    with contextlib.suppress(OSError):
        if stat.S_ISSOCK(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=directory)


class Waiter:
    """A reader that may wait: bind it (enter the context) before the first read.

    Args:
        directory: The directory of sockets of the database.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._path: Path | None = None
        self._socket: socket.socket | None = None

    def __enter__(self) -> Waiter:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = self._directory / secrets.token_hex(8)
        for _ in range(BIND_ATTEMPTS):
            try:
                self._directory.mkdir(mode=0o700, exist_ok=True)
                # In a shared place another user may have made it first, as a link perhaps: then only poll.
                opened = open_directory(self._directory)
                if opened is not None:
                    os.close(opened)
                    sock.bind(str(path))
                    self._path, self._socket = path, sock
                break
            except FileNotFoundError:
                continue  # the last waiting reader has just removed the directory
            except OSError:
                break  # a file system without sockets: then only poll
        if self._socket is None:
            sock.close()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._socket is not None and self._path is not None:
            self._socket.close()
            self._socket = None
            with contextlib.suppress(OSError):
                self._path.unlink()
            with contextlib.suppress(OSError):
                self._directory.rmdir()  # fails while another reader waits

    def wait(self, timeout: float) -> None:
        """Return when woken, after `timeout` seconds, or when it is time to look again."""
        timeout = min(timeout, POLL)
        if self._socket is None:
            time.sleep(timeout)
            return
        try:
            self._socket.settimeout(timeout)
            self._socket.recv(1)
            self._socket.setblocking(False)
            while True:  # one read serves all writes before it
                self._socket.recv(1)
        except (TimeoutError, BlockingIOError):
            return
