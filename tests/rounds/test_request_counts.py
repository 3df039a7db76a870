"""How many requests a round makes to the store: its cost on CouchDB, whose processor time limits the rounds."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from rounds_rig import Platform, plan_of, put_dataset, train

from whisktrain.store.protocol import Store

ROUNDS = 60


class CountingDatabase:
    """Counts the calls of each method; apart from them the records of activations that found nothing to do."""

    def __init__(self, database: Any, calls: Counter[str]) -> None:
        self.database, self.calls = database, calls

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.database, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **options: Any) -> Any:
            idle = name == "put" and str(arguments[0]).startswith("idle:")
            self.calls["put idle" if idle else name] += 1
            return found(*arguments, **options)

        return call


class CountingStore:
    def __init__(self, store: Store) -> None:
        self.url, self.ensure, self.calls = store.url, store.ensure, Counter[str]()
        self.library, self.rounds = store.library, CountingDatabase(store.rounds, self.calls)


def calls_per_round(store: Store, slots: int, lease: float) -> Counter[str]:
    rows = (30,) * slots
    put_dataset(store, rows=rows)
    counting = CountingStore(store)
    train(
        counting,
        plan_of(rows, rounds=ROUNDS, lease=lease, slots=slots),
        platform=Platform(counting),
    )
    return Counter({name: count / ROUNDS for name, count in counting.calls.items()})


@pytest.mark.parametrize("slots", [2, 4])
def test_a_leased_round_writes_and_reads_no_more_than_it_needs(store: Store, slots: int) -> None:
    """Writes: an update a slot, params, optimizer state, run. Reads: params a slot, the updates, and what waiting costs."""
    calls = calls_per_round(store, slots, lease=30.0)
    assert slots + 3 <= calls["put"] <= slots + 3.5
    assert calls["put idle"] <= 0.1
    assert calls["delete_many"] <= 1.5
    assert calls["list"] <= 1.0
    assert calls["get"] + calls["get_many"] <= 2 * slots + 4


@pytest.mark.parametrize("slots", [2, 4])
def test_a_round_without_leases_writes_no_more_than_it_needs(store: Store, slots: int) -> None:
    """Each activation starts from the store: it lists what is there, and reads run, params, blueprint and updates."""
    calls = calls_per_round(store, slots, lease=0.0)
    assert slots + 3 <= calls["put"] <= slots + 3.5
    assert calls["put idle"] <= 1.5
    assert calls["delete_many"] <= 2.5
    assert calls["get"] + calls["get_many"] <= 4 * slots + 10
    assert calls["list"] <= 2 * slots + 16
