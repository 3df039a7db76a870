"""The history of a run: its newest entries travel with the parameters, the others are in blocks that are written once."""

from __future__ import annotations

import pytest
from interrupted import InterruptedStore, answer_lost

from whisktrain.errors import StoreUnreachable
from whisktrain.records import ids
from whisktrain.records.history import BLOCK, HistoryRecords, TrainingHistory
from whisktrain.records.run_records import RunRecords
from whisktrain.store.protocol import Store


def entries(most: int) -> list[dict[str, int]]:
    return [{"epoch": n, "round": n} for n in range(1, most + 1)]


@pytest.mark.parametrize("most", [0, 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 1, 5 * BLOCK + 7])
def test_whatever_its_length_few_entries_are_carried_and_all_are_read(
    store: Store, most: int
) -> None:
    records = HistoryRecords(store, "r")
    carried = records.put_blocks(TrainingHistory(entries(most), most, None))
    assert len(carried.entries) <= BLOCK and carried.epoch == most
    assert bool(carried.entries) == bool(most), "the newest entry is always carried"
    assert HistoryRecords(store, "r").entries(carried) == entries(most)
    assert len(store.rounds.list(ids.histories("r"))) == carried.blocks
    assert records.put_blocks(carried) == carried


def test_one_by_one_or_at_once_is_the_same(store: Store) -> None:
    """So a resumed run carries what it would have carried without the stop."""
    step_by_step, records = TrainingHistory(), HistoryRecords(store, "r")
    for n, entry in enumerate(entries(100), 1):
        step_by_step = records.put_blocks(
            TrainingHistory([*step_by_step.entries, entry], n, None, step_by_step.blocks)
        )
    at_once = HistoryRecords(store, "s").put_blocks(TrainingHistory(entries(100), 100, None))
    assert step_by_step == at_once
    read = [[d.body["entries"] for d in store.rounds.list(ids.histories(run))] for run in "rs"]
    assert read[0] == read[1]


def test_a_block_that_is_there_already_counts(store: Store) -> None:
    interrupted = InterruptedStore(store)
    interrupted.rounds.interrupt["put"] = [answer_lost(StoreUnreachable("lost"))]
    history = TrainingHistory(entries(40), 40, None)
    with pytest.raises(StoreUnreachable):
        HistoryRecords(interrupted, "r").put_blocks(history)
    carried = HistoryRecords(store, "r").put_blocks(history)
    assert HistoryRecords(store, "r").entries(carried) == entries(40)


def test_a_history_whose_blocks_are_gone_is_not_taken_for_a_short_one(store: Store) -> None:
    carried = HistoryRecords(store, "r").put_blocks(TrainingHistory(entries(90), 90, None))
    store.rounds.delete(ids.history("r", 1))
    assert HistoryRecords(store, "r").entries(carried) is None
    RunRecords(store, "r").delete_all()
    assert store.rounds.list("") == [], "blocks are deleted with the run"


def test_blocks_are_read_once(store: Store) -> None:
    records = HistoryRecords(store, "r")
    carried = records.put_blocks(TrainingHistory(entries(90), 90, None))
    assert records.entries(carried) == entries(90)
    RunRecords(store, "r").delete_all()
    assert records.entries(carried) == entries(90)


def test_a_history_of_an_earlier_version_has_no_blocks(store: Store) -> None:
    old = TrainingHistory.from_body({"entries": entries(70), "epoch": 70, "sums": None})  # type: ignore[typeddict-item]
    assert TrainingHistory.from_body(old.to_body()) == old
    assert HistoryRecords(store, "r").entries(
        HistoryRecords(store, "r").put_blocks(old)
    ) == entries(70)
