"""The host: starts, listens, stops."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import socket
import tempfile
import threading
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

import psutil
import uvicorn

from openwhisk_local.activations.invoker import Invoker
from openwhisk_local.activations.plain import PlainActions, ProcessContext
from openwhisk_local.activations.rates import Rates
from openwhisk_local.activations.records import ActivationStore
from openwhisk_local.app import Api
from openwhisk_local.errors import HostError
from openwhisk_local.limits import Limits
from openwhisk_local.processes.pool import Pool
from openwhisk_local.processes.process import SHELL_VARIABLES
from openwhisk_local.state.registry import Registry

_BACKLOG = 512
_START_S = 30.0


class Host:
    """An OpenWhisk-compatible host for one machine.

    Entities and activation records are in memory: a host starts empty and its entities are deployed to it. Its key is
    kept in its home.

    Args:
        home: The folder of the key, the `wskprops` file and the code of running actions.
        port: The port; 0 takes a free one.
        bind: The address to listen on; loopback by default.
        limits: Its limits; generous by default.
        environment: Variables that every action process gets besides those that OpenWhisk and a shell set.

    Example:
        >>> with Host(Path("/tmp/host")) as host:  # doctest: +SKIP
        ...     print(host.apihost, host.auth)
    """

    namespace = "guest"

    def __init__(
        self,
        home: Path,
        *,
        port: int = 0,
        bind: str = "127.0.0.1",
        limits: Limits | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        reserved = sorted(
            name
            for name in environment or {}
            if name in SHELL_VARIABLES or name.startswith("__OW_")
        )
        if reserved:
            raise HostError(
                f"the environment of action processes names variables that the host sets itself: {', '.join(reserved)}.",
                hint="Leave them out, or rename them.",
            )
        self.limits = limits or Limits()
        self.activations = ActivationStore(
            self.limits.activations_kept, self.limits.activation_bytes_kept
        )
        self._home = Path(home)
        self._port = port
        self._bind = bind
        self._environment = dict(environment or {})
        self._thread: threading.Thread | None = None
        self._shut_down: Callable[[], object] | None = None
        self._up = threading.Event()
        self._failure: BaseException | None = None
        self._auth: str | None = None

    @property
    def apihost(self) -> str:
        """The host's address, for example `http://127.0.0.1:3233`. With port 0, known once the host has started."""
        reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._bind, self._bind)  # noqa: S104 - not bound here
        shown = f"[{reachable}]" if ":" in reachable else reachable
        return f"http://{shown}:{self._port}"

    @property
    def auth(self) -> str:
        """The namespace's key, `uuid:key`: made at random and kept in the home."""
        if self._auth is None:
            path = self._home / "auth"
            if not path.exists():
                self._home.mkdir(parents=True, exist_ok=True)
                made = _write_private(self._home, f"{uuid.uuid4()}:{secrets.token_urlsafe(48)}\n")
                with contextlib.suppress(
                    FileExistsError
                ):  # another host of this home was first: use its key
                    path.hardlink_to(made)
                made.unlink()
            self._auth = path.read_text().strip()
        return self._auth

    @property
    def wskprops_path(self) -> Path:
        """The file with the host's address and key, for WSK_CONFIG_FILE; written at the start."""
        return self._home / "wskprops"

    @property
    def failure(self) -> str | None:
        """Why a host that was started does not serve any more, though it was not stopped; None where it does."""
        if self._thread is None or self._thread.is_alive():
            return None
        return (
            f"{type(self._failure).__name__}: {self._failure}" if self._failure else "it was ended"
        )

    def start(self) -> Host:
        """Start the host in a thread of its own; it answers when this returns.

        Raises:
            HostError: The port is in use, or the home cannot be written.
        """
        if self._thread is not None:
            return self
        try:
            self._home.mkdir(parents=True, exist_ok=True)
            _remove_leftovers(self._home / "processes")
            listener = self._listen()
            _write_private(self._home, f"APIHOST={self.apihost}\nAUTH={self.auth}\n").replace(
                self.wskprops_path
            )
        except OSError as error:
            raise HostError(
                f"the host's home {self._home} cannot be used: {error.strerror}.",
                hint="Name another one with --home.",
            ) from error
        self._up.clear()
        self._failure = None
        self._thread = threading.Thread(
            target=self._serve, args=(listener,), name="openwhisk-local", daemon=True
        )
        self._thread.start()
        if not self._up.wait(_START_S) or self._failure is not None:
            failure = self._failure
            self.stop()
            raise HostError(
                f"the host did not start: {failure or 'no answer in time'}."
            ) from failure
        return self

    def stop(self) -> None:
        """Stop the host and end its action processes. Stopping it again does nothing."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        if self._shut_down is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended on its own
                self._shut_down()
        thread.join()

    def __enter__(self) -> Host:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _listen(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._bind else socket.AF_INET
        # The protocol is named because asyncio switches Nagle's delay (40 ms an answer) off only where it is.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self._bind, self._port))
            listener.listen(_BACKLOG)
        except OSError as error:
            listener.close()
            raise HostError(
                f"the host cannot listen on {self._bind}:{self._port}: {error.strerror}.",
                code="port_in_use",
                hint="Choose another port with --port, or stop what uses this one.",
            ) from error
        self._port = listener.getsockname()[1]
        return listener

    def _serve(self, listener: socket.socket) -> None:
        try:
            asyncio.run(self._run(listener))
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits for the start
            self._failure = error
        finally:
            listener.close()
            self._up.set()

    async def _run(self, listener: socket.socket) -> None:
        own = f"{os.getpid()}-{secrets.token_hex(4)}"  # several hosts may have one home
        pool = Pool(self.limits, self._home / "processes" / own)
        context = ProcessContext(self.apihost, self.auth, self._environment)
        plain = PlainActions(Registry(), self.limits, pool, context)
        invoker = Invoker(plain, self.activations, Rates(self.limits))
        config = uvicorn.Config(
            Api(invoker, pool, self.namespace, self.auth),
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            http="h11",
            loop="asyncio",
            server_header=False,
            backlog=_BACKLOG,
            timeout_keep_alive=120,
            timeout_graceful_shutdown=1,
        )
        server = _Server(config, self._up)
        loop = asyncio.get_running_loop()

        def shut_down() -> None:
            # Callers that wait for an activation are answered first; then the server has no open request to wait for.
            invoker.stop()
            server.should_exit = True

        self._shut_down = lambda: loop.call_soon_threadsafe(shut_down)
        pool.open()
        try:
            await server.serve(sockets=[listener])
        finally:
            invoker.stop()
            await pool.close()


class _Server(uvicorn.Server):
    """A server that sets an event once it accepts requests."""

    def __init__(self, config: uvicorn.Config, up: threading.Event) -> None:
        super().__init__(config)
        self._up = up

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._up.set()


def _write_private(folder: Path, content: str) -> Path:
    """Write a new file with a random name that only its owner may read."""
    descriptor, name = tempfile.mkstemp(dir=folder)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
    return Path(name)


def _remove_leftovers(folder: Path) -> None:
    """Remove the folders of hosts that were killed."""
    for left in folder.glob("*-*"):
        pid = left.name.partition("-")[0]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(left, ignore_errors=True)
