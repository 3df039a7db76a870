"""The hosts of a home: which are alive, and which runs were left by those that ended.

Each host has a folder under `HOME/hosts` and holds a lock on it, which the system gives back when its process ends, however it
ends: a lock that can be taken is a dead host's, whatever process has its number now. What several processes do with the
folders they do one after another, under the lock of `HOME/hosts` itself.

A host notes the runs that train there. When it ends, the notes of those that go on become orphans: the processes with their
leases ended with the host, so another host may adopt them at once. An orphan is adopted once.

A shared host says where it listens and with what it was started. A command that uses it holds a lock on a file in its folder:
only a shared host that no command uses may withdraw, and then end.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from whisktrain.errors import ConfigurationError, DeadlineExceeded
from whisktrain.store.private import make_directory

__all__ = ["HostRecord", "HostsOfHome", "home_not_writable", "try_lock"]

_LOCK = "lock"
_RUNS = "runs"
"""The folder of a host that has one empty file for each run that trains there."""
_ENDS_S = 30.0
_USERS = "users"
"""The folder of a shared host that has a locked file for each command that uses it."""
_START = "start"
"""The file whose lock a command holds while it starts a shared host."""
_ORPHANS = "orphans"
"""The folder beside the hosts' that has, for each store, such a file for each run whose host has ended."""


@dataclass(frozen=True, slots=True)
class HostRecord:
    """A host that is alive.

    Attributes:
        pid: Its process.
        folder: Its folder.
        kind: "command" (it ends with a command or connection), "shared" or "local".
        store: A digest of its store's address.
        bare: Whether nothing is deployed to it, so that it carries no run on.
        apihost: Where it listens, where it says so.
        started_with: A digest of what a shared host was started with, while it may be used.
    """

    pid: int
    folder: Path
    kind: str = "command"
    store: str = ""
    bare: bool = False
    apihost: str = ""
    started_with: str = ""

    @property
    def runs(self) -> list[str]:
        """The runs that train there."""
        return sorted(path.name for path in (self.folder / _RUNS).glob("*"))


def home_not_writable(home: Path, error: OSError) -> ConfigurationError:
    """The error of a home in which no host can be started."""
    return ConfigurationError(
        f"The home {home} cannot be written: {error.strerror}.",
        code="home_not_writable",
        hint="Name another one with --home.",
    )


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

    def claim(self, *, kind: str = "command", bare: bool = False) -> tuple[Path, IO[str]]:
        """Make a folder for a host of this process.

        Args:
            kind: As `HostRecord.kind`.
            bare: As `HostRecord.bare`.

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
            self._write(lock, {"kind": kind, "bare": bare})
        return folder, lock

    def publish(self, lock: IO[str], *, kind: str, apihost: str, started_with: str = "") -> None:
        """Say where a host listens, and with what a shared one was started: from now on it may be used."""
        with self._locked():
            self._write(lock, {"kind": kind, "apihost": apihost, "started_with": started_with})

    def withdraw(self, folder: Path, lock: IO[str]) -> bool:
        """Have a shared host not be used any more; False where a command uses it now."""
        with self._locked():
            if self.in_use(folder):
                return False
            self._write(lock, {"kind": "shared"})
        return True

    def _write(self, lock: IO[str], record: Mapping[str, object]) -> None:
        lock.truncate(0)
        json.dump({"pid": os.getpid(), "store": self._store, **record}, lock)
        lock.flush()

    def attach(self, started_with: str) -> tuple[HostRecord, IO[str]] | None:
        """Use a shared host that was started with the same.

        Returns:
            The host, and the lock that says that it is used, until the file is closed; None where there is no such host.
        """
        for host in self.serving():
            if host.started_with != started_with:
                continue
            with self._locked():
                try:
                    written = (host.folder / _LOCK).read_text()
                    if json.loads(written).get("started_with") != started_with:
                        continue  # it has withdrawn meanwhile
                    make_directory(host.folder / _USERS)
                    use = try_lock(host.folder / _USERS / f"{os.getpid()}-{secrets.token_hex(4)}")
                except (OSError, ValueError):
                    continue
            if use is not None:
                return host, use
        return None

    def in_use(self, folder: Path) -> bool:
        """Whether a command uses the host of a folder; what ended ones have left there is removed."""
        used = False
        for path in (folder / _USERS).glob("*"):
            lock = try_lock(path)
            if lock is None:
                used = True
            else:
                path.unlink(missing_ok=True)
                lock.close()
        return used

    @contextlib.contextmanager
    def starting(self) -> Iterator[None]:
        """Hold the lock under which a shared host is started: others wait, and then use it."""
        import fcntl

        make_directory(self._folder)
        with (self._folder / _START).open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

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

    def end_staying(self) -> list[HostRecord]:
        """End the hosts that stay between commands, and wait until they have ended; those that were ended.

        Raises:
            DeadlineExceeded: One does not end.
        """
        import psutil

        ended, processes = [host for host in self.alive() if host.kind != "command"], []
        for host in ended:
            with contextlib.suppress(psutil.NoSuchProcess):
                processes.append(psutil.Process(host.pid))
                processes[-1].terminate()
        _, left = psutil.wait_procs(processes, timeout=_ENDS_S)
        if left:
            raise DeadlineExceeded(
                f"The host of process {left[0].pid} has not ended after {_ENDS_S:.0f} s.",
                hint=f"End it with `kill -9 {left[0].pid}`; its processes end with it.",
            )
        return ended

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
            pid=int(record.get("pid", 0)),
            folder=folder,
            kind=str(record.get("kind", "command")),
            store=str(record.get("store", "")),
            bare=bool(record.get("bare")),
            apihost=str(record.get("apihost", "")),
            started_with=str(record.get("started_with", "")),
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
