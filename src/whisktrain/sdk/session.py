"""What a connection works with: the platform's client, the store and the embedded host, each opened at its first use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Self

from whisktrain.errors import ConfigurationError
from whisktrain.version import __version__

if TYPE_CHECKING:
    from whisktrain.openwhisk.client import Client
    from whisktrain.sdk.frames import FrameFile
    from whisktrain.sdk.hosting import Hosting
    from whisktrain.sdk.sharing import SharedHost
    from whisktrain.sdk.where import Where
    from whisktrain.store.protocol import Store

__all__ = ["Session"]


class Session:
    """An open platform and store. A context manager: closing it ends everything that it started.

    Attributes:
        where: The platform, home and store.
        narrate: Called with each line that says what is going on.

    Args:
        where: Where to work.
        narrate: As the attribute; nothing is said by default.
        share: Whether to use the embedded host that other commands share, instead of one that ends with the session.
    """

    def __init__(
        self,
        where: Where,
        narrate: Callable[[str], None] | None = None,
        *,
        share: bool = False,
    ) -> None:
        self.where = where
        self.narrate = narrate or _silent
        self._store: Store | None = None
        self._client: Client | None = None
        self._hosting: Hosting | SharedHost | None = None
        self._share = share and self.embedded

    def __repr__(self) -> str:
        where = self.where
        return f"{type(self).__name__}(platform={where.platform!r}, apihost={where.apihost!r}, home={str(where.home)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End what was started: the host with all its processes, and the connections. Closing twice does no harm."""
        client, self._client = self._client, None
        if client is not None:
            client.close()
        hosting, self._hosting = self._hosting, None
        if hosting is not None:
            hosting.stop()
        store, self._store = self._store, None
        if store is not None:
            store.close()

    @property
    def embedded(self) -> bool:
        """Whether the platform is this machine's own host."""
        return self.where.platform == "embedded"

    @property
    def store(self) -> Store:
        """The store, opened at the first use.

        Raises:
            ConfigurationError: No store is known.
        """
        if self._store is None:
            if self.where.store is None:
                raise ConfigurationError(
                    f"No store is known for {self.where.apihost}.",
                    code="no_store",
                    hint="Give --store http(s)://USER:PASSWORD@HOST:PORT, or set WHISKTRAIN_STORE.",
                )
            from whisktrain.store.opening import open_store

            self._store = open_store(self.where.store)
            if self.embedded:
                self._store.ensure()
        return self._store

    @property
    def has_store(self) -> bool:
        """Whether a store is known: without one, runs cannot be followed and files cannot be uploaded."""
        return self.where.store is not None

    @property
    def client(self) -> Client:
        """The client of the platform; the embedded host is started at the first use."""
        if self._client is None:
            from whisktrain.openwhisk.client import Client

            if self.embedded:
                hosting = self.hosting
                self._client = Client(hosting.apihost, hosting.auth)
            else:
                self._client = Client(
                    str(self.where.apihost), str(self.where.auth), insecure=self.where.insecure
                )
        return self._client

    @property
    def hosting(self) -> Hosting | SharedHost:
        """The embedded host of this connection, started at the first use."""
        if self._hosting is None and self._share:
            from whisktrain.sdk.sharing import SharedHost

            shared = SharedHost(self.where.home, str(self.where.store))
            shared.start()
            self._hosting = shared
        return self._hosting if self._hosting is not None else self.own_hosting

    @property
    def own_hosting(self) -> Hosting:
        """The embedded host that ends with this session, started at the first use."""
        from whisktrain.sdk.hosting import Hosting

        if not isinstance(self._hosting, Hosting):
            hosting = Hosting(self.where.home, str(self.where.store), narrate=self.narrate)
            hosting.start()
            self._hosting = hosting
        return self._hosting

    @property
    def hosts(self) -> bool:
        """Whether this session has started the embedded host."""
        return self._hosting is not None

    def check(self) -> None:
        """Raise `PlatformError` where the embedded host or its follower has ended for good."""
        if self._hosting is not None:
            self._hosting.check()

    @property
    def ends_runs(self) -> bool:
        """Whether what trains on the embedded host of this session ends with the session."""
        return self.embedded and not self._share

    def renew(self) -> None:
        """Let go of a shared host that has ended; the next use finds or starts another one."""
        from whisktrain.sdk.sharing import SharedHost

        if isinstance(self._hosting, SharedHost) and not self._hosting.alive:
            self._hosting.stop()
            self._hosting = None
            if self._client is not None:
                self._client.close()
                self._client = None

    def note_run(self, run: str) -> None:
        """Note that a run trains on this session's own host, where it has one."""
        if self._hosting is not None:
            self._hosting.note_run(run)

    def forget_run(self, run: str) -> None:
        """Note that a run has ended."""
        if self._hosting is not None:
            self._hosting.forget_run(run)

    def describe(self) -> str:
        """Platform and store in one line, without any password."""
        from whisktrain.store.addresses import mask

        store = mask(self.where.store) if self.where.store else "unknown (runs cannot be followed)"
        place = "this machine's own host" if self.embedded else f"OpenWhisk at {self.where.apihost}"
        return f"whisktrain {__version__}: {place}, store {store}"

    def upload(self, file: Path | FrameFile) -> str:
        """Upload a file, folder or table, say so, and return "upload:ID"."""
        from whisktrain.data.sources.uploads import put_upload

        self.store.ensure()
        content = file if isinstance(file, Path) else file.content
        reference = put_upload(self.store, content, file.name)
        self.narrate(f"uploaded {file if isinstance(file, Path) else 'the table'} as {reference}")
        return reference


def _silent(_: str) -> None:
    """Say nothing."""
