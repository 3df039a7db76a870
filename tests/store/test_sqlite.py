"""What is particular to the embedded store: its opening, other writers, and broken disks."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from whisktrain.errors import ConfigurationError, Damaged, StoreError
from whisktrain.store.sqlite import SqliteStore, errors

BIG = 100_000


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(home: Path) -> Iterator[SqliteStore]:
    with contextlib.closing(SqliteStore(home)) as store:
        yield store


def attachments(home: Path) -> list[Path]:
    return sorted((home / "rounds.sqlite.files").iterdir())


def test_nothing_is_written_before_the_first_use(home: Path) -> None:
    store = SqliteStore(home)
    assert str(home) in repr(store)
    assert store.url == f"sqlite:{home}"
    assert not home.exists()
    store.close()


def test_what_is_no_database_is_reported_as_damaged(home: Path) -> None:
    home.mkdir()
    (home / "rounds.sqlite").write_bytes(b"This is not a database. " * 500)
    with (
        contextlib.closing(SqliteStore(home)) as store,
        pytest.raises(Damaged, match=r"rounds\.sqlite"),
    ):
        store.rounds.get("a")


def test_a_torn_database_is_reported_as_damaged(home: Path) -> None:
    with contextlib.closing(SqliteStore(home)) as store:
        for k in range(300):
            store.rounds.put(f"d:{k}", {"text": "x" * 500})
        store.rounds.compact()
    with (home / "rounds.sqlite").open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * 4096 * 10)
    with (
        contextlib.closing(SqliteStore(home)) as store,
        pytest.raises(Damaged, match=r"rounds\.sqlite"),
    ):
        store.rounds.list("")
        store.rounds.put("new", {})


def test_a_newer_format_is_refused(home: Path) -> None:
    with contextlib.closing(SqliteStore(home)) as store:
        store.ensure()
    with contextlib.closing(sqlite3.connect(home / "library.sqlite")) as connection:
        connection.execute("PRAGMA user_version=99")
    with (
        contextlib.closing(SqliteStore(home)) as store,
        pytest.raises(ConfigurationError, match="format 99"),
    ):
        store.library.get("a")


def test_a_directory_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("not a directory")
    with (
        contextlib.closing(SqliteStore(blocker / "store")) as store,
        pytest.raises(StoreError, match="cannot be"),
    ):
        store.rounds.put("a", {})


def test_a_read_only_place_is_reported() -> None:
    place = next(path for path in (Path("/sys"), Path("/System")) if path.exists())
    with (
        contextlib.closing(SqliteStore(place / "whisktrain")) as store,
        pytest.raises(StoreError, match="writing") as caught,
    ):
        store.rounds.put("a", {})
    assert caught.value.code == "store_read_only"


def test_a_full_disk_is_reported_and_leaves_the_store_whole(home: Path) -> None:
    """The limits of a file's size and of a database's stand in for the disk's."""
    script = f"""
import resource, signal
from whisktrain.errors import StoreError
from whisktrain.store.sqlite import SqliteStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = SqliteStore({str(home)!r})
rev = store.rounds.put("before", {{"n": 1}}, attachment=b"b" * 100_000)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
with store.rounds._connections.borrowed() as connection:
    connection.execute("PRAGMA max_page_count=40")
for body, attachment in (({{}}, b"x" * 1_000_000), ({{"text": "x" * 300_000}}, None)):
    try:
        store.rounds.put("after", body, attachment=attachment)
    except StoreError as error:
        print(error.code, error)
store.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, timeout=60, capture_output=True, text=True
    )
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["disk_full", "disk_full"], (
        done.stdout
    )
    with contextlib.closing(SqliteStore(home)) as store:
        assert [document.id for document in store.rounds.list("")] == ["before"]
        assert len(attachments(home)) == 1
        store.rounds.put("after", {}, attachment=b"x" * 1_000_000)


def test_a_writer_waits_for_another_and_then_says_who_is_to_blame(
    store: SqliteStore, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.rounds.put("a", {})
    with contextlib.closing(sqlite3.connect(home / "rounds.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(store.rounds.put, "b", {})
            time.sleep(0.2)
            assert not waiting.done()
            assert store.rounds.get("a") is not None
            other.execute("COMMIT")
            assert waiting.result(5)
        other.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr(errors, "BUSY_SECONDS", 0.2)
        with pytest.raises(StoreError, match="Other writers") as caught:
            store.rounds.put("c", {})
        assert caught.value.retryable
        other.execute("COMMIT")
    store.rounds.put("c", {})


def test_a_closed_store_says_so(home: Path) -> None:
    store = SqliteStore(home)
    store.rounds.put("a", {})
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.rounds.get("a")


def test_a_position_of_another_store_starts_from_the_beginning(
    store: SqliteStore, home: Path
) -> None:
    for k in range(5):
        store.rounds.put(f"old:{k}", {})
    position = store.rounds.changes(None).position
    store.close()
    shutil.rmtree(home)
    with contextlib.closing(SqliteStore(home)) as fresh:
        fresh.rounds.put("new", {})
        assert [row.id for row in fresh.rounds.changes(position).rows] == ["new"]
        with pytest.raises(StoreError, match="position"):
            fresh.rounds.changes("nonsense")


def test_a_forked_child_does_not_use_its_parents_connections(store: SqliteStore) -> None:
    store.rounds.put("parent", {})
    script = """
import os, sys
from whisktrain.store.sqlite import SqliteStore
store = SqliteStore(sys.argv[1])
store.rounds.put("a", {})
child = os.fork()
if child == 0:
    for k in range(50):
        store.rounds.put(f"child:{k}", {})
    os._exit(0)
for k in range(50):
    store.rounds.put(f"self:{k}", {})
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert len(store.rounds.list("child:")) == len(store.rounds.list("self:")) == 50
store.close()
"""
    subprocess.run(
        [sys.executable, "-c", script, store.url.removeprefix("sqlite:")], check=True, timeout=60
    )
