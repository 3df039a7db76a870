"""Conformance: several processes and threads on the same documents."""

# ruff: noqa: D102 - a test is documented by its name

from __future__ import annotations

import multiprocessing
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

from whisktrain.errors import Conflict
from whisktrain.store.conformance.basis import Basis, processes
from whisktrain.store.opening import open_store
from whisktrain.store.protocol import Database

__all__ = ["RaceTests"]

PROCESSES = 4


class RaceTests(Basis):
    """Races."""

    def test_a_counter_loses_no_step(self, database: Database, address: str) -> None:
        steps = 25
        database.put("counter", {"n": 0})
        with processes(PROCESSES) as pool:
            counted = [pool.submit(_count, address, steps) for _ in range(PROCESSES)]
            seen = [n for process in counted for n in process.result(120)]
        assert sorted(seen) == list(range(1, PROCESSES * steps + 1))
        found = database.get("counter")
        assert found is not None
        assert found.body == {"n": PROCESSES * steps}

    def test_exactly_one_creates(self, database: Database, address: str) -> None:
        ids = [f"d:{k}" for k in range(30)]
        with processes(PROCESSES) as pool:
            racers = [pool.submit(_create, address, who, ids) for who in range(PROCESSES)]
            winners = {id_: who for who, racer in enumerate(racers) for id_ in racer.result(120)}
            wins = sum(len(racer.result()) for racer in racers)
        assert wins == len(ids)
        assert {document.id: document.body["who"] for document in database.list("d:")} == winners

    def test_exactly_one_deletes(self, database: Database) -> None:
        for _ in range(10):
            database.put("d", {})
            with ThreadPoolExecutor(PROCESSES) as pool:
                racers = [pool.submit(database.delete, "d") for _ in range(PROCESSES)]
                assert sum(racer.result(60) for racer in racers) == 1

    def test_a_feed_reader_never_sees_a_document_without_its_attachment(
        self, database: Database, address: str
    ) -> None:
        with processes(2) as pool:
            writers = [pool.submit(_write_attached, address, f"w{k}", 25) for k in range(2)]
            position: str = "0"
            seen: set[str] = set()
            until = time.monotonic() + 120
            while len(seen) < 50 and time.monotonic() < until:
                found = database.changes(position, timeout=5, prefix="w")
                position = found.position
                for row in found.rows:
                    document = database.get(row.id, attachment=True)
                    assert document is not None
                    assert document.attachment is not None
                    assert zlib.crc32(document.attachment) == document.body["crc"]
                    seen.add(row.id)
            for writer in writers:
                writer.result(120)
        assert len(seen) == 50

    def test_a_reader_sees_a_replaced_document_whole_or_not_at_all(
        self, database: Database, address: str
    ) -> None:
        with processes(1) as pool:
            writer = pool.submit(_replace_and_delete, address, 30)
            reads = 0
            while not writer.done():
                document = database.get("d", attachment=True)
                if document is not None:
                    assert document.attachment is not None
                    assert zlib.crc32(document.attachment) == document.body["crc"]
                    reads += 1
            writer.result()
        assert reads

    def test_a_killed_writer_leaves_the_store_whole(self, database: Database, address: str) -> None:
        process = multiprocessing.get_context("spawn").Process(
            target=_write_attached, args=(address, "k", 100_000)
        )
        process.start()
        position = "0"
        for _ in range(5):
            found = database.changes(position, timeout=30, prefix="k:", limit=1)
            assert found.rows
            position = found.position
        process.kill()
        process.join()
        documents = database.list("k:")
        assert documents
        for listed in documents[-40:]:
            document = database.get(listed.id, attachment=True)
            assert document is not None
            assert document.attachment is not None
            assert zlib.crc32(document.attachment) == document.body["crc"]
        begun = time.monotonic()
        database.put("after", {}, attachment=b"a" * 100_000)
        database.compact()
        assert database.delete_many(document.id for document in documents) == len(documents)
        assert time.monotonic() - begun < 20

    def test_threads_share_one_store(self, database: Database) -> None:
        def work(who: int) -> None:
            for k in range(10):
                id_ = f"t{who}:{k}"
                data = bytes([who]) * (70_000 if k % 3 == 0 else 100)
                rev = database.put(id_, {"who": who}, attachment=data)
                rev = database.put(id_, {"who": who, "k": k}, rev=rev, attachment=data)
                document = database.get(id_, attachment=True)
                assert document is not None
                assert (document.body, document.attachment) == ({"who": who, "k": k}, data)
                assert [listed.id for listed in database.list(id_)] == [id_]
                if k % 2:
                    assert database.delete(id_, rev=rev)

        with ThreadPoolExecutor(8) as pool:
            for worker in [pool.submit(work, who) for who in range(8)]:
                worker.result(120)
        assert len(database.list("t")) == 40


def _count(address: str, steps: int) -> list[int]:
    store = open_store(address)
    mine: list[int] = []
    while len(mine) < steps:
        document = store.rounds.get("counter")
        assert document is not None
        try:
            store.rounds.put("counter", {"n": document.body["n"] + 1}, rev=document.rev)
        except Conflict:
            continue
        mine.append(document.body["n"] + 1)
    store.close()
    return mine


def _create(address: str, who: int, ids: list[str]) -> list[str]:
    store = open_store(address)
    mine = []
    for id_ in ids:
        try:
            store.rounds.put(id_, {"who": who}, attachment=bytes([who]) * 70_000)
        except Conflict:
            continue
        mine.append(id_)
    store.close()
    return mine


def _write_attached(address: str, name: str, count: int) -> None:
    store = open_store(address)
    for n in range(count):
        data = f"{name}:{n}:".encode() * (10_000 if n % 2 else 10)
        store.rounds.put(f"{name}:{n:06}", {"crc": zlib.crc32(data)}, attachment=data)
    store.close()


def _replace_and_delete(address: str, count: int) -> None:
    store = open_store(address)
    for n in range(count):
        rev = None
        for k in range(3):
            data = f"{n}:{k}:".encode() * (30_000 if (n + k) % 2 else 10)
            rev = store.rounds.put("d", {"crc": zlib.crc32(data)}, rev=rev, attachment=data)
        assert store.rounds.delete("d", rev=rev)
    store.close()
