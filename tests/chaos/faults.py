"""The faults: kills and zombies at the protocol's steps, a store that fails and a disk that is full."""

from __future__ import annotations

import threading
import time
from typing import Any

from flaky_store import FlakyStore
from rounds_rig import Killed
from schedules import Schedule

from whisktrain.errors import StoreError
from whisktrain.store.protocol import Database, Store


class AtSteps:
    """Kills and holds activations at steps, as a schedule says; an observer of failpoints."""

    def __init__(self, schedule: Schedule) -> None:
        self._kills = set(schedule.kills)
        self._holds = {(step, nth): seconds for step, nth, seconds in schedule.zombies}
        self._reached: dict[str, int] = {}
        self._lock = threading.Lock()
        self.happened: list[str] = []

    def __call__(self, step: str) -> None:
        with self._lock:
            nth = self._reached[step] = self._reached.get(step, 0) + 1
        held = self._holds.get((str(step), nth))
        if held is not None:
            self.happened.append(f"held at {step} for {held:.2f} s")
            time.sleep(held)
        if (str(step), nth) in self._kills:
            self.happened.append(f"killed at {step}")
            raise Killed(step)


class FullDisk:
    """The time in which the disk is full: it begins with the nth write."""

    def __init__(self, nth: int, seconds: float) -> None:
        self._left, self._seconds, self._lock = nth, seconds, threading.Lock()
        self._until = 0.0

    def check(self) -> None:
        with self._lock:
            self._left -= 1
            if self._left == 0:
                self._until = time.monotonic() + self._seconds
        if time.monotonic() < self._until:
            raise StoreError("The disk is full.", code="disk_full", hint="Make room.")


class FullDatabase:
    """A database on such a disk."""

    def __init__(self, database: Database, disk: FullDisk) -> None:
        self._database, self._disk = database, disk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    def put(self, *arguments: Any, **named: Any) -> str:
        self._disk.check()
        return self._database.put(*arguments, **named)


class FullStore:
    """A store on such a disk."""

    def __init__(self, store: Store, disk: FullDisk) -> None:
        self._store = store
        self.library, self.rounds = (
            FullDatabase(store.library, disk),
            FullDatabase(store.rounds, disk),
        )

    @property
    def url(self) -> str:
        return self._store.url

    def ensure(self) -> None:
        self._store.ensure()

    def close(self) -> None:
        self._store.close()


def faulty(store: Store, schedule: Schedule) -> Any:
    """The store as everybody in the schedule sees it."""
    seen: Any = store
    if schedule.full is not None:
        seen = FullStore(seen, FullDisk(*schedule.full))
    if schedule.lost:
        seen = FlakyStore(seen, schedule.lost, schedule.seed)
    return seen
