from __future__ import annotations

import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import trustme

from whisktrain.errors import (
    ConfigurationError,
    PlatformError,
    PlatformUnreachable,
    RequestError,
    TooManyRequests,
)
from whisktrain.openwhisk.client import Client, connection
from whisktrain.openwhisk.client.connection import ApiError, Connection, host_address
from whisktrain.store.addresses import is_loopback


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("localhost", "https://localhost"),
        ("whisk.example.org:443/", "https://whisk.example.org:443"),
        ("http://172.17.0.1:3233", "http://172.17.0.1:3233"),
        ("http://[::1]:3233/", "http://[::1]:3233"),
        ("https://whisk.example.org/api/v1", "https://whisk.example.org"),
    ],
)
def test_an_address_without_a_scheme_means_https(given: str, address: str) -> None:
    assert host_address(given) == address


@pytest.mark.parametrize(
    "given", ["", "ftp://x", "http://", "http://host:port", "http://user:hidden@host"]
)
def test_what_is_no_address_is_refused_without_its_password(given: str) -> None:
    with pytest.raises(ConfigurationError) as failure:
        host_address(given)
    assert "hidden" not in str(failure.value)


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("localhost", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("a.localhost", True),
        ("172.17.0.1", False),
        ("localhost.example.org", False),
    ],
)
def test_loopback(host: str, own: bool) -> None:
    assert is_loopback(host) is own


def test_429_is_tried_again_and_the_answer_returned(platform, key) -> None:
    left = [3]

    def answer(*_):
        left[0] -= 1
        return (
            (200, ["guest"], {})
            if left[0] < 0
            else (429, {"error": "Too many requests in the last minute."}, {})
        )

    platform.answer = answer
    assert Client(platform.url, key).namespaces() == ["guest"]
    assert len(platform.calls) == 4


def test_429_ends_as_a_typed_retryable_error_within_the_patience(platform, key) -> None:
    platform.answer = lambda *_: (
        429,
        {"error": "Too many concurrent requests in flight (count: 5, allowed: 5)."},
        {},
    )
    begun = time.monotonic()
    with pytest.raises(TooManyRequests) as failure:
        Client(platform.url, key, retry_timeout=0.6).start("a")
    assert time.monotonic() - begun < 2
    assert failure.value.retryable
    assert "count: 5" in failure.value.message
    assert 1 < len(platform.calls) < 30


def test_an_unreachable_platform_is_named(key) -> None:
    with pytest.raises(PlatformUnreachable) as failure:
        Client("http://127.0.0.1:9", key).info()
    assert "http://127.0.0.1:9" in str(failure.value)
    assert "connection refused" in str(failure.value)
    assert key not in str(failure.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1}, 1j])
def test_arguments_that_are_no_json_are_a_mistake_of_the_caller(key, value) -> None:
    with pytest.raises(RequestError, match="cannot be sent as JSON") as failure:
        Client("http://127.0.0.1:9", key).start("a", {"rows": [value]})
    assert not failure.value.retryable


def test_a_name_that_does_not_exist_is_unreachable(key) -> None:
    with pytest.raises(PlatformUnreachable, match=r"nowhere\.invalid"):
        Client("http://nowhere.invalid", key).info()


@pytest.mark.parametrize(("status", "code"), [(401, "unauthorized"), (403, "forbidden")])
def test_a_refused_key(platform, key, status, code) -> None:
    platform.answer = lambda *_: (
        status,
        {"error": "The supplied authentication is invalid.", "code": "x"},
        {},
    )
    with pytest.raises(ApiError) as failure:
        Client(platform.url, key).namespaces()
    assert (failure.value.status, failure.value.code) == (status, code)
    assert "supplied authentication" in failure.value.message
    assert key not in str(failure.value) + repr(failure.value)


def test_neither_key_nor_its_encoding_is_in_a_repr(platform, key) -> None:
    client = Client(platform.url, key)
    shown = repr(client) + repr(client.connection)
    assert platform.url in shown
    assert "topsecret" not in shown


def test_a_redirect_is_not_followed(platform, key) -> None:
    platform.answer = lambda *_: (301, None, {"Location": "https://elsewhere.example.org/?key=1"})
    with pytest.raises(
        ApiError, match=r"redirects to https://elsewhere\.example\.org/\."
    ) as failure:
        Client(platform.url, key).namespaces()
    assert failure.value.code == "bad_apihost"
    assert len(platform.calls) == 1


def test_something_that_is_not_openwhisk(platform, key) -> None:
    platform.answer = lambda *_: (200, b"<html>", {})
    with pytest.raises(PlatformError) as failure:
        Client(platform.url, key).info()
    assert failure.value.code == "not_openwhisk"


def test_a_passing_fault_of_a_reading_call_is_tried_again_and_a_writing_one_is_not(
    platform, key
) -> None:
    platform.answer = lambda *_: (503, {"error": "busy"}, {})
    with pytest.raises(ApiError) as failure:
        Client(platform.url, key).info()
    assert failure.value.status == 503
    assert failure.value.retryable
    assert len(platform.calls) == 4
    platform.calls.clear()
    with pytest.raises(ApiError):
        Client(platform.url, key).start("a")
    assert len(platform.calls) == 1


def test_proxies_are_not_asked_for_loopback(platform, key, monkeypatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    platform.answer = lambda *_: (200, ["guest"], {})
    assert Client(platform.url, key).namespaces() == ["guest"]


def test_proxies_are_asked_for_other_hosts(platform, key, monkeypatch) -> None:
    monkeypatch.setenv("http_proxy", platform.url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    platform.answer = lambda *_: (200, ["guest"], {})
    assert Client("http://whisk.invalid:3233", key).namespaces() == ["guest"]
    assert platform.calls[0][1] == "http://whisk.invalid:3233/api/v1/namespaces"


def test_netrc_does_not_take_the_keys_place(platform, key, monkeypatch, tmp_path) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setattr("whisktrain.openwhisk.client.connection.is_loopback", lambda _: False)
    monkeypatch.setenv("no_proxy", "*")
    platform.answer = lambda *_: (200, ["guest"], {})
    Client(platform.url, key).namespaces()
    Connection(platform.url).json("GET", "/")
    assert "Authorization" not in platform.calls[1][3]
    sent = platform.calls[0][3]["Authorization"]
    import base64

    assert base64.b64decode(sent.removeprefix("Basic ")).decode() == key


def test_connections_are_kept_alive_and_may_be_used_by_several_threads(platform, key) -> None:
    platform.answer = lambda *_: (200, ["guest"], {})
    client = Client(platform.url, key)
    with ThreadPoolExecutor(4) as pool:
        assert set(map(tuple, pool.map(lambda _: client.namespaces(), range(80)))) == {("guest",)}
    assert len(platform.calls) == 80
    assert platform.connections <= 4
    client.close()
    assert client.namespaces() == ["guest"]
    client.close()


def test_a_connection_that_the_platform_may_be_closing_is_not_used_again(
    platform, key, monkeypatch
) -> None:
    """A POST that meets the end of an idle connection would be lost, and cannot be sent again."""
    platform.answer = lambda *_: (200, {"activationId": "a"}, {})
    client = Client(platform.url, key)
    now = [time.monotonic()]
    monkeypatch.setattr(connection.time, "monotonic", lambda: now[0])
    for passed, connections in ((0.0, 1), (connection.LONGEST_IDLE - 1, 1), (31.0, 2), (1.0, 2)):
        now[0] += passed
        assert client.start("worker") == "a"
        assert platform.connections == connections
    client.close()


class _Secure(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'["guest"]'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_) -> None:
        pass


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, *_) -> None:
        pass


def test_a_self_signed_certificate_is_accepted_on_request_only(key, monkeypatch, tmp_path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = _Quiet(("127.0.0.1", 0), _Secure)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        address = f"127.0.0.1:{server.server_port}"
        with pytest.raises(PlatformUnreachable, match="certificate") as failure:
            Client(address, key).namespaces()
        assert "--insecure" in failure.value.hint
        assert not failure.value.retryable
        # A bundle named by the environment must not switch checking on again.
        authority.cert_pem.write_to_path(tmp_path / "bundle.pem")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "bundle.pem"))
        with Client(address, key, insecure=True) as client:
            assert client.namespaces() == ["guest"]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
