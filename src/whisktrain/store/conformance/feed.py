"""Conformance: the feed of changes."""

# ruff: noqa: D102 - a test is documented by its name

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from whisktrain.store.conformance.basis import Basis, processes
from whisktrain.store.opening import open_store
from whisktrain.store.protocol import Changes, Database, Document

__all__ = ["FeedTests"]


class FeedTests(Basis):
    """What changed, in order, once each, and waiting for it."""

    def test_an_empty_feed(self, database: Database) -> None:
        for since in ("0", None):
            found = database.changes(since)
            assert found.rows == []
            assert database.changes(found.position).rows == []

    def test_from_now_answers_at_once_with_nothing(self, database: Database) -> None:
        database.put("old", {})
        begun = time.monotonic()
        found = database.changes(None, timeout=10)
        assert time.monotonic() - begun < 5
        assert found.rows == []
        database.put("new", {})
        assert _seen(database.changes(found.position)) == [("new", False)]

    def test_rows_come_in_the_order_of_writing(self, database: Database) -> None:
        for id_ in ("c", "a", "b"):
            database.put(id_, {})
        assert _seen(database.changes("0")) == [("c", False), ("a", False), ("b", False)]

    def test_each_document_appears_once_by_its_newest_change(self, database: Database) -> None:
        rev = database.put("a", {"n": 1})
        database.put("b", {})
        database.put("c", {})
        database.put("a", {"n": 2}, rev=rev)
        database.delete("b")
        assert _seen(database.changes("0")) == [("c", False), ("a", False), ("b", True)]
        database.put("b", {})
        assert _seen(database.changes("0")) == [("c", False), ("a", False), ("b", False)]

    def test_a_position_goes_on_exactly_where_the_last_call_ended(self, database: Database) -> None:
        database.put("a", {})
        first = database.changes("0")
        assert database.changes(first.position).rows == []
        rev = database.put("b", {})
        database.put("b", {}, rev=rev)
        database.delete("a")
        second = database.changes(first.position)
        assert _seen(second) == [("b", False), ("a", True)]
        assert database.changes(second.position).rows == []
        assert _seen(database.changes(first.position)) == [("b", False), ("a", True)]

    def test_pages(self, database: Database) -> None:
        ids = [f"d:{k}" for k in range(25)]
        for id_ in ids:
            database.put(id_, {})
        position, seen = "0", []
        for _ in range(4):
            found = database.changes(position, limit=10)
            assert len(found.rows) <= 10
            seen += [row.id for row in found.rows]
            position = found.position
        assert seen == ids

    def test_pages_of_a_prefix_are_complete_and_end(self, database: Database) -> None:
        for k in range(12):
            database.put(f"x:{k}", {})
            database.put(f"d:{k}", {})
        position, seen = "0", []
        for _ in range(30):
            found = database.changes(position, limit=5, prefix="d:")
            assert len(found.rows) <= 5
            seen += [row.id for row in found.rows]
            position = found.position
        assert seen == [f"d:{k}" for k in range(12)]

    def test_only_what_was_asked_for(self, database: Database) -> None:
        for id_ in ("run:a", "run:b", "params:a:1", "a:1:0", "run", "Run:a"):
            database.put(id_, {})
        database.delete("run:a")
        assert _seen(database.changes("0", prefix="run:")) == [("run:b", False), ("run:a", True)]
        assert _seen(database.changes("0", ids=["a:1:0", "run", "absent"])) == [
            ("a:1:0", False),
            ("run", False),
        ]
        assert _seen(database.changes("0", ids={"run:a", "run"}, prefix="run:")) == [
            ("run:a", True)
        ]
        assert database.changes("0", ids=[]).rows == []
        assert database.changes("0", prefix="nothing").rows == []

    def test_the_position_moves_past_what_was_not_asked_for(self, database: Database) -> None:
        database.put("x:1", {})
        found = database.changes("0", prefix="d:")
        assert found.rows == []
        database.put("d:1", {})
        assert _seen(database.changes(found.position)) in (
            [("d:1", False)],
            [("x:1", False), ("d:1", False)],
        )
        assert _seen(database.changes(found.position, prefix="d:")) == [("d:1", False)]

    def test_documents_come_with_the_rows_where_they_are_asked_for(
        self, database: Database
    ) -> None:
        first = database.put("a", {"n": 1}, attachment=b"12345")
        rev = database.put("b", {"n": 1})
        gone = database.put("c", {})
        position = database.changes(None).position
        rev = database.put("b", {"n": 2, "deep": {"_id": "x", "list": [1.5, None]}}, rev=rev)
        database.delete("c", rev=gone)
        rows = database.changes(position, bodies=True).rows
        assert rows[0].document == Document(
            "b", rev, {"n": 2, "deep": {"_id": "x", "list": [1.5, None]}}
        )
        assert [(row.id, row.deleted) for row in rows] == [("b", False), ("c", True)]
        assert rows[1].document is None
        every = database.changes("0", bodies=True, ids=["a", "c"]).rows
        assert [row.document for row in every] == [Document("a", first, {"n": 1}, None, 5), None]
        assert [row.document for row in database.changes("0").rows] == [None] * 3

    def test_a_waiting_reader_gets_the_document_that_it_waited_for(
        self, database: Database
    ) -> None:
        rev = database.put("a", {"n": 1})
        position = database.changes(None).position
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(database.changes, position, timeout=20, ids=["a"], bodies=True)
            time.sleep(0.3)
            database.put("b", {})
            rev = database.put("a", {"n": 2}, rev=rev)
            assert [row.document for row in waiting.result(20).rows] == [
                Document("a", rev, {"n": 2})
            ]

    def test_waiting_ends_at_the_timeout(self, database: Database) -> None:
        position = database.changes(None).position
        begun = time.monotonic()
        found = database.changes(position, timeout=0.6)
        assert 0.5 < time.monotonic() - begun < 3
        assert found.rows == []
        database.put("a", {})
        assert _seen(database.changes(found.position, timeout=5)) == [("a", False)]

    def test_no_timeout_answers_at_once(self, database: Database) -> None:
        position = database.changes(None).position
        begun = time.monotonic()
        for _ in range(3):
            assert database.changes(position).rows == []
        assert time.monotonic() - begun < 1

    def test_what_is_there_already_ends_the_wait_at_once(self, database: Database) -> None:
        database.put("a", {})
        begun = time.monotonic()
        assert _seen(database.changes("0", timeout=20)) == [("a", False)]
        assert time.monotonic() - begun < 5

    @pytest.mark.parametrize("how", ["all", "prefix", "ids"])
    def test_a_waiting_reader_is_woken_by_what_it_asked_for_only(
        self, database: Database, how: str
    ) -> None:
        position = database.changes(None).position
        asks: dict[str, dict[str, Any]] = {
            "all": {},
            "prefix": {"prefix": "d:"},
            "ids": {"ids": ["d:1", "d:2"]},
        }
        ask = asks[how]
        writes = ["x:1", "x:2", "d:1"] if ask else ["d:1"]

        def write() -> None:
            for id_ in writes:
                time.sleep(0.3)
                database.put(id_, {})

        writer = threading.Thread(target=write)
        writer.start()
        begun = time.monotonic()
        found = database.changes(position, timeout=20, **ask)
        took = time.monotonic() - begun
        writer.join()
        assert _seen(found) == [("d:1", False)]
        assert 0.2 < took < 5

    def test_a_waiting_reader_is_woken_by_a_deletion(self, database: Database) -> None:
        database.put("a", {})
        position = database.changes(None).position
        later = threading.Timer(0.3, database.delete, ["a"])
        later.start()
        assert _seen(database.changes(position, timeout=20)) == [("a", True)]
        later.join()

    def test_readers_in_other_processes_are_woken(self, database: Database, address: str) -> None:
        position = database.changes(None).position
        with processes(3) as pool:
            waiting = [pool.submit(_wait_for, address, position, f"d:{k}") for k in range(3)]
            time.sleep(0.5)
            for k in range(3):
                database.put(f"d:{k}", {})
            for k, reader in enumerate(waiting):
                assert reader.result(30) == [(f"d:{k}", False)]

    def test_many_waiting_readers_all_see_it(self, database: Database) -> None:
        position = database.changes(None).position
        with ThreadPoolExecutor(16) as pool:
            waiting = [pool.submit(database.changes, position, timeout=20) for _ in range(16)]
            time.sleep(0.5)
            begun = time.monotonic()
            database.put("a", {})
            for reader in waiting:
                assert _seen(reader.result(30)) == [("a", False)]
            assert time.monotonic() - begun < 5

    def test_no_write_is_ever_slept_through(self, database: Database) -> None:
        """Ping-pong between two followers: a lost wake-up would show as a wait to the time-out."""
        rallies = 40

        def play(mine: str, other: str) -> None:
            position = "0"
            for k in range(rallies):
                if mine == "ping":
                    database.put(f"{mine}:{k}", {})
                seen: list[str] = []
                while f"{other}:{k}" not in seen:
                    found = database.changes(position, timeout=20, prefix=f"{other}:")
                    assert found.rows, "nothing in 20 s"
                    position, seen = found.position, [row.id for row in found.rows]
                if mine == "pong":
                    database.put(f"{mine}:{k}", {})

        with ThreadPoolExecutor(2) as pool:
            for player in [pool.submit(play, "ping", "pong"), pool.submit(play, "pong", "ping")]:
                player.result(60)

    def test_following_while_others_write_misses_nothing(
        self, database: Database, address: str
    ) -> None:
        with processes(2) as pool:
            writers = [pool.submit(_write_many, address, f"w{k}", 40) for k in range(2)]
            expected = {f"w{k}:{n}" for k in range(2) for n in range(40)}
            position: str = "0"
            seen: set[str] = set()
            until = time.monotonic() + 60
            while seen != expected and time.monotonic() < until:
                found = database.changes(position, timeout=5, limit=7)
                position = found.position
                seen |= {row.id for row in found.rows}
            for writer in writers:
                writer.result(60)
        assert seen == expected


def _seen(found: Changes) -> list[tuple[str, bool]]:
    return [(row.id, row.deleted) for row in found.rows]


def _wait_for(address: str, position: str, id_: str) -> list[tuple[str, bool]]:
    store = open_store(address)
    found = store.rounds.changes(position, timeout=20, ids=[id_])
    store.close()
    return _seen(found)


def _write_many(address: str, name: str, count: int) -> None:
    store = open_store(address)
    for n in range(count):
        store.rounds.put(f"{name}:{n}", {})
    store.close()
