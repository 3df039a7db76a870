"""What is particular to CouchDB: addresses, rights, secrets, messages. On PouchDB's server, and a real one where named."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from whisktrain.errors import Conflict, Damaged, StoreError, StoreRefused, StoreUnreachable
from whisktrain.store.couch import CouchStore, feed, multipart, session

from .meddler import Meddler, status

REAL_COUCHDB = os.environ.get("WHISKTRAIN_TEST_COUCHDB")


def test_what_was_asked_for_is_found_behind_full_pages_of_other_rows(
    store: CouchStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "PAGE", 4)
    for k in range(10):
        store.rounds.put(f"x:{k}", {})
    for k in range(7):
        store.rounds.put(f"d:{k}", {})
    position, seen = "0", []
    for _ in range(4):
        found = store.rounds.changes(position, prefix="d:", limit=2)
        seen += [row.id for row in found.rows]
        position = found.position
    assert seen == [f"d:{k}" for k in range(7)]


def test_nobody_there_is_told_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "FIRST_RETRY_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with contextlib.closing(CouchStore(f"http://someuser:geheim@127.0.0.1:{port}")) as store:
        for call in (
            store.ensure,
            lambda: store.rounds.get("a"),
            lambda: store.rounds.put("a", {}, attachment=b"x"),
        ):
            with pytest.raises(StoreUnreachable, match=f"127.0.0.1:{port}") as caught:
                call()
            assert caught.value.retryable
            assert "geheim" not in f"{caught.value!r} {caught.value}"


def test_a_silent_server_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "FIRST_RETRY_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with contextlib.closing(CouchStore(f"http://127.0.0.1:{silent.getsockname()[1]}")) as store:
            with pytest.raises(StoreUnreachable, match="does not answer"):
                store._session.send(
                    "GET", f"http://127.0.0.1:{silent.getsockname()[1]}/", read_timeout=0.3
                )


def test_something_else_that_answers_is_told(pouchdb: str) -> None:
    with contextlib.closing(Meddler(pouchdb)) as meddler:
        with contextlib.closing(CouchStore(meddler.address)) as store:
            page = b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\nContent-Type: text/html\r\n\r\n<html>hi</html>"
            meddler.answers = [lambda _: page]
            with pytest.raises(StoreError, match="CouchDB"):
                store.ensure()
            meddler.answers = [status(302)]
            with pytest.raises(StoreError, match="redirection"):
                store.ensure()


def test_a_certificate_must_be_trusted(
    pouchdb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    command += [
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        str(key),
        "-out",
        str(certificate),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    with contextlib.closing(Meddler(pouchdb, context)) as meddler:
        with contextlib.closing(CouchStore(meddler.address)) as store:
            with pytest.raises(StoreError, match="not trusted") as caught:
                store.greeting()
            assert caught.value.code == "store_certificate"
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        with contextlib.closing(CouchStore(meddler.address)) as store:
            assert "express-pouchdb" in store.greeting()


def test_a_missing_database_is_told_with_the_fix(server: str, prefix: str) -> None:
    with contextlib.closing(CouchStore(f"{server}?prefix={prefix}")) as store:
        calls = [
            lambda: store.rounds.get("a"),
            lambda: store.rounds.get("a", attachment=True),
            lambda: store.rounds.put("a", {}),
            lambda: store.rounds.put("a", {}, attachment=b"x"),
            lambda: store.rounds.list(""),
            lambda: store.rounds.changes("0"),
            lambda: store.rounds.delete_many(["a"]),
        ]
        for call in calls:
            with pytest.raises(StoreError, match=f"{prefix}-rounds") as caught:
                call()
            assert caught.value.code == "store_missing"
            assert not isinstance(caught.value, Conflict)
            assert "deploy" in caught.value.hint


@pytest.mark.parametrize(
    ("code", "word"),
    [(401, "store_unauthorized"), (403, "store_forbidden"), (413, "store_too_large")],
)
def test_refusals_are_told_without_secrets(pouchdb: str, prefix: str, code: int, word: str) -> None:
    with contextlib.closing(Meddler(pouchdb)) as meddler:
        meddler.strip_credentials = True
        address = meddler.address.replace("://", "://someuser:geheim@")
        with contextlib.closing(CouchStore(f"{address}?prefix={prefix}")) as store:
            store.ensure()
            for call in (
                lambda: store.rounds.get("a"),
                lambda: store.rounds.put("a", {}),
                lambda: store.rounds.put("a", {}, attachment=b"x"),
                lambda: store.rounds.delete_many(["a"]),
                store.rounds.compact,
            ):
                meddler.answers = [status(code)]
                with pytest.raises(StoreRefused) as caught:
                    call()
                assert caught.value.code == word
                assert not caught.value.retryable
                assert "geheim" not in f"{caught.value!r} {caught.value}"
                meddler.answers.clear()
            store.drop()


def test_credentials_are_sent_as_they_are_meant(pouchdb: str) -> None:
    import base64

    with contextlib.closing(Meddler(pouchdb)) as meddler:
        meddler.strip_credentials = True
        address = meddler.address.replace("://", "://us%40r:p%3A%2Fß@")
        with contextlib.closing(CouchStore(address)) as store:
            store.greeting()
    sent = base64.b64encode("us@r:p:/ß".encode())
    assert b"Authorization: Basic " + sent in meddler.raw


def test_proxies_are_never_used_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.invalid:1")
    monkeypatch.setenv("no_proxy", "")
    for host in ("127.0.0.1", "localhost", "[::1]", "127.8.8.8", "couch.localhost"):
        with contextlib.closing(CouchStore(f"http://{host}:5984")) as store:
            assert store._session._pools.proxy is None
    with contextlib.closing(CouchStore("http://couch.example.org:5984")) as store:
        assert str(store._session._pools.proxy) == "http://proxy.invalid:1"


def test_a_proxy_is_asked_for_the_whole_address(
    pouchdb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the proxy's own password, which the server does not see."""
    with contextlib.closing(Meddler(pouchdb)) as meddler:
        monkeypatch.setenv("http_proxy", meddler.address.replace("://", "://me:geheim@"))
        with contextlib.closing(CouchStore("http://couch.example.org:5984")) as store:
            meddler.answers = [status(404)]
            with pytest.raises(StoreError):
                store.greeting()
    assert meddler.raw.startswith(b"GET http://couch.example.org:5984/")
    assert b"Proxy-Authorization: Basic " in meddler.raw


def test_an_ipv6_address_is_reached(pouchdb: str) -> None:
    """A listener on ::1 that hands everything on to the server."""
    meddler = Meddler(pouchdb)
    meddler._listener.close()
    try:
        meddler._listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
        threading.Thread(target=meddler._accept, daemon=True).start()
        with contextlib.closing(
            CouchStore(f"http://[::1]:{meddler._listener.getsockname()[1]}")
        ) as store:
            assert "express-pouchdb" in store.greeting()
    finally:
        meddler.close()


@given(
    st.binary(max_size=300), st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2)
)
def test_multipart_messages_come_apart_as_they_were_joined(
    data: bytes, extra: dict[str, str]
) -> None:
    import json

    document = {"x": extra, "_attachments": {"data": {"follows": True, "length": len(data)}}}
    content_type, message = multipart.join(json.dumps(document), data)
    assert multipart.split(content_type, message) == (document, data)
    for end in (len(message) // 3, len(message) - 3):
        with pytest.raises(Damaged):
            multipart.split(content_type, message[:end])
    assert content_type.partition("boundary=")[2].strip('"').encode() not in data


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=4))
def test_messages_of_several_messages_come_apart(bodies: list[bytes]) -> None:
    told = [b"multipart/related; boundary=inner", b"application/json"]
    message = b""
    for k, body in enumerate(bodies):
        message += (
            b"\r\n--outer\r\nX-Doc-Id: a\r\nContent-Type: " + told[k % 2] + b"\r\n\r\n" + body
        )
    message += b"\r\n--outer--"
    expected = [(told[k % 2].decode(), body) for k, body in enumerate(bodies)]
    assert multipart.parts('multipart/mixed; boundary="outer"', message) == expected
    assert multipart.parts("multipart/mixed; boundary=outer", message[2:]) == expected
    for broken in (message[:-3], message[: len(message) // 2], b"", b"{}"):
        with pytest.raises(Damaged):
            multipart.parts("multipart/mixed; boundary=outer", broken)
    with pytest.raises(Damaged):
        multipart.parts("application/json", message)


if REAL_COUCHDB:

    class TestRights:
        """A user without rights but membership runs; only an administrator creates."""

        @pytest.fixture
        def user(self, prefix: str) -> Iterator[str]:
            address = f"{REAL_COUCHDB}/_users/org.couchdb.user:{prefix}"
            requests.put(f"{REAL_COUCHDB}/_users", timeout=10)
            body = {"name": prefix, "password": "geheim", "roles": [], "type": "user"}
            made = requests.put(address, json=body, timeout=10)
            assert made.status_code == 201, made.text
            yield prefix
            requests.delete(address, params={"rev": made.json()["rev"]}, timeout=10)

        def test_a_member_runs_and_only_an_administrator_creates(
            self, prefix: str, user: str
        ) -> None:
            host = (REAL_COUCHDB or "").rpartition("@")[2]
            with (
                contextlib.closing(CouchStore(f"{REAL_COUCHDB}?prefix={prefix}")) as admin,
                contextlib.closing(
                    CouchStore(f"http://{user}:geheim@{host}?prefix={prefix}")
                ) as member,
                contextlib.closing(
                    CouchStore(f"http://{user}:wrong@{host}?prefix={prefix}")
                ) as stranger,
            ):
                with pytest.raises(StoreError) as caught:
                    member.ensure()
                assert caught.value.code in ("store_forbidden", "store_unauthorized")
                admin.ensure()
                try:
                    with pytest.raises(StoreError) as caught:
                        member.rounds.get("a")
                    assert caught.value.code == "store_forbidden"
                    admin.admit(user)
                    admin.admit(user)
                    member.ensure()
                    rev = member.rounds.put("a", {}, attachment=b"x" * 1000)
                    rev = member.rounds.put("a", {"n": 2}, rev=rev)
                    assert member.rounds.get("a", attachment=True) is not None
                    assert (
                        len(member.rounds.list("a"))
                        == len(member.rounds.changes("0", timeout=1).rows)
                        == 1
                    )
                    assert member.rounds.delete_many(["a"]) == 1
                    with pytest.raises(StoreError) as caught:
                        stranger.rounds.get("a")
                    assert caught.value.code == "store_unauthorized"
                    assert "wrong" not in str(caught.value)
                finally:
                    admin.drop()

        def test_settings_of_the_server_can_be_read(self, prefix: str) -> None:
            with contextlib.closing(CouchStore(f"{REAL_COUCHDB}?prefix={prefix}")) as store:
                assert store.setting("chttpd", "port") is not None
                assert store.setting("chttpd", "no such key") is None

        def test_live_runs_have_one_copy_of_one_shard(self, prefix: str) -> None:
            with contextlib.closing(CouchStore(f"{REAL_COUCHDB}?prefix={prefix}")) as store:
                store.ensure()
                cluster = store.rounds.information()["cluster"]
                store.drop()
            assert (cluster["n"], cluster["q"]) == (1, 1)
