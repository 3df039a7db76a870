"""A CouchDB as a store: its address, its two databases, their creation."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

import couchdb
from couchdb import http as couchdb_http

from whisktrain.errors import ConfigurationError, StoreError
from whisktrain.jsontypes import JsonObject
from whisktrain.store.addresses import mask
from whisktrain.store.couch.database import CouchDatabase
from whisktrain.store.couch.errors import translate_errors
from whisktrain.store.couch.session import HttpSession

__all__ = ["CouchStore"]

DATABASE_NAME = re.compile(r"[a-z][a-z0-9_$()+/-]*")


class CouchStore:
    """A CouchDB.

    Args:
        address: `http://` or `https://`, user and password where it wants them, host and port; then the start of the
            databases' names as path or as `?prefix=`, `whisktrain` by default. Nothing is sent before first use.

    Raises:
        ConfigurationError: The address cannot be used.
    """

    def __init__(self, address: str) -> None:
        base, host, credentials, prefix = _parse(address)
        self._url = base if prefix == "whisktrain" else f"{base}/{prefix}"
        self._session = HttpSession(base, host, credentials)
        self._server = couchdb.Server(base, session=self._session)
        self._pouch: bool | None = None
        self._library = CouchDatabase(
            self._database(prefix), self._session, self._url, self.is_pouch
        )
        self._rounds = CouchDatabase(
            self._database(f"{prefix}-rounds"), self._session, self._url, self.is_pouch
        )

    def __repr__(self) -> str:
        return f"CouchStore({self._url!r})"

    @property
    def url(self) -> str:
        """Its address without user and password."""
        return self._url

    @property
    def library(self) -> CouchDatabase:
        """Datasets, shards, models, summaries, versions, aliases."""
        return self._library

    @property
    def rounds(self) -> CouchDatabase:
        """Live runs: what the feed follows."""
        return self._rounds

    def is_pouch(self) -> bool:
        """Whether the server's greeting says that it is PouchDB, which has no multipart requests."""
        if self._pouch is None:
            self._pouch = "express-pouchdb" in self.greeting()
        return self._pouch

    def greeting(self) -> JsonObject:
        """The server's name and version."""
        with translate_errors("/", self._url):
            _, _, data = self._server.resource.get_json([""])
        if not isinstance(data, dict) or not {"couchdb", "express-pouchdb"} & data.keys():
            raise StoreError(
                f"What answers at {self._url} does not say that it is a CouchDB.",
                code="store_protocol",
                hint="Check the address.",
            )
        return data

    def setting(self, section: str, key: str) -> str | None:
        """One setting of the node that answers, None where it is not set; needs an administrator."""
        with translate_errors("/", self._url):
            try:
                _, _, value = self._server.resource.get_json(
                    ["_node", "_local", "_config", section, key]
                )
            except couchdb_http.ResourceNotFound:
                return None
        return str(value)

    def ensure(self) -> None:
        """Create the databases that are missing; needs an administrator only then.

        `rounds` gets one copy of one shard: compare-and-swap on a cluster is only safe there.
        """
        self.greeting()
        for database, settings in ((self._library, {}), (self._rounds, {"n": 1, "q": 1})):
            if not database.exists():
                database.create(**settings)

    def admit(self, user: str) -> None:
        """Make a user a member of both databases; needs an administrator."""
        for database in (self._library, self._rounds):
            database.admit(user)

    def drop(self) -> None:
        """Delete both databases with everything in them; needs an administrator."""
        for database in (self._library, self._rounds):
            database.drop()

    def close(self) -> None:
        """Close every connection; the object is not used afterwards."""
        self._session.close()

    def _database(self, name: str) -> couchdb.Database:
        return couchdb.Database(
            couchdb_http.urljoin(self._server.resource.url, name), name, session=self._session
        )


def _parse(address: str) -> tuple[str, str, tuple[str, str] | None, str]:
    """The server's address, its host, user and password, and the start of the databases' names."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
        prefix = _prefix_of(parts)
    except ValueError:
        raise _bad_address(address) from None
    if not host or prefix is None:
        raise _bad_address(address)
    credentials = None
    if parts.username is not None:
        credentials = (unquote(parts.username), unquote(parts.password or ""))
    authority = f"[{host}]" if ":" in host else host
    base = f"{parts.scheme.lower()}://{authority}" + (f":{port}" if port is not None else "")
    return base, host, credentials, prefix


def _prefix_of(parts: SplitResult) -> str | None:
    """The start of the databases' names: of `?prefix=`, of the path, or the default; None where it is not a name."""
    queries = parse_qs(parts.query, keep_blank_values=True)
    prefix = queries.pop("prefix", [unquote(parts.path).strip("/") or "whisktrain"])[-1]
    return (
        prefix if not queries and not parts.fragment and DATABASE_NAME.fullmatch(prefix) else None
    )


def _bad_address(address: str) -> ConfigurationError:
    return ConfigurationError(
        f"The store's address was {mask(address)!r}; expected http(s)://USER:PASSWORD@HOST:PORT?prefix=NAME, an IPv6 "
        "address in brackets, special characters of user and password percent-encoded, and a name of small letters, "
        "digits and _$()+/-, starting with a letter.",
        code="bad_store",
        hint="Correct the address.",
    )
