"""The cost of a run."""

from __future__ import annotations

from dataclasses import replace

from plans import running

from whisktrain.records.cost import Cost, Idle, IdleRecords
from whisktrain.records.ids import DocumentId
from whisktrain.records.run_records import RunRecords
from whisktrain.store.protocol import Store


def test_cost_counts_activations_and_their_seconds_once() -> None:
    cost = (
        Cost()
        .seen("0", "a", 10.0, 12.0, 512)
        .seen("0", "a", 10.0, 14.0, 512)
        .seen("0", "b", 20.0, 21.0, 512)
    )
    cost = cost.seen("aggregate", "c", 10.0, 20.0, 256)
    assert cost.total() == {"invocations": 3, "gb_seconds": round(4 * 0.5 + 1 * 0.5 + 10 * 0.25, 3)}


def test_two_activations_that_take_turns_count_once_each() -> None:
    cost = Cost()
    for execution, last in (("a", 12.0), ("b", 13.0), ("a", 14.0), ("b", 15.0), ("c", 16.0)):
        cost = cost.seen("aggregate", execution, 10.0, last, 1024)
    assert cost.total() == {"invocations": 3, "gb_seconds": 4.0 + 5.0 + 6.0}
    assert Cost.from_body(cost.to_body()) == cost


def test_an_activation_that_wrote_nothing_counts_once() -> None:
    cost = Cost().seen("0", "a", 10.0, 12.0, 512).with_idle("b", 10.0, 14.0, 256)
    assert cost.total() == {"invocations": 2, "gb_seconds": 2 * 0.5 + 4 * 0.25}
    assert cost.with_idle("a", 10.0, 12.0, 512) == cost
    assert Cost.from_body(cost.to_body()) == cost


def test_idle_documents_are_written_while_the_run_is_open_only(store: Store) -> None:
    idle = Idle("worker", "e", 1.0, 2.0)
    records = IdleRecords(store, "r")
    records.put(idle)
    assert records.read() == []
    state = RunRecords(store, "r").create(running())
    assert state is not None
    records.put(idle)
    records.put(idle)
    assert records.read() == [idle]
    assert set(RunRecords(store, "r").leftovers()) == {"idle:r:e"}
    assert DocumentId.parse("idle:r:e") == DocumentId("idle", "r")
    assert RunRecords(store, "r").swap(replace(state, status="stopped")) is not None
    records.put(replace(idle, execution="late"))
    assert records.read() == [idle]
