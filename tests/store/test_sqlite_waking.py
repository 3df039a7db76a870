"""How waiting readers of the embedded store's feed are woken."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from whisktrain.store.sqlite import SqliteStore, waking


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(home: Path) -> Iterator[SqliteStore]:
    with contextlib.closing(SqliteStore(home)) as store:
        yield store


def test_the_latency_is_about_a_millisecond(store: SqliteStore) -> None:
    position = store.rounds.changes(None).position
    took = []
    for k in range(30):
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(store.rounds.changes, position, timeout=10)
            time.sleep(0.02)
            begun = time.perf_counter()
            store.rounds.put(f"d:{k}", {})
            position = waiting.result(10).position
            took.append(time.perf_counter() - begun)
    # Far below the slow poll also where the machine is busy.
    assert statistics.median(took) < 0.05 < waking.POLL


def test_a_write_just_before_the_wait_is_not_slept_through(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the first look and the binding of the socket nobody can be woken: a second look must find it."""
    monkeypatch.setattr(waking, "POLL", 60.0)
    position = store.rounds.changes(None).position
    enter = waking.Waiter.__enter__

    def written_meanwhile(waiter: waking.Waiter) -> waking.Waiter:
        store.rounds.put("a", {})
        return enter(waiter)

    monkeypatch.setattr(waking.Waiter, "__enter__", written_meanwhile)
    begun = time.monotonic()
    assert store.rounds.changes(position, timeout=20).rows
    assert time.monotonic() - begun < 10


def test_no_wake_up_is_lost_without_the_poll(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waking, "POLL", 60.0)

    def play(mine: str, other: str, first: bool) -> None:
        position = "0"
        for k in range(200):
            if first:
                store.rounds.put(f"{mine}:{k}", {})
            found = store.rounds.changes(position, timeout=20, prefix=f"{other}:")
            assert [row.id for row in found.rows] == [f"{other}:{k}"]
            position = found.position
            if not first:
                store.rounds.put(f"{mine}:{k}", {})

    with ThreadPoolExecutor(2) as pool:
        for player in [
            pool.submit(play, "ping", "pong", True),
            pool.submit(play, "pong", "ping", False),
        ]:
            player.result(100)


def test_the_poll_covers_a_writer_that_could_not_wake(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    position = store.rounds.changes(None).position
    monkeypatch.setattr("whisktrain.store.sqlite.database.wake", lambda _: None)
    later = threading.Timer(0.2, store.rounds.put, ["a", {}])
    later.start()
    begun = time.monotonic()
    assert store.rounds.changes(position, timeout=10).rows
    assert 0.15 < time.monotonic() - begun < 2
    later.join()


def test_sockets_go_with_their_readers(store: SqliteStore, home: Path) -> None:
    store.rounds.changes(store.rounds.changes(None).position, timeout=0.05)
    assert not waking.socket_directory(home / "rounds.sqlite").exists()


def test_sockets_of_dead_readers_are_removed(store: SqliteStore, home: Path) -> None:
    position = store.rounds.changes(None).position
    script = "import sys; from whisktrain.store.sqlite import SqliteStore as S; "
    script += "S(sys.argv[1]).rounds.changes(sys.argv[2], timeout=60)"
    process = subprocess.Popen([sys.executable, "-c", script, str(home), position])
    directory = waking.socket_directory(home / "rounds.sqlite")
    try:
        until = time.monotonic() + 60
        while not (directory.exists() and list(directory.iterdir())):
            assert time.monotonic() < until
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
    assert len(list(directory.iterdir())) == 1
    store.rounds.put("a", {})
    assert list(directory.iterdir()) == []
    directory.rmdir()


def test_a_long_path_has_its_sockets_in_a_short_place(tmp_path: Path) -> None:
    home = tmp_path / ("d" * 120) / "store"
    directory = waking.socket_directory(home / "rounds.sqlite")
    assert len(str(directory)) < 80
    try:
        with contextlib.closing(SqliteStore(home)) as store:
            position = store.rounds.changes(None).position
            with ThreadPoolExecutor(1) as pool:
                waiting = pool.submit(store.rounds.changes, position, timeout=10)
                until = time.monotonic() + 5
                while not (directory.exists() and list(directory.iterdir())):
                    assert time.monotonic() < until
                    time.sleep(0.01)
                assert directory.stat().st_mode & 0o777 == 0o700
                store.rounds.put("a", {})
                assert waiting.result(10).rows
        assert not directory.exists()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def test_without_sockets_the_poll_does(store: SqliteStore, home: Path) -> None:
    position = store.rounds.changes(None).position
    in_the_way = waking.socket_directory(home / "rounds.sqlite")
    in_the_way.write_text("in the way")
    later = threading.Timer(0.1, store.rounds.put, ["a", {}])
    later.start()
    try:
        assert store.rounds.changes(position, timeout=10).rows
    finally:
        in_the_way.unlink()
    later.join()


def test_waiting_holds_no_transaction(store: SqliteStore, home: Path) -> None:
    store.rounds.put("a", {"text": "x" * 10_000})
    position = store.rounds.changes(None).position
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(store.rounds.changes, position, timeout=2, prefix="nothing")
        time.sleep(0.2)
        # A reader's transaction would keep the checkpoint from emptying the log.
        with contextlib.closing(sqlite3.connect(home / "rounds.sqlite", timeout=0)) as other:
            assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
        assert not waiting.done()
        assert waiting.result(10).rows == []


def test_a_socket_of_somebody_else_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4242)
    with waking.Waiter(tmp_path) as waiter:
        assert list(tmp_path.iterdir()) == []
        waiter.wait(0.01)


def test_a_flood_of_writes_does_not_block_the_writer(tmp_path: Path) -> None:
    with waking.Waiter(tmp_path) as waiter:
        begun = time.monotonic()
        for _ in range(5000):
            waking.wake(tmp_path)
        assert time.monotonic() - begun < 5
        waiter.wait(5)
        begun = time.monotonic()
        waiter.wait(0.05)
        assert time.monotonic() - begun > 0.04, "one look must serve all wake-ups before it"
