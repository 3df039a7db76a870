"""Nothing of the embedded store can be read by others, and nothing of others is touched."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from pathlib import Path

import pytest

from whisktrain.store import private
from whisktrain.store.sqlite import SqliteStore, waking

BIG = os.urandom(100_000)


@pytest.fixture(autouse=True)
def open_to_others():
    before = os.umask(0)
    yield
    os.umask(before)


def rights(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def fill(directory: Path) -> None:
    with contextlib.closing(SqliteStore(directory)) as store:
        for database in (store.library, store.rounds):
            database.put("small", {})
            database.put("large", {}, attachment=BIG, content_type="application/octet-stream")
        store.rounds.changes(store.rounds.changes(None).position, timeout=0.01)


def test_a_new_store_is_for_its_owner_alone(tmp_path: Path) -> None:
    fill(tmp_path / "home" / "store")
    made = [tmp_path / "home", *(tmp_path / "home").rglob("*")]
    assert any(path.name == "library.sqlite" for path in made)
    assert {rights(path) for path in made if path.is_dir()} == {0o700}
    assert {rights(path) for path in made if path.is_file()} == {0o600}


def test_a_directory_that_was_there_keeps_its_rights_and_what_is_in_it_is_private(
    tmp_path: Path,
) -> None:
    given = tmp_path / "given"
    given.mkdir(mode=0o755)
    fill(given)
    assert rights(given) == 0o755
    assert all(rights(path) & 0o077 == 0 for path in given.rglob("*"))


def test_what_an_earlier_version_left_open_is_closed(tmp_path: Path) -> None:
    fill(tmp_path)
    for path in tmp_path.iterdir():
        path.chmod(0o755 if path.is_dir() else 0o644)
    fill_again = SqliteStore(tmp_path)
    assert fill_again.library.get("small") is not None
    assert fill_again.rounds.get("small") is not None
    assert {rights(path) & 0o077 for path in tmp_path.iterdir()} == {0}
    fill_again.close()


def test_only_what_is_ours_is_tightened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_text("")
    file.chmod(0o644)
    link.symlink_to(file)
    private.tighten(link)
    private.tighten(tmp_path / "missing")
    monkeypatch.setattr(os, "getuid", lambda: 4242)
    private.tighten(file)
    assert rights(file) == 0o644
    monkeypatch.undo()
    private.tighten(file)
    assert rights(file) == 0o600


def test_a_file_in_the_place_of_a_directory_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        private.make_directory(tmp_path / "file")


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """The directory of sockets in /tmp that a database with a long path has."""
    directory = waking.socket_directory(tmp_path / ("d" * 120) / "rounds.sqlite")
    assert directory.parent == Path("/tmp")
    yield directory
    if directory.is_symlink() or directory.is_file():
        directory.unlink()
    shutil.rmtree(directory, ignore_errors=True)


def test_a_link_in_the_place_of_the_sockets_deletes_nothing(shared: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "thesis.txt").write_text("years")
    shared.symlink_to(victim)
    waking.wake(shared)
    with waking.Waiter(shared) as waiter:
        waking.wake(shared)
        waiter.wait(0.01)
    assert [path.name for path in victim.iterdir()] == ["thesis.txt"]


def test_only_dead_sockets_are_removed(shared: Path) -> None:
    shared.mkdir(mode=0o777)
    (shared / "notes.txt").write_text("kept")
    (shared / "link").symlink_to("notes.txt")
    waking.wake(shared)
    assert sorted(path.name for path in shared.iterdir()) == ["link", "notes.txt"]
    assert rights(shared) == 0o700


def test_a_directory_of_another_user_is_not_used(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared.mkdir(mode=0o700)
    mine = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: mine + 1)
    assert private.open_directory(shared) is None
    with waking.Waiter(shared):
        assert list(shared.iterdir()) == []
