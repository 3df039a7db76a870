"""A host that several commands share: the first one starts it, and it stays for some minutes after the last.

It is a process of its own (`python -m whisktrain.sdk.keeper`), and ends by itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TypedDict

from whisktrain.errors import PlatformError, from_record
from whisktrain.sdk.hosts import HostRecord, HostsOfHome, home_not_writable
from whisktrain.store.private import make_directory
from whisktrain.version import __version__

__all__ = ["Job", "SharedHost", "stays_for"]

STAYS_S = 300.0
"""Seconds for which a host stays that no command uses and on which nothing trains."""
_STAYS = "WHISKTRAIN_HOST_STAYS"
_NOT_DEPLOYED = frozenset({_STAYS, "WHISKTRAIN_HOME", "WHISKTRAIN_STORE", "WHISKTRAIN_DEBUG"})
"""Variables of whisktrain that say nothing to a host: its store is part of its record."""
_OF_THE_FOLLOWER = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "http_proxy", "https_proxy", "no_proxy")
_ATTEMPTS = 3


class Job(TypedDict):
    """What the process of a shared host is given.

    Attributes:
        home: The home.
        store: The store's address.
        started_with: The digest by which commands find the host.
        stays: Seconds for which it stays.
    """

    home: str
    store: str
    started_with: str
    stays: float


def stays_for(environment: Mapping[str, str] = os.environ) -> float:
    """Seconds for which a shared host stays; 0: commands start hosts of their own, which end with them."""
    text = environment.get(_STAYS, "")
    try:
        return max(float(text), 0.0) if text else STAYS_S
    except ValueError:
        return STAYS_S


class SharedHost:
    """The shared host of a home, as one command uses it.

    Args:
        home: The home.
        store: The store's address.
    """

    def __init__(self, home: Path, store: str) -> None:
        self._home, self._store = home, store
        self.hosts = HostsOfHome(home, store)
        self._attached: tuple[HostRecord, IO[str]] | None = None

    @property
    def _record(self) -> HostRecord:
        if self._attached is None:
            raise PlatformError(
                "No shared host is used.", code="not_started", hint="Start it first."
            )
        return self._attached[0]

    @property
    def apihost(self) -> str:
        """The host's address."""
        return self._record.apihost

    @property
    def auth(self) -> str:
        """The host's key."""
        return (self._record.folder / "auth").read_text().strip()

    @property
    def alive(self) -> bool:
        """Whether its process lives."""
        return any(host.folder == self._record.folder for host in self.hosts.alive())

    def check(self) -> None:
        """Nothing is checked here: a host that cannot go on ends, and another one is started."""

    def start(self) -> None:
        """Use the host that is there, or start one; of several commands at once, one starts it.

        Raises:
            WhisktrainError: It cannot be started.
        """
        try:
            self._start(_digest())
        except OSError as error:
            raise home_not_writable(self._home, error) from error

    def _start(self, wanted: str) -> None:
        self._attached = self.hosts.attach(wanted)
        for _ in range(_ATTEMPTS):
            if self._attached is not None:
                return
            with self.hosts.starting():
                self._attached = self.hosts.attach(wanted)
                if self._attached is None:
                    self._spawn(wanted)
                    self._attached = self.hosts.attach(wanted)
        if self._attached is None:
            raise PlatformError(
                "The embedded host ended as soon as it had started.",
                code="not_started",
                hint=f"The last lines of {self._log} say why.",
            )

    def stop(self) -> None:
        """Use it no longer; it ends by itself."""
        attached, self._attached = self._attached, None
        if attached is not None:
            with contextlib.suppress(OSError):
                Path(attached[1].name).unlink(missing_ok=True)
            attached[1].close()

    def note_run(self, run: str) -> None:
        """Note that a run trains there: it stays until the run has ended."""
        self.hosts.note_run(self._record.folder, run)

    def forget_run(self, run: str) -> None:
        """Note that a run does not train there any more."""
        self.hosts.forget_run(self._record.folder, run)

    def adopt(self, run: str) -> bool:
        """Take over a run whose host has ended; False where there is nothing to take over."""
        return self.hosts.adopt(self._record.folder, run)

    @property
    def _log(self) -> Path:
        return self._home / "logs" / "host.log"

    def _spawn(self, wanted: str) -> None:
        """Start the process, and wait until it may be used."""
        make_directory(self._log.parent)
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "whisktrain.sdk.keeper"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self._home,
                start_new_session=True,
            )
        assert process.stdin is not None and process.stdout is not None
        job: Job = {
            "home": str(self._home),
            "store": self._store,
            "started_with": wanted,
            "stays": stays_for(),
        }
        with process.stdout, contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(job).encode())
            process.stdin.close()
            line = process.stdout.readline()
        if not line:
            process.wait()
            return
        answer = json.loads(line)
        if "error" in answer:
            process.wait()
            raise from_record(answer["error"], answer["kind"])


def _digest() -> str:
    """A digest of what a host is started with: the library's files, the interpreter, and the settings of the deployment."""
    package = Path(__file__).parents[1]
    newest = max(path.stat().st_mtime_ns for path in package.rglob("*.py"))
    settings = sorted(
        (name, value)
        for name, value in os.environ.items()
        if (name.startswith("WHISKTRAIN_") and name not in _NOT_DEPLOYED)
        or name in _OF_THE_FOLLOWER
    )
    known = [__version__, newest, sys.executable, str(package), settings]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()[:32]
