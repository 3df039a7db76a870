"""The fixtures that all conformance tests share, and processes to race with."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

from whisktrain.store.opening import open_store
from whisktrain.store.protocol import Database, Store

__all__ = ["ODD_IDS", "Basis", "processes"]

ODD_IDS = [
    "a/b",
    "a+b",
    "a b",
    " a ",
    "100%",
    "%41",
    "a?b=c",
    "a#b",
    "a&b;c",
    'say "a"',
    "it's",
    "a\\b",
    "a:1:10",
    "a\nb\tc",
    "...",
    "a/../b",
    "über",
    "数据",
    "\U0001f600",
    "\uffff",
    "\U0010ffff",
    "[1,2]",
    "{}",
    "null",
    "x" * 200,
]
"""Ids that a careless quoting or a careless order would break."""


class Basis:
    """Fixtures; `address` is the one to override."""

    EXACT_NUMBERS = True
    """Whether integers beyond 2^53 come back exactly; False for servers whose numbers are JavaScript's."""

    HIGHEST = "\U0010ffff"
    """The highest character up to which lists are complete and in order."""

    def listable(self, ids: list[str]) -> list[str]:
        """Those of `ids` that this store's lists can be asked about."""
        return [id_ for id_ in ids if max(id_) <= self.HIGHEST]

    @pytest.fixture
    def address(self) -> str:
        """A store's address with its password, as `open_store` takes it; fresh for each test."""
        pytest.fail("Override the fixture `address`.")

    @pytest.fixture
    def store(self, address: str) -> Iterator[Store]:
        """The store at `address`, opened, made and closed."""
        store = open_store(address)
        store.ensure()
        with contextlib.closing(store):
            yield store

    @pytest.fixture
    def database(self, store: Store) -> Database:
        """The database for live runs."""
        return store.rounds


@contextlib.contextmanager
def processes(count: int) -> Iterator[ProcessPoolExecutor]:
    """So many fresh processes, spawned, all up and running."""
    with ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(_nothing, range(count)))
        yield pool


def _nothing(argument: Any) -> Any:
    return argument
