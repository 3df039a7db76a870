"""Opening a store by its address."""

from __future__ import annotations

from whisktrain.errors import ConfigurationError
from whisktrain.store.addresses import mask
from whisktrain.store.protocol import Store

__all__ = ["open_store"]

EXPECTED = (
    "Give sqlite:PATH for the embedded store, or http://USER:PASSWORD@HOST:PORT (or https) for CouchDB, "
    "with ?prefix=NAME for other databases than whisktrain and whisktrain-rounds."
)


def open_store(url: str) -> Store:
    """Open the store at an address; nothing is connected or written yet.

    Args:
        url: `sqlite:PATH` (relative or absolute, `~` is the home directory), or `http://` or `https://` of a CouchDB, with
            user and password where it wants them. The databases' names start with its path or its `?prefix=`,
            `whisktrain` by default.

    Raises:
        ConfigurationError: It is something else.
    """
    scheme, _, rest = url.strip().partition(":")
    if scheme.lower() == "sqlite" and rest and not rest.startswith("//"):
        from whisktrain.store.sqlite import SqliteStore

        return SqliteStore(rest)
    if scheme.lower() in ("http", "https"):
        from whisktrain.store.couch import CouchStore

        return CouchStore(url.strip())
    raise ConfigurationError(
        f"The store's address was {mask(url)!r}; expected sqlite:PATH or an http(s) address.",
        code="bad_store",
        hint=EXPECTED,
    )
