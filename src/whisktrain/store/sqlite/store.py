"""The embedded store: a directory with the two databases."""

from __future__ import annotations

from pathlib import Path

from whisktrain.store.sqlite.database import SqliteDatabase

__all__ = ["SqliteStore"]


class SqliteStore:
    """The embedded store.

    Args:
        directory: Where it lives; made at first use. Nothing is read or written before.
    """

    def __init__(self, directory: str | Path) -> None:
        self._directory = Path(directory).expanduser().absolute()
        self._library = SqliteDatabase("whisktrain", self._directory / "library.sqlite")
        self._rounds = SqliteDatabase("whisktrain-rounds", self._directory / "rounds.sqlite")

    def __repr__(self) -> str:
        return f"SqliteStore({str(self._directory)!r})"

    @property
    def url(self) -> str:
        """Its address."""
        return f"sqlite:{self._directory}"

    @property
    def library(self) -> SqliteDatabase:
        """Datasets, shards, models, summaries, versions, aliases."""
        return self._library

    @property
    def rounds(self) -> SqliteDatabase:
        """Live runs: what the feed follows."""
        return self._rounds

    def ensure(self) -> None:
        """Make what is missing, and remove files that crashed writers left."""
        for database in (self._library, self._rounds):
            database.sweep()

    def close(self) -> None:
        """Close every connection; the object is not used afterwards."""
        for database in (self._library, self._rounds):
            database.close()
