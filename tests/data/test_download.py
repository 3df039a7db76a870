"""Data from addresses, against a real local server."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from whisktrain.data.sources import addresses, download
from whisktrain.data.sources.download import redact_url
from whisktrain.errors import DataError

CSV = b"a,b,t\n" + b"".join(
    f"{k},{k % 7 + 0.5},{'uv'[k // 2 % 2]}\n".encode() for k in range(3, 93, 2)
)
REAL = socket.getaddrinfo


class Handler(BaseHTTPRequestHandler):
    seen: list[tuple[str, dict[str, str]]]

    def do_GET(self) -> None:
        self.server.seen.append((self.path, dict(self.headers)))  # type: ignore[attr-defined]
        path = self.path.partition("?")[0]
        if path.startswith("/to/"):
            self.send_response(302)
            self.send_header(
                "Location",
                path.removeprefix("/to/") if "://" in path else "/" + path.removeprefix("/to/"),
            )
            self.end_headers()
        elif path == "/loop":
            self.send_response(301)
            self.send_header("Location", "/loop")
            self.end_headers()
        elif path == "/missing":
            self.send_error(404)
        elif path == "/slow":
            self.send_response(200)
            self.end_headers()
            for _ in range(50):
                self.wfile.write(b"1,2\n")
                self.wfile.flush()
                time.sleep(0.1)
        elif path == "/cut":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"a,b\n")
        elif path == "/endless":
            self.send_response(200)
            self.end_headers()
            for _ in range(40):
                self.wfile.write(b"x" * 100_000)
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(CSV)))
            self.end_headers()
            self.wfile.write(CSV)

    def log_message(self, *_: Any) -> None:
        pass


class Quiet(ThreadingHTTPServer):
    block_on_close = False
    seen: list[tuple[str, dict[str, str]]]

    def handle_error(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Quiet]:
    found = Quiet(("127.0.0.1", 0), Handler)
    found.seen = []
    thread = threading.Thread(target=found.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield found
    found.shutdown()
    found.server_close()
    thread.join()


@pytest.fixture
def base(server: Quiet, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(addresses.ALLOW_PRIVATE, "1")
    return f"http://127.0.0.1:{server.server_port}"


def code(url: str) -> str:
    with pytest.raises(DataError) as caught:
        download.download(url)
    return caught.value.code


def test_a_file_is_fetched(base: str) -> None:
    assert download.download(f"{base}/data/people%20x.csv?v=1") == (CSV, "people x.csv")


def test_redirects_are_followed_but_not_forever(base: str) -> None:
    assert download.download(f"{base}/to/d.csv") == (CSV, "d.csv")
    assert code(f"{base}/loop") == "bad_address"


def test_errors_of_the_server(base: str) -> None:
    assert code(f"{base}/missing") == "bad_address"
    assert code(f"{base}/cut") == "bad_address"
    assert code("http://127.0.0.1:1/") == "bad_address"


def test_size_and_time_are_bounded(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHISKTRAIN_MAX_DATA_MB", "1")
    assert code(f"{base}/endless") == "data_too_large"
    monkeypatch.setattr(download, "TOTAL_SECONDS", 0.5)
    started = time.monotonic()
    assert code(f"{base}/slow") == "address_too_slow"
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/x",
        "file:///etc/passwd",
        "gopher://x/",
        "http://",
        "http://[::1",
        "http://x:99999/",
        "javascript://x/",
    ],
)
def test_other_schemes_are_refused(url: str) -> None:
    assert code(url) == "bad_address"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "10.0.0.1",
        "192.168.1.1",
        "172.16.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[fe80::1]",
        "[fd00::1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "2130706433",
        "0x7f.1",
        "224.0.0.1",
    ],
)
def test_private_addresses_are_refused(
    host: str, server: Quiet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(addresses.ALLOW_PRIVATE, raising=False)
    assert code(f"http://{host}:{server.server_port}/") == "private_address"
    assert server.seen == []


@pytest.mark.parametrize(
    ("address", "public"),
    [("93.184.216.34", True), ("2606:2800:220:1::1", True), ("::ffff:8.8.8.8", True)],
)
def test_public_addresses_are_known(address: str, public: bool) -> None:
    assert addresses.is_public(address) is public


def resolving(monkeypatch: pytest.MonkeyPatch, answers: dict[str, list[list[str]]]) -> list[str]:
    """A name server of our own: each name's answers, one list a question, the last one for ever."""
    asked: list[str] = []

    def getaddrinfo(host: Any, port: Any, *rest: Any, **options: Any) -> Any:
        if host not in answers:
            return REAL(host, port, *rest, **options)
        asked.append(host)
        found = answers[host].pop(0) if len(answers[host]) > 1 else answers[host][0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in found]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def test_every_address_of_a_name_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(addresses.ALLOW_PRIVATE, raising=False)
    resolving(monkeypatch, {"two.example": [["93.184.216.34", "127.0.0.1"]]})
    assert code("http://two.example/") == "private_address"


def test_the_connection_goes_to_the_checked_address(
    server: Quiet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that answers otherwise the second time gains nothing: it is asked once."""
    monkeypatch.delenv(addresses.ALLOW_PRIVATE, raising=False)
    checked: list[str] = []
    monkeypatch.setattr(
        addresses, "is_public", lambda ip: checked.append(ip) is None and ip == "127.0.0.1"
    )
    asked = resolving(monkeypatch, {"rebind.example": [["127.0.0.1"], ["127.0.0.2"]]})
    assert download.download(f"http://rebind.example:{server.server_port}/x.csv")[0] == CSV
    assert (asked, checked) == (["rebind.example"], ["127.0.0.1"])
    assert server.seen[0][1]["Host"] == f"rebind.example:{server.server_port}"


def test_redirects_are_checked_again(server: Quiet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(addresses.ALLOW_PRIVATE, raising=False)
    monkeypatch.setattr(addresses, "is_public", lambda ip: ip == "127.0.0.1")
    resolving(monkeypatch, {"inside.example": [["127.0.0.9"]]})
    base = f"http://127.0.0.1:{server.server_port}"
    assert code(f"{base}/to/http://inside.example/secret") == "private_address"
    assert code(f"{base}/to/file:///etc/passwd") == "bad_address"
    assert code(f"{base}/to/ftp://inside.example/x") == "bad_address"


def test_passwords_go_to_their_host_only_and_are_never_shown(
    server: Quiet, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving(monkeypatch, {"other.example": [["127.0.0.1"]]})
    with_password = base.replace("http://", "http://user:s3cret@")
    download.download(
        f"{with_password}/to/http://other.example:{server.server_port}/d.csv?token=abc"
    )
    assert [
        "authorization" in {name.lower() for name in headers} for _, headers in server.seen
    ] == [True, False]
    with pytest.raises(DataError) as caught:
        download.download(f"{with_password}/missing?token=s3cret")
    assert "s3cret" not in str(caught.value)
    assert redact_url("http://user:s3cret@host/p?token=s3cret#s3cret") == "http://host/p"


def test_preprocessing_from_an_address_keeps_its_secrets(
    base: str, make: Callable[..., Any]
) -> None:
    made = make(f"{base.replace('http://', 'http://user:s3cret@')}/people.csv?token=s3cret")
    assert (made.report["target"], made.report["name"], made.report["source"]) == (
        "t",
        "people",
        f"{base}/people.csv",
    )
    assert "s3cret" not in str(made.payload) + str(made.body)
    assert made.payload["request"]["data"] == {"source": f"dataset:{made.id}"}


def drip(opening: bytes, piece: bytes) -> Callable[[socket.socket], None]:
    """What a server does that sends a little at a time, for ever."""

    def serve(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(opening)
        while True:
            connection.sendall(piece)
            time.sleep(0.05)

    return serve


@pytest.fixture
def dripping(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., int]]:
    """Start a server of one connection; its port."""
    monkeypatch.setenv(addresses.ALLOW_PRIVATE, "1")
    monkeypatch.setattr(download, "TOTAL_SECONDS", 1.0)
    listeners: list[socket.socket] = []

    def start(serve: Callable[[socket.socket], None]) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def run() -> None:
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    serve(connection)

        threading.Thread(target=run, daemon=True).start()
        return int(listener.getsockname()[1])

    yield start
    for listener in listeners:
        listener.close()


@pytest.mark.parametrize(
    ("opening", "piece"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\n", b"X"),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
    ],
    ids=["status", "header", "headers", "continue", "body", "length", "chunks", "chunk size"],
)
@pytest.mark.timeout(60)
def test_one_deadline_ends_every_slow_sender(
    dripping: Callable[..., int], opening: bytes, piece: bytes
) -> None:
    port = dripping(drip(opening, piece))
    assert code(f"http://127.0.0.1:{port}/x.csv") in ("address_too_slow", "bad_address")


@pytest.mark.timeout(60)
def test_the_deadline_ends_a_slow_tls_handshake(dripping: Callable[..., int]) -> None:
    # A TLS record of a server's greeting of 16 KB, a byte at a time.
    port = dripping(drip(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc", b"\x03"))
    assert code(f"https://127.0.0.1:{port}/x.csv") in ("address_too_slow", "bad_address")


def test_odd_lengths_and_hosts_are_refusals(base: str, dripping: Callable[..., int]) -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\na,b")

    assert code(f"http://127.0.0.1:{dripping(answer)}/x.csv") == "data_too_large"
    assert code(f"http://日本.invalid:{dripping(answer)}/x.csv") == "bad_address"


def test_a_file_is_fetched_by_tls(
    base: str, server: Quiet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import ssl

    import trustme

    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    url = f"https://localhost:{server.server_port}/data/d.csv"
    assert download.download(url) == (CSV, "d.csv")
