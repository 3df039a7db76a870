"""The embedded platform of one connection: a host in this process, the system deployed to it, and a follower beside it.

Every connection has a host of its own, in a folder of its own under `HOME/hosts`; all of them share the home's store. That is
safe because all state is in the store and every step of the protocol may be done twice: whichever follower sees a run that is
to go on has it carried on by its own host.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING

from whisktrain.errors import ConfigurationError
from whisktrain.sdk.hosts import HostsOfHome, try_lock
from whisktrain.store.private import make_directory

if TYPE_CHECKING:
    from openwhisk_local import Host, Limits

__all__ = ["FollowerProcess", "Hosting"]

_RESTARTS = 5
_ENDS_IN_S = 0.3
"""How long the follower may take to end by itself: it works from the store's state, so it may be ended at any point."""


def _hold(folder: Path) -> IO[str]:
    """Take a folder for this process alone; the system gives it back when the process ends.

    Raises:
        ConfigurationError: Another process has it.
    """
    path = folder / "lock"
    file = try_lock(path)
    if file is None:
        holder = path.read_text().strip() or "unknown"
        raise ConfigurationError(
            f"A host is running on {folder} already (process {holder}).",
            code="already_running",
            hint="Use that one, stop it, or name another directory with --home.",
        )
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


class FollowerProcess:
    """The follower as a child of this process, started again should it end.

    Its standard input is a pipe from here: when this process ends, however it ends, the follower reads the end and ends too.

    Args:
        environment: What the follower needs to know: `WHISK_APIHOST`, `WHISK_AUTH`, `WHISKTRAIN_STORE`.
        log: Where its log lines go.
    """

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self._environment = {**os.environ, **environment, "PYTHONUNBUFFERED": "1"}
        self._environment.pop("WSK_CONFIG_FILE", None)
        self._log = log
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._watch: threading.Thread | None = None

    @property
    def pid(self) -> int | None:
        """Its process id; None where it does not run."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        """Start it, and a thread that watches over it."""
        self._spawn()
        self._watch = threading.Thread(
            target=self._supervise, name="whisktrain-follower", daemon=True
        )
        self._watch.start()

    def _spawn(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "whisktrain", "follow", "--until-stdin-ends"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )

    def _supervise(self) -> None:
        for attempt in range(_RESTARTS):
            process = self._process
            if process is None:
                return
            process.wait()
            if process.stdin is not None:
                with contextlib.suppress(OSError):
                    process.stdin.close()
            if self._stopping.wait(min(0.2 * 2**attempt, 3.0)):
                return
            self._spawn()

    def stop(self) -> None:
        """End it, and wait until it has ended."""
        self._stopping.set()
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        process.terminate()
        try:
            process.wait(_ENDS_IN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._watch is not None:
            self._watch.join()


class Hosting:
    """A host with the system deployed to it.

    Args:
        home: The home whose store is used.
        store: The store's address.
        port: The port; 0 takes a free one.
        folder: The host's own folder; a new one under `HOME/hosts`, removed at the end, by default.
        bare: Whether to deploy nothing and to start no follower.
        limits: What the host allows; the embedded host's own generous limits by default.
    """

    def __init__(
        self,
        home: Path,
        store: str,
        *,
        port: int = 0,
        folder: Path | None = None,
        bare: bool = False,
        limits: Limits | None = None,
    ) -> None:
        self.home = home
        self._store = store
        self._port = port
        self._bare = bare
        self._limits = limits
        self.hosts = HostsOfHome(home, store)
        self._given_folder = folder
        self._claim: tuple[Path, IO[str]] | None = None
        self._held: IO[str] | None = None
        self._host: Host | None = None
        self._follower: FollowerProcess | None = None

    @property
    def folder(self) -> Path:
        """The host's folder.

        Raises:
            ConfigurationError: It has not been started.
        """
        if self._claim is None:
            raise ConfigurationError("The embedded host is not running.", hint="Start it first.")
        return self._given_folder or self._claim[0]

    @property
    def host(self) -> Host:
        """The host.

        Raises:
            ConfigurationError: It has not been started.
        """
        if self._host is None:
            raise ConfigurationError("The embedded host is not running.", hint="Start it first.")
        return self._host

    @property
    def apihost(self) -> str:
        """The host's address."""
        return self.host.apihost

    @property
    def auth(self) -> str:
        """The host's key."""
        return self.host.auth

    @property
    def pids(self) -> list[int]:
        """The children of this process that belong to it."""
        pid = None if self._follower is None else self._follower.pid
        return [] if pid is None else [pid]

    def start(self) -> None:
        """Start the host, deploy the system to it and start the follower.

        Raises:
            ConfigurationError: The port is in use, or the home cannot be written.
        """
        from openwhisk_local import Host, HostError

        try:
            self.hosts.alive()  # removes what dead hosts have left behind
            self._claim = self.hosts.claim(bare=self._bare)
            make_directory(self.folder)
            if self._given_folder is not None:
                self._held = _hold(self._given_folder)
        except ConfigurationError:
            self.stop()
            raise
        except OSError as error:
            raise ConfigurationError(
                f"The home {self.home} cannot be written: {error.strerror}.",
                code="home_not_writable",
                hint="Name another one with --home.",
            ) from error
        try:
            host = Host(
                self.folder,
                port=self._port,
                limits=self._limits,
                environment={"WHISKTRAIN_EMBEDDED": "1"},
            )
            self._host = host
            host.start()
            if not self._bare:
                self._deploy(host)
        except HostError as error:
            self.stop()
            raise ConfigurationError(error.message, code=error.code, hint=error.hint) from error
        except BaseException:
            self.stop()
            raise

    def note_run(self, run: str) -> None:
        """Note that a run trains here: its workers and aggregates end with this host."""
        if self._claim is not None:
            self.hosts.note_run(self._claim[0], run)

    def forget_run(self, run: str) -> None:
        """Note that a run does not train here any more."""
        if self._claim is not None:
            self.hosts.forget_run(self._claim[0], run)

    def adopt(self, run: str) -> bool:
        """Take over a run whose host has ended; False where there is nothing to take over."""
        return self._claim is not None and self.hosts.adopt(self._claim[0], run)

    def _deploy(self, host: Host) -> None:
        from whisktrain.openwhisk import deployment
        from whisktrain.openwhisk.client import Client

        environment = {
            # Preprocessing holds the whole table, and here it is the user's own memory that it takes.
            "WHISKTRAIN_PREPROCESS_MEMORY": str(
                max(512, min(host.limits.user_memory_mb // 3, host.limits.max_memory_mb))
            ),
            **{k: v for k, v in os.environ.items() if k.startswith("WHISKTRAIN_")},
            "WHISKTRAIN_STORE": self._store,
            "WHISKTRAIN_CONTAINER_MEMORY": str(host.limits.user_memory_mb),
        }
        self._follower = FollowerProcess(
            {
                "WHISK_APIHOST": host.apihost,
                "WHISK_AUTH": host.auth,
                "WHISKTRAIN_STORE": self._store,
            },
            self.folder / "follower.log",
        )
        self._follower.start()
        with Client(host.apihost, host.auth) as client:
            deployment.deploy(client, environment=environment)

    def stop(self) -> None:
        """Stop follower and host, with every process that they started."""
        follower, self._follower = self._follower, None
        if follower is not None:
            follower.stop()
        host, self._host = self._host, None
        if host is not None:
            host.stop()
        held, self._held = self._held, None
        if held is not None:
            held.close()
        claim, self._claim = self._claim, None
        if claim is not None:
            self.hosts.release(*claim)

    def __enter__(self) -> Hosting:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
