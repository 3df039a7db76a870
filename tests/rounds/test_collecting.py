"""How updates are read: together where they came together, within bounds of memory, each once."""

from __future__ import annotations

import time

import numpy as np
import pytest
from rounds_rig import plan_of

from whisktrain.records import ids
from whisktrain.records.run import RunState
from whisktrain.records.updates import Update
from whisktrain.rounds import collecting
from whisktrain.rounds.collecting import Gathered, gather, listen
from whisktrain.spec import Contribution
from whisktrain.store.protocol import Store

ROWS = (10, 10, 10, 10, 10)
STATE = RunState("r", plan_of(ROWS), 1, round=3, phase="train", params="params:r:3")


def put(store: Store, shard: int) -> None:
    held = Contribution({"w": np.full(1000, shard, np.float32)}, {"divisor": 1.0})
    update = Update(shard, shard, "e", 0.0, 0.0, {}, False, held, time.time())
    store.rounds.put(ids.update("r", 3, shard), update.to_body(), attachment=update.attachment())


@pytest.fixture
def asked(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many updates each request asked for."""
    made: list[int] = []
    get_many = store.rounds.get_many

    def counting(ids):
        made.append(len(ids))
        return get_many(ids)

    monkeypatch.setattr(store.rounds, "get_many", counting)
    return made


def test_what_came_together_is_read_together_once_its_size_is_known(store: Store, asked: list[int]) -> None:
    position = store.rounds.changes(None).position
    for shard in range(5):
        put(store, shard)
    gathered = Gathered(3)
    heard = listen(store, STATE, gathered, position, 5.0)
    assert asked == [1, 4] and not heard.moved
    assert [float(part.tensors["w"][0]) for part in gathered.ascending] == [0, 1, 2, 3, 4] and gathered.size == 20_000
    asked.clear()
    assert gather(store, STATE).present == gathered.present == frozenset(range(5))
    again = Gathered(3, usual=4000)
    listen(store, STATE, again, position, 5.0)
    assert asked == [1, 4, 5]


def test_large_updates_are_read_in_turn(store: Store, asked: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "MOST_AT_ONCE", 9000)
    position = store.rounds.changes(None).position
    for shard in range(5):
        put(store, shard)
    gathered = Gathered(3, usual=4000)
    listen(store, STATE, gathered, position, 5.0)
    assert asked == [2, 2, 1] and len(gathered.updates) == 5
    monkeypatch.setattr(collecting, "MOST_AT_ONCE", 100)
    gathered = Gathered(3, usual=4000)
    listen(store, STATE, gathered, position, 5.0)
    assert asked[3:] == [1] * 5


def test_an_update_that_has_gone_means_that_the_run_has_moved_on(store: Store) -> None:
    position = store.rounds.changes(None).position
    for shard in range(3):
        put(store, shard)
    get_many = store.rounds.get_many

    class Late:
        """The documents go between the feed's answer and the reading."""

        def __getattr__(self, name):
            return getattr(store.rounds, name)

        def get_many(self, ids):
            store.rounds.delete(ids.update("r", 3, 1))
            return get_many(ids)

    class Behind:
        rounds = Late()

    gathered = Gathered(3, usual=1)
    assert listen(Behind(), STATE, gathered, position, 5.0).moved
    assert gathered.present == frozenset({0, 2})


def test_a_damaged_update_among_whole_ones_is_deleted_alone(store: Store) -> None:
    position = store.rounds.changes(None).position
    for shard in range(3):
        put(store, shard)
    found = store.rounds.get(ids.update("r", 3, 1))
    store.rounds.put(found.id, found.body, rev=found.rev, attachment=b"cut short")
    gathered = Gathered(3, usual=1)
    assert not listen(store, STATE, gathered, position, 5.0).moved
    assert gathered.present == frozenset({0, 2})
    assert store.rounds.get(ids.update("r", 3, 1)) is None
