"""The embedded store: failures of SQLite and the system, writers of one process, forks, places without sockets."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from whisktrain.errors import ConfigurationError, Damaged, StoreError, StoreUnreachable
from whisktrain.store import private
from whisktrain.store.sqlite import SqliteStore, connections, errors, files, filesystems, waking
from whisktrain.store.sqlite.errors import translate_errors
from whisktrain.store.trial import try_to_write

PATH = Path("rounds.sqlite")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with contextlib.closing(SqliteStore(tmp_path / "store")) as store:
        yield store


def of_sqlite(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("it failed")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (of_sqlite(sqlite3.SQLITE_BUSY), StoreUnreachable, "store_busy"),
        (of_sqlite(sqlite3.SQLITE_LOCKED), StoreUnreachable, "store_busy"),
        (of_sqlite(sqlite3.SQLITE_CORRUPT), Damaged, "damaged"),
        (of_sqlite(sqlite3.SQLITE_NOTADB), Damaged, "damaged"),
        (of_sqlite(sqlite3.SQLITE_FULL), StoreError, "disk_full"),
        (of_sqlite(sqlite3.SQLITE_READONLY), StoreError, "store_read_only"),
        (of_sqlite(sqlite3.SQLITE_CANTOPEN), StoreError, "store_read_only"),
        (of_sqlite(sqlite3.SQLITE_IOERR), StoreError, "store_io"),
        (sqlite3.InterfaceError("it failed"), StoreError, "store_io"),
        (OSError(errno.ENOSPC, "no space"), StoreError, "disk_full"),
        (OSError(errno.EDQUOT, "quota"), StoreError, "disk_full"),
        (PermissionError(errno.EACCES, "denied"), StoreError, "store_read_only"),
        (OSError(errno.EIO, "input/output error"), StoreError, "store_io"),
    ],
)
def test_failures_are_translated(error: Exception, kind: type[StoreError], code: str) -> None:
    with pytest.raises(kind, match=r"rounds\.sqlite") as caught, translate_errors(PATH):
        raise error
    assert caught.value.code == code
    assert caught.value.__cause__ is error


def test_a_trial_leaves_nothing_behind(store: SqliteStore) -> None:
    try_to_write(store)
    for database in (store.library, store.rounds):
        assert database.list("") == []
        assert [row.deleted for row in database.changes("0").rows] == [True]


def test_reprs_name_the_file(store: SqliteStore) -> None:
    assert repr(store.rounds).startswith("SqliteDatabase('whisktrain-rounds', '")
    assert store.rounds.name == "whisktrain-rounds"


def test_writers_of_one_process_wait_for_each_other(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.rounds.put("a", {})
    monkeypatch.setattr(errors, "BUSY_SECONDS", 0.05)
    with (
        store.rounds._connections.writing(),
        pytest.raises(StoreUnreachable, match="Other writers") as caught,
    ):
        store.rounds.put("b", {})
    assert caught.value.code == "store_busy"
    assert store.rounds.put("b", {})


def test_a_connection_whose_statement_failed_is_not_used_again(store: SqliteStore) -> None:
    store.rounds.put("a", {})
    pool = store.rounds._connections
    with pytest.raises(StoreError, match="no such table"):
        pool.rows("SELECT * FROM missing")
    assert pool._idle == []
    assert store.rounds.get("a") is not None


def test_a_store_that_is_closed_while_it_is_read(store: SqliteStore) -> None:
    store.rounds.put("a", {})
    with store.rounds._connections.borrowed() as connection:
        store.close()
        assert connection.execute("SELECT count(*) FROM documents").fetchone() == (1,)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")


def test_connections_of_a_parent_process_are_put_aside(store: SqliteStore) -> None:
    store.rounds.put("a", {})
    pool = store.rounds._connections
    parents = list(pool._idle)
    pool._pid = -1  # as seen by a forked child
    assert store.rounds.get("a") is not None
    assert parents
    assert connections._of_parents[-len(parents) :] == parents
    assert not set(map(id, parents)) & set(map(id, pool._idle))
    for connection in parents:
        connections._of_parents.remove(connection)
        connection.close()


def test_tables_that_another_process_has_just_made(tmp_path: Path) -> None:
    with contextlib.closing(SqliteStore(tmp_path)) as store:
        store.ensure()
    with contextlib.closing(
        sqlite3.connect(tmp_path / "rounds.sqlite", isolation_level=None)
    ) as connection:
        connections._create(connection)
        assert connection.execute("PRAGMA user_version").fetchone() == (connections.FORMAT,)


def test_tables_are_made_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "SCHEMA", "CREATE TABLE documents (id TEXT); NONSENSE;")
    with (
        contextlib.closing(SqliteStore(tmp_path)) as store,
        pytest.raises(StoreError, match="syntax"),
    ):
        store.rounds.get("a")
    monkeypatch.undo()
    with contextlib.closing(SqliteStore(tmp_path)) as store:
        assert store.rounds.put("a", {})


def test_compaction_beside_a_reader(store: SqliteStore) -> None:
    store.rounds.put("a", {"text": "x" * 10_000})
    with store.rounds._connections.borrowed() as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM documents").fetchall()
        store.rounds.put("b", {})
        store.rounds.compact()
        reader.execute("COMMIT")
    assert [document.id for document in store.rounds.list("")] == ["a", "b"]


def test_compaction_that_fails_says_so(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.rounds.put("a", {})
    with contextlib.closing(sqlite3.connect(":memory:")) as broken:
        failing = type(
            "Failing", (), {"execute": lambda _, statement: fail(statement), "close": broken.close}
        )

        def fail(statement: str) -> sqlite3.Cursor:
            if "wal_checkpoint" in statement:
                raise of_sqlite(sqlite3.SQLITE_IOERR)
            return broken.execute(statement)

        monkeypatch.setattr(store.rounds._connections, "_take", failing)
        with pytest.raises(StoreError, match="it failed"):
            store.rounds._connections.shrink()


def test_a_file_that_cannot_be_written_whole_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="no space"):
        files.AttachmentFiles(tmp_path).stage(b"x", durable=False)
    assert list(tmp_path.iterdir()) == []


def test_the_drives_cache_is_flushed_where_the_system_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    calls = []
    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", lambda fd, command: calls.append(command))
    files.AttachmentFiles(tmp_path).stage(b"x", durable=True)
    assert calls == [51]


def test_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    part = type("Part", (), {"mountpoint": str(tmp_path.resolve()), "fstype": "NFS4"})
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_: [part])
    with pytest.raises(ConfigurationError, match="network file system nfs4") as caught:
        filesystems.check_local(tmp_path / "store")
    assert caught.value.code == "network_filesystem"


def test_a_socket_directory_that_vanishes_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "sockets"
    vanished = []

    def vanishes(path: Path) -> int | None:
        if not vanished:
            vanished.append(path)
            directory.rmdir()
        return private.open_directory(path)

    monkeypatch.setattr(waking, "open_directory", vanishes)
    with waking.Waiter(directory) as waiter:
        assert len(list(directory.iterdir())) == 1
        threading.Timer(0.05, waking.wake, [directory]).start()
        waiter.wait(5)
    assert vanished
    assert not directory.exists()


def test_a_socket_directory_that_always_vanishes_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object, **__: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "mkdir", gone)
    with waking.Waiter(tmp_path / "sockets") as waiter:
        assert waiter._socket is None
        waiter.wait(0.01)


def test_a_reader_that_went_between_two_looks_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listdir = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: ["gone", *listdir(path)])
    with waking.Waiter(tmp_path / "sockets") as waiter:
        waking.wake(tmp_path / "sockets")
        begun = time.monotonic()
        waiter.wait(5)
        assert time.monotonic() - begun < waking.POLL


def test_a_socket_that_another_writer_removed_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(tmp_path / "dead"))
    unlink = Path.unlink

    def twice(self: Path, missing_ok: bool = False) -> None:
        unlink(self)
        unlink(self, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", twice)
    waking.wake(tmp_path)
    assert list(tmp_path.iterdir()) == []
