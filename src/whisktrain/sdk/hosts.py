"""The hosts of a home: which are alive, and which runs were left by those that ended.

Each host has a folder under `HOME/hosts` and holds a lock on it, which the system gives back when its process ends, however it
ends: a lock that can be taken is a dead host's, whatever process has its number now. What several processes do with the
folders they do one after another, under the lock of `HOME/hosts` itself.

A host notes the runs that train there. When it ends, the notes of those that go on become orphans: whoever held their leases
ended with the host, so another host may adopt them at once. An orphan is adopted once.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from whisktrain.store.private import make_directory

__all__ = ["HostRecord", "HostsOfHome", "try_lock"]

_LOCK = "lock"
_RUNS = "runs"
"""The folder of a host that has one empty file for each run that trains there."""
_ORPHANS = "orphans"
"""The folder beside the hosts' that has, for each store, such a file for each run whose host has ended."""


@dataclass(frozen=True, slots=True)
class HostRecord:
    """A host that is alive.

    Attributes:
        pid: Its process.
        store: A digest of its store's address.
        bare: Whether nothing is deployed to it, so that it carries no run on.
    """

    pid: int
    store: str
    bare: bool


def try_lock(path: Path) -> IO[str] | None:
    """Take a file's lock for this process; None where another process has it."""
    import fcntl

    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


class HostsOfHome:
    """The hosts of a home.

    Args:
        home: The home.
        store: The address of the store that is asked about.
    """

    def __init__(self, home: Path, store: str) -> None:
        self._folder = home / "hosts"
        self._store = hashlib.sha256(store.encode()).hexdigest()[:16]

    def claim(self, *, bare: bool = False) -> tuple[Path, IO[str]]:
        """Make a folder for a host of this process.

        Returns:
            The folder, and the lock, which is held until the file is closed.

        Raises:
            OSError: The home cannot be written.
        """
        with self._locked():
            folder = self._folder / f"{os.getpid()}-{secrets.token_hex(4)}"
            make_directory(folder)
            lock = try_lock(folder / _LOCK)
            assert lock is not None
            json.dump({"pid": os.getpid(), "store": self._store, "bare": bare}, lock)
            lock.flush()
        return folder, lock

    def release(self, folder: Path, lock: IO[str]) -> None:
        """Give a host's folder back once its processes have ended."""
        if folder.is_dir():
            with contextlib.suppress(OSError), self._locked():
                self._orphan(folder, self._store)
                shutil.rmtree(folder, ignore_errors=True)
        lock.close()

    def alive(self) -> list[HostRecord]:
        """The hosts that are alive; the folders of others are removed."""
        if not self._folder.is_dir():
            return []
        with self._locked():
            return [found for path in self._folder.glob("*-*") if (found := self._look(path))]

    def serving(self) -> list[HostRecord]:
        """The hosts that are alive and carry on the runs of the store."""
        return [host for host in self.alive() if host.store == self._store and not host.bare]

    def note_run(self, folder: Path, run: str) -> None:
        """Note that a run trains on the host of a folder."""
        with contextlib.suppress(OSError):
            (folder / _RUNS).mkdir(exist_ok=True)
            (folder / _RUNS / run).touch()

    def forget_run(self, folder: Path, run: str) -> None:
        """Note that a run does not train any more."""
        (folder / _RUNS / run).unlink(missing_ok=True)

    def orphans(self) -> list[str]:
        """The runs whose host has ended."""
        self.alive()  # finds out who has ended
        found = self._folder / _ORPHANS / self._store
        return sorted(path.name for path in found.glob("*"))

    def adopt(self, folder: Path, run: str) -> bool:
        """Move a run from the orphans to the host of a folder; False where it is none, or another host was faster."""
        (folder / _RUNS).mkdir(exist_ok=True)
        try:
            (self._folder / _ORPHANS / self._store / run).rename(folder / _RUNS / run)
        except FileNotFoundError:
            return False
        return True

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        import fcntl

        make_directory(self._folder)
        with (self._folder / _LOCK).open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _look(self, folder: Path) -> HostRecord | None:
        try:
            lock = try_lock(folder / _LOCK)
            text = (folder / _LOCK).read_text()
        except OSError:
            return None
        record = json.loads(text) if text.startswith("{") else {}
        known = HostRecord(
            int(record.get("pid", 0)), str(record.get("store", "")), bool(record.get("bare"))
        )
        if lock is None:
            return known
        self._orphan(folder, known.store)
        lock.close()
        shutil.rmtree(folder, ignore_errors=True)
        return None

    def _orphan(self, folder: Path, store: str) -> None:
        """Make orphans of the runs of a host that has ended."""
        for note in (folder / _RUNS).glob("*"):
            orphans = self._folder / _ORPHANS / store
            make_directory(orphans)
            note.replace(orphans / note.name)
