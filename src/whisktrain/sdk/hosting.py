"""The embedded platform of one connection: a host in this process, the system deployed to it, and a follower beside it.

A connection has a host of its own, or shares one with others (`sharing.py`), in a folder of its own under `HOME/hosts`; all of
them share the home's store. That is safe because all state is in the store and every step of the protocol may be done twice:
whichever follower sees a run that is to go on has it carried on by its own host.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING

from whisktrain.errors import ConfigurationError, PlatformError
from whisktrain.sdk.hosts import HostRecord, HostsOfHome, home_not_writable, try_lock
from whisktrain.sdk.supervision import Supervised
from whisktrain.store.private import make_directory

if TYPE_CHECKING:
    from openwhisk_local import Host, Limits

__all__ = ["Hosting"]


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


def _follower(
    environment: Mapping[str, str], log: Path, narrate: Callable[[str], None]
) -> Supervised:
    """The follower as a child of this process.

    Args:
        environment: What it needs to know: `WHISK_APIHOST`, `WHISK_AUTH`, `WHISKTRAIN_STORE`.
        log: Where its log lines go.
        narrate: Told when it keeps ending.
    """
    variables = {**os.environ, **environment, "PYTHONUNBUFFERED": "1"}
    variables.pop("WSK_CONFIG_FILE", None)
    command = [sys.executable, "-m", "whisktrain", "follow", "--until-stdin-ends"]
    return Supervised("the follower", command, variables, log, narrate=narrate)


class Hosting:
    """A host with the system deployed to it.

    Args:
        home: The home whose store is used.
        store: The store's address.
        port: The port; 0 takes a free one.
        folder: The host's own folder; a new one under `HOME/hosts`, removed at the end, by default.
        bare: Whether to deploy nothing and to start no follower.
        kind: "command" (it ends with a command or connection), "shared" or "local".
        limits: What the host allows; the embedded host's own generous limits by default.
        narrate: Called with a line when a child keeps ending.
    """

    def __init__(
        self,
        home: Path,
        store: str,
        *,
        port: int = 0,
        folder: Path | None = None,
        bare: bool = False,
        kind: str = "command",
        limits: Limits | None = None,
        narrate: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.home = home
        self.store = store
        self._port = port
        self._bare = bare
        self._kind = kind
        self._limits = limits
        self._narrate = narrate
        self.hosts = HostsOfHome(home, store)
        self.alone = False
        """Whether no other host of this home served the store when this one started."""
        self._given_folder = folder
        self._claim: tuple[Path, IO[str]] | None = None
        self._held: IO[str] | None = None
        self._host: Host | None = None
        self._follower: Supervised | None = None

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

    def check(self) -> None:
        """Check that host and follower still run, or are being started again.

        Raises:
            PlatformError: The host has ended, or the follower was given up.
        """
        if self._host is not None and self._host.failure is not None:
            raise PlatformError(
                f"The embedded host has ended ({self._host.failure}).",
                code="host_ended",
                hint="Runs stay in the store: start the command again, which carries them on.",
            )
        if self._follower is not None:
            self._follower.check()

    def start(self) -> None:
        """Start the host, deploy the system to it and start the follower.

        Raises:
            ConfigurationError: The port is in use, or the home cannot be written.
        """
        from openwhisk_local import Host, HostError

        try:
            self.alone = not self.hosts.serving()
            self._claim = self.hosts.claim(kind=self._kind, bare=self._bare)
            make_directory(self.folder)
            if self._given_folder is not None:
                self._held = _hold(self._given_folder)
        except ConfigurationError:
            self.stop()
            raise
        except OSError as error:
            raise home_not_writable(self.home, error) from error
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

    def publish(self, started_with: str = "") -> None:
        """Say where the host listens; a shared one may be used from now on by commands that would start it with the same."""
        if self._claim is not None and not self._bare:
            self.hosts.publish(
                self._claim[1], kind=self._kind, apihost=self.apihost, started_with=started_with
            )

    def runs(self) -> list[str]:
        """The runs that train here."""
        return [] if self._claim is None else HostRecord(os.getpid(), self._claim[0]).runs

    def in_use(self) -> bool:
        """Whether a command uses it."""
        return self._claim is not None and self.hosts.in_use(self._claim[0])

    def withdraw(self) -> bool:
        """Have it not be used any more; False where a command uses it."""
        return self._claim is None or self.hosts.withdraw(*self._claim)

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
            # It holds a given model's file, twice while it reads that.
            "WHISKTRAIN_TRAIN_MEMORY": str(max(256, min(host.limits.user_memory_mb // 8, 1024))),
            **{k: v for k, v in os.environ.items() if k.startswith("WHISKTRAIN_")},
            "WHISKTRAIN_STORE": self.store,
            "WHISKTRAIN_CONTAINER_MEMORY": str(host.limits.user_memory_mb),
        }
        self._follower = _follower(
            {
                "WHISK_APIHOST": host.apihost,
                "WHISK_AUTH": host.auth,
                "WHISKTRAIN_STORE": self.store,
            },
            self.folder / "follower.log",
            self._narrate,
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
