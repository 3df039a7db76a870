"""Damaged parameters are replaced by the same bytes, or left alone."""

from __future__ import annotations

import pytest
from single import open_run, serve_aggregate, serve_worker, state_of

from whisktrain.records import ids
from whisktrain.records.history import TrainingHistory
from whisktrain.records.run_records import RunRecords
from whisktrain.rounds import caches
from whisktrain.rounds.aggregate.repair import repair_params
from whisktrain.store.protocol import Store


@pytest.fixture
def records(store: Store) -> RunRecords:
    """A run with round 3 open; no aggregate remembers anything, and the updates of round 2 are still there."""
    records = open_run(store)
    for round_ in (1, 2):
        for slot in (0, 1):
            serve_worker(store, slot)
        if round_ == 2:
            kept = records.read_update(2, 0), records.read_update(2, 1)
            before = records.read_params("params:r:2"), records.read_optimizer_state(2)
        serve_aggregate(store)
    assert state_of(records).round == 3
    params, optimizer_state = before
    assert params is not None and optimizer_state is not None
    if records.read_params("params:r:2") is None:
        records.put_params(
            "params:r:2", params.tensors, params.history, parent="params:r:1", merged=(0, 1)
        )
    records.put_optimizer_state(2, optimizer_state)
    store.rounds.delete("moments:r:3")
    for update in kept:
        assert update is not None
        if records.author(2, update.shard) is None:
            records.put_update(2, update)
    forget()
    return records


def forget() -> None:
    """Lose what a warm process remembers."""
    caches._last_rounds.clear()
    caches._blueprints.clear()


def damage(records: RunRecords, id_: str) -> None:
    document = records.read_params_document(id_)
    assert document is not None
    records.replace_params(document, b"not tensors")


def test_whole_parameters_are_left_alone(records: RunRecords) -> None:
    before = records.read_params("params:r:3")
    assert repair_params(records, state_of(records)) is False
    after = records.read_params("params:r:3")
    assert before is not None and after is not None and after.rev == before.rev


def test_damaged_parameters_are_merged_again(records: RunRecords) -> None:
    before = records.read_params("params:r:3")
    damage(records, "params:r:3")
    assert repair_params(records, state_of(records)) is True
    after = records.read_params("params:r:3")
    assert before is not None and after is not None and after.digest == before.digest


@pytest.mark.parametrize(
    "gone",
    [ids.params("r", 2), ids.update("r", 2, 1), ids.optimizer_state("r", 2), ids.blueprint("r")],
)
def test_what_cannot_be_merged_again_is_left_alone(records: RunRecords, gone: str) -> None:
    damage(records, "params:r:3")
    records.delete_documents([gone], {})
    forget()
    assert repair_params(records, state_of(records)) is False


def test_parameters_are_not_rebuilt_from_damaged_ones(records: RunRecords) -> None:
    damage(records, "params:r:3")
    damage(records, "params:r:2")
    assert repair_params(records, state_of(records)) is False


def test_parameters_that_no_merge_made_are_left_alone(store: Store, records: RunRecords) -> None:
    state = state_of(records)
    original = records.read_params("params:r:3")
    assert original is not None
    store.rounds.delete("params:r:3")
    records.put_params("params:r:3", original.tensors, TrainingHistory())
    damage(records, "params:r:3")
    assert repair_params(records, state) is False


def test_other_bytes_than_those_that_were_written_are_not_put(
    store: Store, records: RunRecords
) -> None:
    damage(records, "params:r:3")
    document = store.rounds.get("params:r:3")
    assert document is not None
    store.rounds.put(
        "params:r:3",
        {**document.body, "digest": "other"},
        rev=document.rev,
        attachment=b"not tensors",
    )
    assert repair_params(records, state_of(records)) is False


def test_absent_parameters_are_left_alone(store: Store, records: RunRecords) -> None:
    store.rounds.delete("params:r:3")
    assert repair_params(records, state_of(records)) is False
