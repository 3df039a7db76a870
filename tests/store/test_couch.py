"""What is particular to CouchDB: lost answers, restarts, rights, secrets. On PouchDB's server, and a real one where named."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from whisktrain.errors import Conflict, Damaged, StoreError, StoreUnreachable
from whisktrain.store import couch_feed, couch_http, multipart
from whisktrain.store.couch import CouchStore

from .meddler import Meddle, Meddler, cut_in_body, cut_in_head, lost, status, whole

REAL_COUCHDB = os.environ.get("WHISKTRAIN_TEST_COUCHDB")
SERVERS = ["pouchdb", *(["real"] if REAL_COUCHDB else [])]


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> str:
    """A server's address with its administrator."""
    return REAL_COUCHDB or "" if request.param == "real" else str(request.getfixturevalue("pouchdb"))


@pytest.fixture
def meddler(server: str) -> Iterator[Meddler]:
    with contextlib.closing(Meddler(server)) as meddler:
        yield meddler


@pytest.fixture
def store(meddler: Meddler, prefix: str) -> Iterator[CouchStore]:
    """A store behind the meddler, greeted and made."""
    with contextlib.closing(CouchStore(f"{meddler.address}?prefix={prefix}")) as store:
        store.ensure()
        store.is_pouch()
        meddler.requests.clear()
        yield store
        meddler.answers.clear()
        store.drop()


ATTACHED = pytest.mark.parametrize("attachment", [None, b"x" * 200_000], ids=["plain", "attached"])


@ATTACHED
class TestLostAnswers:
    def test_a_create_whose_answer_was_lost_is_a_success(
        self, store: CouchStore, meddler: Meddler, attachment: bytes | None
    ) -> None:
        meddler.answers = [lost]
        rev = store.rounds.put("d", {"n": 1}, attachment=attachment)
        document = store.rounds.get("d", attachment=True)
        assert document is not None
        assert (document.rev, document.body, document.attachment) == (rev, {"n": 1}, attachment)
        puts = [line for line in meddler.requests if line.startswith("PUT")]
        assert len(puts) == 2, "the lost one and its repetition"

    def test_a_replacement_whose_answer_was_lost_is_a_success(
        self, store: CouchStore, meddler: Meddler, attachment: bytes | None
    ) -> None:
        first = store.rounds.put("d", {"n": 1}, attachment=attachment)
        meddler.answers = [lost]
        second = store.rounds.put("d", {"n": 2}, rev=first, attachment=attachment)
        document = store.rounds.get("d")
        assert document is not None
        assert (document.rev, document.body) == (second, {"n": 2})

    @pytest.mark.parametrize("code", [500, 503])
    def test_a_server_error_after_the_write_is_a_success_too(
        self, store: CouchStore, meddler: Meddler, attachment: bytes | None, code: int
    ) -> None:
        meddler.answers = [status(code)]
        rev = store.rounds.put("d", {"n": 1}, attachment=attachment)
        document = store.rounds.get("d")
        assert document is not None
        assert document.rev == rev

    def test_the_same_document_of_somebody_else_is_a_conflict(
        self, store: CouchStore, server: str, meddler: Meddler, attachment: bytes | None
    ) -> None:
        """Only the word of the call tells whose write it was: the bodies are the same."""
        with contextlib.closing(CouchStore(f"{server}?prefix={store.library.name}")) as other:

            def quicker(answer: bytes) -> bytes | None:
                document = other.rounds.get("d")
                assert document is not None
                other.rounds.delete("d")
                other.rounds.put("d", {"n": 1}, attachment=attachment)
                return None

            meddler.answers = [quicker]
            with pytest.raises(Conflict):
                store.rounds.put("d", {"n": 1}, attachment=attachment)

    def test_a_request_that_never_arrived_is_repeated(
        self, store: CouchStore, meddler: Meddler, attachment: bytes | None
    ) -> None:
        meddler.lose_request = 2
        rev = store.rounds.put("d", {"n": 1}, attachment=attachment)
        document = store.rounds.get("d")
        assert document is not None
        assert document.rev == rev

    def test_a_plain_conflict_costs_one_request(self, store: CouchStore, meddler: Meddler, attachment: bytes | None) -> None:
        store.rounds.put("d", {"n": 1}, attachment=attachment)
        meddler.requests.clear()
        with pytest.raises(Conflict):
            store.rounds.put("d", {"n": 1}, attachment=attachment)
        assert len(meddler.requests) == 1

    def test_too_few_copies_are_no_success_until_read_again(
        self, store: CouchStore, meddler: Meddler, attachment: bytes | None
    ) -> None:
        meddler.answers = [status(202)]
        rev = store.rounds.put("d", {"n": 1}, attachment=attachment)
        assert [line.split()[0] for line in meddler.requests] == ["PUT", "GET"]
        document = store.rounds.get("d")
        assert document is not None
        assert document.rev == rev

    def test_one_request_writes_and_one_reads(self, store: CouchStore, meddler: Meddler, attachment: bytes | None) -> None:
        store.rounds.put("d", {"n": 1}, attachment=attachment)
        store.rounds.get("d", attachment=True)
        store.rounds.get("d")
        assert [line.split()[0] for line in meddler.requests] == ["PUT", "GET", "GET"]


class TestDeletions:
    def test_a_deletion_whose_answer_was_lost_counts(self, store: CouchStore, meddler: Meddler) -> None:
        store.rounds.put("d", {})
        meddler.answers = [whole, lost]
        assert store.rounds.delete("d") is True
        assert store.rounds.get("d") is None

    def test_a_deletion_of_a_known_revision_is_one_request(self, store: CouchStore, meddler: Meddler) -> None:
        rev = store.rounds.put("d", {})
        meddler.requests.clear()
        assert store.rounds.delete("d", rev=rev) is True
        assert len(meddler.requests) == 1

    def test_many_deletions_whose_answer_was_lost_count(self, store: CouchStore, meddler: Meddler) -> None:
        for k in range(5):
            store.rounds.put(f"d:{k}", {})
        meddler.answers = [whole, lost]
        assert store.rounds.delete_many([f"d:{k}" for k in range(7)]) == 5
        assert store.rounds.list("d:") == []

    def test_many_deletions_are_few_requests(self, store: CouchStore, meddler: Meddler) -> None:
        for k in range(30):
            store.rounds.put(f"d:{k}", {})
        meddler.requests.clear()
        assert store.rounds.delete_many([f"d:{k}" for k in range(30)]) == 30
        assert len(meddler.requests) <= 3


class TestConnections:
    def test_a_restart_goes_unnoticed(self, store: CouchStore, meddler: Meddler) -> None:
        for k in range(3):
            store.rounds.put(f"d:{k}", {}, attachment=b"x" * 1000)
            meddler.hang_up()
        assert len(store.rounds.list("d:")) == 3
        meddler.hang_up()
        assert store.rounds.get("d:0", attachment=True) is not None
        meddler.hang_up()
        assert store.rounds.delete_many(["d:0"]) == 1
        meddler.hang_up()
        assert len(store.rounds.changes("0").rows) == 3

    def test_a_wait_survives_a_restart(self, store: CouchStore, meddler: Meddler) -> None:
        position = store.rounds.changes(None).position
        breaker = threading.Timer(0.3, meddler.hang_up)
        writer = threading.Timer(1.0, store.rounds.put, ["d", {}])
        for timer in (breaker, writer):
            timer.start()
        assert [row.id for row in store.rounds.changes(position, timeout=20).rows] == ["d"]
        for timer in (breaker, writer):
            timer.join()

    def test_connections_are_used_again(self, store: CouchStore, meddler: Meddler) -> None:
        before = len(meddler._open)
        for k in range(10):
            store.rounds.put(f"d:{k}", {}, attachment=b"x" * 1000)
            store.rounds.get(f"d:{k}", attachment=True)
            with contextlib.suppress(Conflict):
                store.rounds.put(f"d:{k}", {})
        assert len(meddler._open) <= before + 2

    @pytest.mark.parametrize("cut", [cut_in_head, cut_in_body])
    def test_an_answer_cut_short_is_read_again(self, store: CouchStore, meddler: Meddler, cut: Meddle) -> None:
        store.rounds.put("d", {"n": 1}, attachment=b"x" * 3000)
        meddler.answers = [lambda answer: (threading.Timer(0.1, meddler.hang_up).start(), cut(answer))[1]]
        document = store.rounds.get("d", attachment=True)
        assert document is not None
        assert document.attachment == b"x" * 3000

    def test_errors_of_the_server_are_repeated_for_a_bounded_time(
        self, store: CouchStore, meddler: Meddler, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.rounds.put("d", {})
        meddler.answers = [status(503), status(500)]
        assert store.rounds.get("d") is not None
        monkeypatch.setattr(couch_http, "RETRY_SECONDS", 0.5)
        meddler.answers = [status(503)] * 100
        begun = time.monotonic()
        with pytest.raises(StoreUnreachable, match="503") as caught:
            store.rounds.get("d")
        assert time.monotonic() - begun < 10
        assert caught.value.retryable

    def test_long_waits_are_several_polls(self, store: CouchStore, meddler: Meddler, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(couch_feed, "LONGEST_POLL", 0.2)
        position = store.rounds.changes(None).position
        meddler.requests.clear()
        begun = time.monotonic()
        assert store.rounds.changes(position, timeout=0.7).rows == []
        assert 0.6 < time.monotonic() - begun < 5
        assert 3 <= len(meddler.requests) <= 6


def test_nobody_there_is_told_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(couch_http, "FIRST_RETRY_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with contextlib.closing(CouchStore(f"http://someuser:geheim@127.0.0.1:{port}")) as store:
        for call in (store.ensure, lambda: store.rounds.get("a"), lambda: store.rounds.put("a", {}, attachment=b"x")):
            with pytest.raises(StoreUnreachable, match=f"127.0.0.1:{port}") as caught:
                call()
            assert caught.value.retryable
            assert "geheim" not in f"{caught.value!r} {caught.value}"


def test_a_silent_server_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(couch_http, "FIRST_RETRY_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with contextlib.closing(CouchStore(f"http://127.0.0.1:{silent.getsockname()[1]}")) as store:
            with pytest.raises(StoreUnreachable, match="does not answer"):
                store._session.send("GET", f"http://127.0.0.1:{silent.getsockname()[1]}/", read_timeout=0.3)


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


def test_a_certificate_must_be_trusted(pouchdb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
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


@pytest.mark.parametrize(("code", "word"), [(401, "store_unauthorized"), (403, "store_forbidden"), (413, "store_error")])
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
                with pytest.raises(StoreError) as caught:
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
            assert not store._session._session.proxies
            assert store._session._session.trust_env is False
    with contextlib.closing(CouchStore("http://couch.example.org:5984")) as store:
        assert store._session._session.proxies == {"http": "http://proxy.invalid:1"}


def test_an_ipv6_address_is_reached(pouchdb: str) -> None:
    """A listener on ::1 that hands everything on to the server."""
    meddler = Meddler(pouchdb)
    meddler._listener.close()
    try:
        meddler._listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
        threading.Thread(target=meddler._accept, daemon=True).start()
        with contextlib.closing(CouchStore(f"http://[::1]:{meddler._listener.getsockname()[1]}")) as store:
            assert "express-pouchdb" in store.greeting()
    finally:
        meddler.close()


@given(st.binary(max_size=300), st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2))
def test_multipart_messages_come_apart_as_they_were_joined(data: bytes, extra: dict[str, str]) -> None:
    import json

    document = {"x": extra, "_attachments": {"data": {"follows": True, "length": len(data)}}}
    content_type, message = multipart.join(json.dumps(document), data)
    assert multipart.split(content_type, message) == (document, data)
    for end in (len(message) // 3, len(message) - 3):
        with pytest.raises(Damaged):
            multipart.split(content_type, message[:end])
    assert content_type.partition("boundary=")[2].strip('"').encode() not in data


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

        def test_a_member_runs_and_only_an_administrator_creates(self, prefix: str, user: str) -> None:
            host = (REAL_COUCHDB or "").rpartition("@")[2]
            with (
                contextlib.closing(CouchStore(f"{REAL_COUCHDB}?prefix={prefix}")) as admin,
                contextlib.closing(CouchStore(f"http://{user}:geheim@{host}?prefix={prefix}")) as member,
                contextlib.closing(CouchStore(f"http://{user}:wrong@{host}?prefix={prefix}")) as stranger,
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
                    assert len(member.rounds.list("a")) == len(member.rounds.changes("0", timeout=1).rows) == 1
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
