"""What is particular to the embedded store: files, wake-up sockets, broken disks."""

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

from whisktrain.errors import ConfigurationError, Conflict, Damaged, StoreError
from whisktrain.store import connections, files, wake
from whisktrain.store.sqlite import SqliteStore

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


def test_a_refused_write_leaves_no_file(store: SqliteStore, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_damaged_attachments_are_noticed(store: SqliteStore, home: Path, size: int, how: str) -> None:
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
            damage = {"flipped": "x'32' || substr(bytes, 2)", "short": "substr(bytes, 2)", "gone": "x''"}[how]
            connection.execute(f"UPDATE documents SET bytes = CAST({damage} AS BLOB)")
    with pytest.raises(Damaged, match="'a'"):
        store.rounds.get("a", attachment=True)
    document = store.rounds.get("a")
    assert document is not None
    assert document.attachment_size == size
    assert store.rounds.delete("a")


def test_a_reader_that_lost_a_race_reads_again(store: SqliteStore, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_compaction_removes_what_crashed_writers_left_and_nothing_else(store: SqliteStore, home: Path) -> None:
    store.rounds.put("a", {}, attachment=b"1" * BIG)
    directory = home / "rounds.sqlite.files"
    (directory / "0123456789abcdef0123456789abcdef").write_bytes(b"renamed, but its row was never committed")
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
from whisktrain.store import files
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


def _synchronous(store: SqliteStore) -> int:
    # The connection that writes is the one that is not idle.
    import gc

    used = [
        found
        for found in gc.get_objects()
        if isinstance(found, sqlite3.Connection) and found.in_transaction and found not in store.library._connections._idle
    ]
    assert len(used) == 1
    return int(used[0].execute("PRAGMA synchronous").fetchone()[0])


def test_what_is_no_database_is_reported_as_damaged(home: Path) -> None:
    home.mkdir()
    (home / "rounds.sqlite").write_bytes(b"This is not a database. " * 500)
    with contextlib.closing(SqliteStore(home)) as store, pytest.raises(Damaged, match=r"rounds\.sqlite"):
        store.rounds.get("a")


def test_a_torn_database_is_reported_as_damaged(home: Path) -> None:
    with contextlib.closing(SqliteStore(home)) as store:
        for k in range(300):
            store.rounds.put(f"d:{k}", {"text": "x" * 500})
        store.rounds.compact()
    with (home / "rounds.sqlite").open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * 4096 * 10)
    with contextlib.closing(SqliteStore(home)) as store, pytest.raises(Damaged, match=r"rounds\.sqlite"):
        store.rounds.list("")
        store.rounds.put("new", {})


def test_a_newer_format_is_refused(home: Path) -> None:
    with contextlib.closing(SqliteStore(home)) as store:
        store.ensure()
    with contextlib.closing(sqlite3.connect(home / "library.sqlite")) as connection:
        connection.execute("PRAGMA user_version=99")
    with contextlib.closing(SqliteStore(home)) as store, pytest.raises(ConfigurationError, match="format 99"):
        store.library.get("a")


def test_a_directory_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("not a directory")
    with contextlib.closing(SqliteStore(blocker / "store")) as store, pytest.raises(StoreError, match="cannot be"):
        store.rounds.put("a", {})


def test_a_read_only_place_is_reported() -> None:
    place = next(path for path in (Path("/sys"), Path("/System")) if path.exists())
    with contextlib.closing(SqliteStore(place / "whisktrain")) as store, pytest.raises(StoreError, match="writing") as caught:
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
    done = subprocess.run([sys.executable, "-c", script], check=True, timeout=60, capture_output=True, text=True)
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["disk_full", "disk_full"], done.stdout
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
        monkeypatch.setattr(connections, "BUSY_SECONDS", 0.2)
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


def test_a_position_of_another_store_starts_from_the_beginning(store: SqliteStore, home: Path) -> None:
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
    subprocess.run([sys.executable, "-c", script, store.url.removeprefix("sqlite:")], check=True, timeout=60)


class TestWaking:
    def test_the_latency_is_about_a_millisecond(self, store: SqliteStore) -> None:
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
        assert statistics.median(took) < 0.05 < wake.POLL

    def test_a_write_just_before_the_wait_is_not_slept_through(
        self, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Between the first look and the binding of the socket nobody can be woken: a second look must find it."""
        monkeypatch.setattr(wake, "POLL", 60.0)
        position = store.rounds.changes(None).position
        enter = wake.Waiter.__enter__

        def written_meanwhile(waiter: wake.Waiter) -> wake.Waiter:
            store.rounds.put("a", {})
            return enter(waiter)

        monkeypatch.setattr(wake.Waiter, "__enter__", written_meanwhile)
        begun = time.monotonic()
        assert store.rounds.changes(position, timeout=20).rows
        assert time.monotonic() - begun < 10

    def test_no_wake_up_is_lost_without_the_poll(self, store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(wake, "POLL", 60.0)

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
            for player in [pool.submit(play, "ping", "pong", True), pool.submit(play, "pong", "ping", False)]:
                player.result(100)

    def test_the_poll_covers_a_writer_that_could_not_wake(self, store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
        position = store.rounds.changes(None).position
        monkeypatch.setattr("whisktrain.store.sqlite.wake", lambda _: None)
        later = threading.Timer(0.2, store.rounds.put, ["a", {}])
        later.start()
        begun = time.monotonic()
        assert store.rounds.changes(position, timeout=10).rows
        assert 0.15 < time.monotonic() - begun < 2
        later.join()

    def test_sockets_go_with_their_readers(self, store: SqliteStore, home: Path) -> None:
        store.rounds.changes(store.rounds.changes(None).position, timeout=0.05)
        assert list((home / "rounds.sqlite.wake").iterdir()) == []

    def test_sockets_of_dead_readers_are_removed(self, store: SqliteStore, home: Path) -> None:
        position = store.rounds.changes(None).position
        script = "import sys; from whisktrain.store.sqlite import SqliteStore as S; "
        script += "S(sys.argv[1]).rounds.changes(sys.argv[2], timeout=60)"
        process = subprocess.Popen([sys.executable, "-c", script, str(home), position])
        directory = home / "rounds.sqlite.wake"
        until = time.monotonic() + 30
        while not (directory.exists() and list(directory.iterdir())):
            assert time.monotonic() < until
            time.sleep(0.01)
        process.kill()
        process.wait()
        assert len(list(directory.iterdir())) == 1
        store.rounds.put("a", {})
        assert list(directory.iterdir()) == []

    def test_a_long_path_has_its_sockets_in_a_short_place(self, tmp_path: Path) -> None:
        home = tmp_path / ("d" * 120) / "store"
        directory = wake.socket_directory(home / "rounds.sqlite")
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
                    store.rounds.put("a", {})
                    assert waiting.result(10).rows
            assert directory.stat().st_mode & 0o777 == 0o700
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def test_without_sockets_the_poll_does(self, store: SqliteStore, home: Path) -> None:
        position = store.rounds.changes(None).position
        (home / "rounds.sqlite.wake").write_text("in the way")
        later = threading.Timer(0.1, store.rounds.put, ["a", {}])
        later.start()
        assert store.rounds.changes(position, timeout=10).rows
        later.join()

    def test_waiting_holds_no_transaction(self, store: SqliteStore, home: Path) -> None:
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

    def test_a_socket_of_somebody_else_is_not_used(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "getuid", lambda: 4242)
        with wake.Waiter(tmp_path) as waiter:
            assert list(tmp_path.iterdir()) == []
            waiter.wait(0.01)

    def test_a_flood_of_writes_does_not_block_the_writer(self, tmp_path: Path) -> None:
        with wake.Waiter(tmp_path) as waiter:
            begun = time.monotonic()
            for _ in range(5000):
                wake.wake(tmp_path)
            assert time.monotonic() - begun < 5
            waiter.wait(5)
            begun = time.monotonic()
            waiter.wait(0.05)
            assert time.monotonic() - begun > 0.04, "one look must serve all wake-ups before it"
