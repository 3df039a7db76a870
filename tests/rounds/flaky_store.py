"""A store that fails: calls that do not arrive, and answers that are lost after the work was done."""

from __future__ import annotations

import random
import threading
from typing import Any

from whisktrain.errors import Conflict, StoreUnreachable
from whisktrain.store.protocol import Database, Store

WRITES = ("put", "delete", "delete_many")


class FlakyDatabase:
    def __init__(self, database: Database, share: float, seed: int) -> None:
        self._database, self._share = database, share
        self._draw, self._lock = random.Random(seed), threading.Lock()
        self.failed = 0

    @property
    def name(self) -> str:
        return self._database.name

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._database, name)
        if name not in (*WRITES, "get", "list", "changes"):
            return call

        def flaky(*arguments: Any, **named: Any) -> Any:
            with self._lock:
                fails, way = self._draw.random() < self._share, self._draw.random()
                self.failed += fails
            if fails and way < 0.5:
                raise StoreUnreachable("the request did not arrive")
            answer = call(*arguments, **named)
            if fails and name == "put" and way < 0.7:
                raise Conflict("a repetition below found what its first try had written")
            if fails:
                raise StoreUnreachable("the answer was lost")
            return answer

        return flaky


class FlakyStore:
    """Args: share: how many calls fail."""

    def __init__(self, store: Store, share: float, seed: int) -> None:
        self._store = store
        self.library = FlakyDatabase(store.library, share, seed)
        self.rounds = FlakyDatabase(store.rounds, share, seed + 1)

    @property
    def url(self) -> str:
        return self._store.url

    def ensure(self) -> None:
        self._store.ensure()

    def close(self) -> None:
        self._store.close()
