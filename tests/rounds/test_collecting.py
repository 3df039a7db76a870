"""How updates are read: in one request where they came together, within a memory bound, each once."""

from __future__ import annotations

import time

import numpy as np
import pytest
from rounds_rig import plan_of

from whisktrain.records import ids
from whisktrain.records.run import RunState
from whisktrain.records.run_records import RunRecords
from whisktrain.records.updates import Update
from whisktrain.rounds.aggregate import collecting
from whisktrain.rounds.aggregate.collecting import CollectedRound, collect, wait_for_updates
from whisktrain.spec import Contribution
from whisktrain.store.protocol import Store

ROWS = (10, 10, 10, 10, 10)
STATE = RunState("r", plan_of(ROWS), 1, round=3, phase="train", params="params:r:3")


def put(store: Store, shard: int) -> None:
    held = Contribution(
        {"w": np.full(1000, shard, np.float32)},
        {"rows": 1, "divisor": 1.0, "train": None, "validation": None, "training": None},
    )
    update = Update(shard, shard, "e", 0.0, 0.0, {}, False, held, time.time())
    store.rounds.put(ids.update("r", 3, shard), update.to_body(), attachment=update.attachment())


@pytest.fixture
def asked(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many updates each request asked for."""
    made: list[int] = []
    get_many = store.rounds.get_many

    def counting(wanted):
        made.append(len(wanted))
        return get_many(wanted)

    monkeypatch.setattr(store.rounds, "get_many", counting)
    return made


def test_what_came_together_is_read_together_once_its_size_is_known(
    store: Store, asked: list[int]
) -> None:
    position = store.rounds.changes(None).position
    for shard in range(5):
        put(store, shard)
    collected = CollectedRound(3)
    result = wait_for_updates(RunRecords(store, "r"), STATE, collected, position, 5.0)
    assert asked == [1, 4] and not result.moved
    assert [float(part.tensors["w"][0]) for part in collected.ascending] == [
        0,
        1,
        2,
        3,
        4,
    ] and collected.nbytes == 20_000
    asked.clear()
    assert (
        collect(RunRecords(store, "r"), STATE).present == collected.present == frozenset(range(5))
    )
    again = CollectedRound(3, typical_bytes=4000)
    wait_for_updates(RunRecords(store, "r"), STATE, again, position, 5.0)
    assert asked == [1, 4, 5]


def test_large_updates_are_read_in_turn(
    store: Store, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "MAX_READ_BYTES", 9000)
    position = store.rounds.changes(None).position
    for shard in range(5):
        put(store, shard)
    collected = CollectedRound(3, typical_bytes=4000)
    wait_for_updates(RunRecords(store, "r"), STATE, collected, position, 5.0)
    assert asked == [2, 2, 1] and len(collected.updates) == 5
    monkeypatch.setattr(collecting, "MAX_READ_BYTES", 100)
    collected = CollectedRound(3, typical_bytes=4000)
    wait_for_updates(RunRecords(store, "r"), STATE, collected, position, 5.0)
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

        def get_many(self, wanted):
            store.rounds.delete(ids.update("r", 3, 1))
            return get_many(wanted)

    class Behind:
        rounds, library = Late(), store.library

    collected = CollectedRound(3, typical_bytes=1)
    assert wait_for_updates(RunRecords(Behind(), "r"), STATE, collected, position, 5.0).moved
    assert collected.present == frozenset({0, 2})


def test_a_damaged_update_among_whole_ones_is_deleted_alone(store: Store) -> None:
    position = store.rounds.changes(None).position
    for shard in range(3):
        put(store, shard)
    found = store.rounds.get(ids.update("r", 3, 1))
    store.rounds.put(found.id, found.body, rev=found.rev, attachment=b"cut short")
    collected = CollectedRound(3, typical_bytes=1)
    assert not wait_for_updates(RunRecords(store, "r"), STATE, collected, position, 5.0).moved
    assert collected.present == frozenset({0, 2})
    assert store.rounds.get(ids.update("r", 3, 1)) is None
