"""A proxy before a real server that loses answers, changes them, or breaks connections, once, when told to."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

__all__ = ["Meddler"]

Meddle = Callable[[bytes], bytes | None]


class Meddler:
    """The proxy.

    Attributes:
        lose_request: How many requests are dropped before they reach the server.
        answers: What to do with the next answers: each gets the first bytes and returns what to send instead; None hangs up,
            and a piece of it is sent before hanging up.
        requests: The request lines that came.
        raw: All bytes that came.
        strip_credentials: Whether to take them out, for a server without users.
    """

    def __init__(self, address: str, tls: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(address)
        self._server = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        credentials = parts.netloc.rpartition("@")[0]
        at = f"{credentials}@" if credentials else ""
        self._tls = tls
        self.address = (
            f"{'https' if tls else 'http'}://{at}127.0.0.1:{self._listener.getsockname()[1]}"
        )
        self.lose_request = 0
        self.answers: list[Meddle] = []
        self.requests: list[str] = []
        self.raw = b""
        self.strip_credentials = False
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()
        self.hang_up()

    def hang_up(self) -> None:
        """Break every open connection, as a restart of the server does."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        if self._tls is not None:
            try:
                client = self._tls.wrap_socket(client, server_side=True)
            except OSError:
                client.close()
                return
        with contextlib.suppress(OSError), client, socket.create_connection(self._server) as server:
            self._open |= {client, server}
            threading.Thread(target=self._answer, args=(client, server), daemon=True).start()
            while data := client.recv(1 << 20):
                self.raw += data
                line = data.split(b"\r\n", 1)[0].decode(errors="replace")
                if line.endswith("HTTP/1.1"):
                    self.requests.append(line)
                    if self.lose_request:
                        self.lose_request -= 1
                        break
                if self.strip_credentials:
                    data = re.sub(rb"Authorization: [^\r]*\r\n", b"", data)
                server.sendall(data)
            for connection in (client, server):
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self._open -= {client}

    def _answer(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 20):
                if self.answers and data.startswith(b"HTTP/1.1 "):
                    changed = self.answers.pop(0)(data)
                    if changed is None:
                        break
                    client.sendall(changed)
                    if len(changed) < len(data):
                        break
                    continue
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)
            server.shutdown(socket.SHUT_RDWR)


def lost(_: bytes) -> None:
    """The answer never arrives; the connection breaks."""


def whole(answer: bytes) -> bytes:
    """As it is."""
    return answer


def cut_in_head(answer: bytes) -> bytes | None:
    """Nothing after the status and a piece of the next line."""
    return answer[: answer.index(b"\r\n") + 10]


def cut_in_body(answer: bytes) -> bytes | None:
    """The head, and the beginning of the body."""
    return answer[: answer.index(b"\r\n\r\n") + 50]


def status(code: int) -> Meddle:
    """With another status."""
    return lambda answer: (
        b"HTTP/1.1 %d Meddled with by the test" % code + answer[answer.index(b"\r\n") :]
    )
