"""A platform that answers what a test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

KEY = "11111111-2222-3333-4444-555555555555:topsecretkeythatmustnotappear"


class Scripted(ThreadingHTTPServer):
    """A platform that answers what the test says: `answer(method, path, body)` -> (status, JSON or None, headers)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer: Callable[[str, str, Any], tuple[int, Any, dict[str, str]]] = lambda *_: (
            404,
            {"error": "no"},
            {},
        )
        self.calls: list[tuple[str, str, Any, dict[str, str]]] = []
        self.connections = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def get_request(self) -> Any:
        self.connections += 1
        return super().get_request()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Scripted

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        body = json.loads(raw) if raw else None
        self.server.calls.append((self.command, self.path, body, dict(self.headers)))
        status, answer, headers = self.server.answer(self.command, self.path, body)
        content = (
            b""
            if answer is None
            else answer
            if isinstance(answer, bytes)
            else json.dumps(answer).encode()
        )
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_DELETE = _serve

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def platform() -> Iterator[Scripted]:
    server = Scripted()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def key() -> str:
    return KEY
