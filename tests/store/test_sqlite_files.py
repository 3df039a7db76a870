"""The embedded store's files: larger attachments, damage, what crashed writers leave."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from whisktrain.errors import Conflict, Damaged
from whisktrain.store.sqlite import SqliteStore, files

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


def test_attachments_are_files_from_64_kib_on(store: SqliteStore, home: Path) -> None:
    store.rounds.put("small", {}, attachment=b"s" * (64 * 1024 - 1))
    assert attachments(home) == []
    store.rounds.put("large", {}, attachment=b"l" * (64 * 1024))
    assert [path.stat().st_size for path in attachments(home)] == [64 * 1024]


def test_files_go_with_their_documents(store: SqliteStore, home: Path) -> None:
    rev = store.rounds.put("a", {}, attachment=b"1" * BIG)
    first = attachments(home)
    rev = store.rounds.put("a", {}, rev=rev, attachment=b"2" * BIG)
    assert len(attachments(home)) == 1
    assert attachments(home) != first
    store.rounds.put("a", {}, rev=rev)
    assert attachments(home) == []
    store.rounds.put("b", {}, attachment=b"1" * BIG)
    store.rounds.put("c", {}, attachment=b"1" * BIG)
    store.rounds.delete("b")
    assert len(attachments(home)) == 1
    store.rounds.delete_many(["b", "c"])
    assert attachments(home) == []


def test_a_refused_write_leaves_no_file(
    store: SqliteStore, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.rounds.put("a", {}, attachment=b"1" * BIG)
    before = attachments(home)
    with pytest.raises(Conflict):
        store.rounds.put("a", {}, attachment=b"2" * BIG)
    assert attachments(home) == before
    # The same where the conflict only shows under the write lock, after the file was written.
    monkeypatch.setattr(store.rounds, "_refuse_known_conflict", lambda *_: None)
    with pytest.raises(Conflict):
        store.rounds.put("a", {}, attachment=b"2" * BIG)
    assert attachments(home) == before


@pytest.mark.parametrize("size", [1000, BIG])
@pytest.mark.parametrize("how", ["flipped", "short", "gone"])
def test_damaged_attachments_are_noticed(
    store: SqliteStore, home: Path, size: int, how: str
) -> None:
    store.rounds.put("a", {"n": 1}, attachment=b"1" * size)
    if size == BIG:
        path = attachments(home)[0]
        data = bytearray(path.read_bytes())
        data[size // 2] ^= 1
        path.write_bytes({"flipped": bytes(data), "short": bytes(data[:-1]), "gone": b""}[how])
        if how == "gone":
            path.unlink()
    else:
        with contextlib.closing(sqlite3.connect(home / "rounds.sqlite")) as connection, connection:
            damage = {
                "flipped": "x'32' || substr(bytes, 2)",
                "short": "substr(bytes, 2)",
                "gone": "x''",
            }[how]
            connection.execute(f"UPDATE documents SET bytes = CAST({damage} AS BLOB)")
    with pytest.raises(Damaged, match="'a'"):
        store.rounds.get("a", attachment=True)
    document = store.rounds.get("a")
    assert document is not None
    assert document.attachment_size == size
    assert store.rounds.delete("a")


def test_a_damaged_body_is_noticed(store: SqliteStore, home: Path) -> None:
    store.rounds.put("a", {"n": 1})
    with contextlib.closing(sqlite3.connect(home / "rounds.sqlite")) as connection, connection:
        connection.execute("UPDATE documents SET body = substr(body, 2)")
    for read in (lambda: store.rounds.get("a"), lambda: store.rounds.list("")):
        with pytest.raises(Damaged, match="'a'"):
            read()


def test_a_reader_that_lost_a_race_reads_again(
    store: SqliteStore, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rev = store.rounds.put("a", {"n": 1}, attachment=b"1" * BIG)
    read = files.AttachmentFiles.read

    def replaced_meanwhile(self: files.AttachmentFiles, name: str) -> bytes | None:
        monkeypatch.setattr(files.AttachmentFiles, "read", read)
        store.rounds.put("a", {"n": 2}, rev=rev, attachment=b"2" * BIG)
        return read(self, name)

    monkeypatch.setattr(files.AttachmentFiles, "read", replaced_meanwhile)
    document = store.rounds.get("a", attachment=True)
    assert document is not None
    assert (document.body, document.attachment) == ({"n": 2}, b"2" * BIG)


def test_compaction_removes_what_crashed_writers_left_and_nothing_else(
    store: SqliteStore, home: Path
) -> None:
    store.rounds.put("a", {}, attachment=b"1" * BIG)
    directory = home / "rounds.sqlite.files"
    (directory / "0123456789abcdef0123456789abcdef").write_bytes(
        b"renamed, but its row was never committed"
    )
    old, new = directory / "00.part", directory / "11.part"
    old.write_bytes(b"x")
    new.write_bytes(b"x")
    os.utime(old, (time.time() - 2 * files.PART_AGE,) * 2)
    store.rounds.compact()
    assert len(attachments(home)) == 2
    assert new.exists()
    document = store.rounds.get("a", attachment=True)
    assert document is not None
    assert document.attachment == b"1" * BIG
    (directory / "0123456789abcdef0123456789abcdef").write_bytes(b"x")
    store.ensure()
    assert len(attachments(home)) == 2


def test_a_writer_whose_temporary_file_was_swept_writes_it_again(
    store: SqliteStore, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle = files.AttachmentFiles.settle

    def swept(self: files.AttachmentFiles, name: str, data: bytes, *, durable: bool) -> None:
        (self.directory / (name + ".part")).unlink()
        settle(self, name, data, durable=durable)

    monkeypatch.setattr(files.AttachmentFiles, "settle", swept)
    store.rounds.put("a", {}, attachment=b"1" * BIG)
    document = store.rounds.get("a", attachment=True)
    assert document is not None
    assert document.attachment == b"1" * BIG


def test_sweeping_while_others_write_loses_nothing(store: SqliteStore) -> None:
    done = threading.Event()

    def sweep() -> None:
        while not done.is_set():
            store.rounds.compact()

    sweeper = threading.Thread(target=sweep)
    sweeper.start()
    for k in range(150):
        store.rounds.put(f"d:{k}", {}, attachment=b"%d" % (k % 10) * BIG)
    done.set()
    sweeper.join()
    for k in range(150):
        document = store.rounds.get(f"d:{k}", attachment=True)
        assert document is not None
        assert document.attachment == b"%d" % (k % 10) * BIG


def test_compaction_gives_space_back(store: SqliteStore, home: Path) -> None:
    for k in range(200):
        store.rounds.put(f"d:{k}", {"text": "x" * 1000}, attachment=b"a" * 30_000)
    store.rounds.compact()
    full = (home / "rounds.sqlite").stat().st_size
    store.rounds.delete_many(f"d:{k}" for k in range(200))
    store.rounds.compact()
    assert (home / "rounds.sqlite").stat().st_size < full / 20
    assert (home / "rounds.sqlite-wal").stat().st_size == 0


@pytest.mark.parametrize("size", [10, BIG])
def test_durable_writes_reach_the_disk_before_the_call_returns(home: Path, size: int) -> None:
    """Counted by the kernel: strace would be needed for which file, but without durable there is no sync at all."""
    script = f"""
import os
from whisktrain.store.sqlite import files
from whisktrain.store.sqlite import SqliteStore
store = SqliteStore({str(home)!r})
store.library.put("first", {{}})
synced = []
real = os.fsync
os.fsync = lambda fd: (synced.append(os.readlink(f"/proc/self/fd/{{fd}}")), real(fd))[1]
store.library.put("plain", {{}}, attachment=b"x" * {size})
assert synced == [], synced
store.library.put("durable", {{}}, attachment=b"x" * {size}, durable=True)
expected = 2 if {size} >= 65536 else 0
assert len(synced) == expected, synced
if expected:
    assert synced[0].endswith(".part") and synced[1].endswith("library.sqlite.files"), synced
store.close()
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_durable_commits_use_full_synchronisation_and_others_do_not(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(
        store.library._files,
        "settle",
        lambda *_, **__: seen.append(_synchronous(store)),
    )
    for durable in (True, False, True):
        store.library.put(f"d:{len(seen)}", {}, attachment=b"x" * BIG, durable=durable)
    assert seen == [2, 1, 2]


def _is_writing(connection: sqlite3.Connection) -> bool:
    try:
        return connection.in_transaction
    except sqlite3.ProgrammingError:  # another test's, closed and not collected yet
        return False


def _synchronous(store: SqliteStore) -> int:
    # The connection that writes is the one that is not idle.
    import gc

    used = [
        found
        for found in gc.get_objects()
        if isinstance(found, sqlite3.Connection)
        and _is_writing(found)
        and found not in store.library._connections._idle
    ]
    assert len(used) == 1
    return int(used[0].execute("PRAGMA synchronous").fetchone()[0])
