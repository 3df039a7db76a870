"""CouchDB: answers that get lost, and connections that break. On PouchDB's server, and a real one where named."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest

from whisktrain.errors import Conflict, StoreUnreachable
from whisktrain.store.couch import CouchStore, feed, session

from .meddler import Meddle, Meddler, cut_in_body, cut_in_head, lost, status, whole

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

    def test_a_plain_conflict_costs_one_request(
        self, store: CouchStore, meddler: Meddler, attachment: bytes | None
    ) -> None:
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

    def test_one_request_writes_and_one_reads(
        self, store: CouchStore, meddler: Meddler, attachment: bytes | None
    ) -> None:
        store.rounds.put("d", {"n": 1}, attachment=attachment)
        store.rounds.get("d", attachment=True)
        store.rounds.get("d")
        assert [line.split()[0] for line in meddler.requests] == ["PUT", "GET", "GET"]


class TestDeletions:
    def test_a_deletion_whose_answer_was_lost_counts(
        self, store: CouchStore, meddler: Meddler
    ) -> None:
        store.rounds.put("d", {})
        meddler.answers = [whole, lost]
        assert store.rounds.delete("d") is True
        assert store.rounds.get("d") is None

    def test_many_deletions_whose_answer_was_lost_count(
        self, store: CouchStore, meddler: Meddler
    ) -> None:
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
        assert len(meddler.requests) == 2

    def test_deletions_at_known_revisions_are_one_request(
        self, store: CouchStore, meddler: Meddler
    ) -> None:
        known = {f"d:{k}": store.rounds.put(f"d:{k}", {}) for k in range(30)}
        meddler.requests.clear()
        assert store.rounds.delete_many(known, known=known) == 30
        assert len(meddler.requests) == 1

    def test_deletions_at_known_revisions_whose_answer_was_lost_count(
        self, store: CouchStore, meddler: Meddler
    ) -> None:
        known = {f"d:{k}": store.rounds.put(f"d:{k}", {}) for k in range(5)}
        meddler.answers = [lost]
        assert store.rounds.delete_many(known, known=known) == 5
        assert store.rounds.list("d:") == []


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
    def test_an_answer_cut_short_is_read_again(
        self, store: CouchStore, meddler: Meddler, cut: Meddle
    ) -> None:
        store.rounds.put("d", {"n": 1}, attachment=b"x" * 3000)
        meddler.answers = [
            lambda answer: (threading.Timer(0.1, meddler.hang_up).start(), cut(answer))[1]
        ]
        document = store.rounds.get("d", attachment=True)
        assert document is not None
        assert document.attachment == b"x" * 3000

    def test_errors_of_the_server_are_repeated_for_a_bounded_time(
        self, store: CouchStore, meddler: Meddler, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.rounds.put("d", {})
        meddler.answers = [status(503), status(500)]
        assert store.rounds.get("d") is not None
        monkeypatch.setattr(session, "RETRY_SECONDS", 0.5)
        meddler.answers = [status(503)] * 100
        begun = time.monotonic()
        with pytest.raises(StoreUnreachable, match="503") as caught:
            store.rounds.get("d")
        assert time.monotonic() - begun < 10
        assert caught.value.retryable

    def test_a_server_that_may_have_overslept_a_write_is_asked_again_soon(
        self, store: CouchStore, meddler: Meddler
    ) -> None:
        position = store.rounds.changes(None).position
        meddler.requests.clear()
        begun = time.monotonic()
        assert store.rounds.changes(position, timeout=3 * feed.FIRST_POLL).rows == []
        assert time.monotonic() - begun < 5
        assert len(meddler.requests) == 2

    def test_long_waits_are_several_polls(
        self, store: CouchStore, meddler: Meddler, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(feed, "LONGEST_POLL", 0.2)
        position = store.rounds.changes(None).position
        meddler.requests.clear()
        begun = time.monotonic()
        assert store.rounds.changes(position, timeout=0.7).rows == []
        assert 0.6 < time.monotonic() - begun < 5
        assert 3 <= len(meddler.requests) <= 6
