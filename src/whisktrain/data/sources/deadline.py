"""One deadline over a whole exchange: time-outs of single reads never end a sender that sends a byte now and then."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING, Self, TypeVar

if TYPE_CHECKING:
    from urllib3.connection import HTTPConnection

Kind = TypeVar("Kind", bound="HTTPConnection")

__all__ = ["Deadline"]


class Deadline:
    """Shuts down connections when their time is over, whatever waits on them: TLS, headers, "100 Continue" or the body.

    A context manager: its end releases what it holds.

    Args:
        seconds: How long everything together may take.
    """

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._watched: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            for watched in self._watched:
                watched.close()
            self._watched.clear()

    @property
    def rest(self) -> float:
        """Seconds that are left, 0 when it has passed."""
        return max(0.0, self._until - time.monotonic())

    def guard(self, kind: type[Kind]) -> type[Kind]:
        """A class of connections that this deadline ends.

        Args:
            kind: urllib3's class to derive it from.
        """
        watch = self._watch

        class Guarded(kind):  # type: ignore[misc, valid-type]
            def _new_conn(self) -> socket.socket:
                opened: socket.socket = super()._new_conn()
                watch(opened)
                return opened

        return Guarded

    def _watch(self, opened: socket.socket) -> None:
        # A duplicate: TLS takes the socket itself over, and its object no longer knows the connection.
        with self._lock:
            self._watched.append(opened.dup())
        if not self.rest:
            self._expire()

    def _expire(self) -> None:
        with self._lock:
            for watched in self._watched:
                with contextlib.suppress(OSError):  # it has ended by itself
                    watched.shutdown(socket.SHUT_RDWR)
