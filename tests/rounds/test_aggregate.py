"""Single aggregate activations: which rounds they close, and why they leave."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
from interrupted import InterruptedStore, refused
from plans import failure
from rounds_rig import QUICK
from single import (
    Invocations,
    at_step,
    change,
    create_run,
    open_run,
    serve_aggregate,
    serve_worker,
    state_of,
)

from whisktrain.errors import PlatformUnreachable, StoreUnreachable
from whisktrain.records.archive import RunArchive
from whisktrain.records.failures import MERGE
from whisktrain.records.run import Best, Ending, Start
from whisktrain.rounds import caches
from whisktrain.rounds.aggregate import activation, waiting
from whisktrain.store.protocol import Store


def serve_workers(store: Store) -> None:
    for slot in (0, 1):
        serve_worker(store, slot, execution=f"worker {slot}")


def test_without_a_lease_it_closes_one_round_and_starts_the_workers(store: Store) -> None:
    records = open_run(store)
    serve_workers(store)
    invoker = Invocations()
    result = serve_aggregate(store, invoker=invoker)
    assert (result["left"], result["rounds"]) == ("the round is closed", 1)
    assert state_of(records).round == 2
    assert [arguments["slot"] for _, arguments in invoker.made] == [0, 1]


def test_it_leaves_a_round_that_is_not_complete(store: Store) -> None:
    open_run(store)
    serve_worker(store)
    result = serve_aggregate(store)
    assert (result["left"], result["rounds"]) == ("the round is not complete", 0)


def test_it_sweeps_what_is_left_of_a_run_that_is_absent(store: Store) -> None:
    records = open_run(store)
    serve_workers(store)
    records.delete()
    assert serve_aggregate(store)["left"] == "the run is absent"
    assert records.leftovers() == {}


def test_it_finishes_a_run_that_is_final(store: Store) -> None:
    records = open_run(store)
    change(records, status="failed")
    assert serve_aggregate(store)["left"] == "the run is failed"


def test_it_removes_an_ended_run_that_was_created_again(store: Store) -> None:
    records = create_run(store)
    RunArchive(store, "r").put_summary({"run": "r", "history": []})
    assert serve_aggregate(store)["left"] == "the run has ended before"
    assert not records.exists()


def test_a_failed_shard_is_invoked_again_until_its_attempts_are_used_up(store: Store) -> None:
    records = open_run(store)
    invoker = Invocations()
    serve_worker(store)
    for attempt in (1, 2):
        time.sleep(0.005)  # no activation fails within a millisecond of its invocation
        records.put_failure(1, failure(1, attempt, written=time.time()))
        assert serve_aggregate(store, invoker=invoker)["left"] == "the round is not complete"
        assert invoker.made == [("worker", {"run": "r", "slot": 1})] * attempt
    records.put_failure(1, failure(1, 3, written=time.time()))
    assert serve_aggregate(store)["left"] == "the run is failed"
    summary = RunArchive(store, "r").summary()
    assert (
        summary is not None and summary["reason"] == "Worker 1 failed while training in round 1: m"
    )
    assert summary["resumable"]


def test_an_overdue_worker_is_recorded_as_lost(store: Store) -> None:
    records = open_run(store)
    serve_worker(store)
    change(records, opened=time.time() - 100, starts={1: Start(time.time() - 100)})
    invoker = Invocations()
    assert serve_aggregate(store, invoker=invoker)["left"] == "the round is not complete"
    (lost,) = records.failures(1)
    assert (lost.shard, lost.attempt, lost.error["code"]) == (1, 1, "worker_lost")
    assert [arguments["slot"] for _, arguments in invoker.made] == [1]


def test_a_worker_that_cannot_be_started_is_recorded_and_does_not_stop_the_round(
    store: Store,
) -> None:
    records = open_run(store)
    serve_workers(store)
    result = serve_aggregate(store, invoker=Invocations(PlatformUnreachable("no answer")))
    assert result["left"] == "the round is closed" and state_of(records).round == 2
    assert {f.error["message"] for f in records.failures(2)} == {"no answer"}


def test_without_leases_it_keeps_to_the_platforms_rate(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = open_run(store)
    change(records, platform={"invocations_per_minute": 60})
    serve_workers(store)
    pauses: list[float] = []
    monkeypatch.setattr(waiting, "time", SimpleNamespace(time=time.time, sleep=pauses.append))
    serve_aggregate(store)
    assert len(pauses) == 1 and 2.0 < pauses[0] <= 3.0, (
        "two workers and the aggregate at one invocation a second"
    )


@pytest.mark.parametrize("step", ["A3", "A5", "A6"])
def test_a_run_that_has_moved_on_is_looked_at_again(store: Store, step: str) -> None:
    """Another execution ends the run at any step: nothing is written over it."""
    records = open_run(store)
    serve_workers(store)
    caches._last_rounds.clear()
    caches._blueprints.clear()

    def end_elsewhere() -> None:
        records.delete()
        records.delete_documents(records.leftovers(), {})

    with at_step(step, end_elsewhere):
        result = serve_aggregate(store)
    assert (result["left"], result["rounds"]) == ("the run is absent", 0)
    assert records.leftovers() == {}


def test_a_run_that_moves_on_at_the_deadline_is_left_to_others(store: Store) -> None:
    records = open_run(store)
    serve_workers(store)
    with at_step("A6", lambda: (change(records, round=2), time.sleep(0.5))):
        assert serve_aggregate(store, seconds=0.5)["left"] == "there is no time left"


def test_the_best_parameters_are_evaluated_before_they_are_published(store: Store) -> None:
    records = open_run(store)
    first = records.read_params("params:r:1")
    assert first is not None
    records.put_params("params:r:0", {**first.tensors, "c": first.tensors["c"] + 1}, first.history)
    change(
        records,
        phase="evaluate",
        ending=Ending("completed", "Done."),
        best=Best(0, "params:r:0", 0.5, 0),
    )
    serve_workers(store)
    assert serve_aggregate(store)["left"] == "the round is closed"
    state, params = state_of(records), records.read_params("params:r:2")
    assert (
        (state.phase, state.params) == ("evaluate", "params:r:2")
        and state.ending is not None
        and state.ending.restored
    )
    assert params is not None and params.tensors["c"].tolist() == [1, 2, 3]
    serve_workers(store)
    assert serve_aggregate(store)["left"] == "the run is completed"


def test_best_parameters_that_are_gone_mean_that_the_run_has_moved_on(store: Store) -> None:
    records = open_run(store)
    change(
        records,
        phase="evaluate",
        ending=Ending("completed", "Done."),
        best=Best(0, "params:r:0", 0.5, 0),
    )
    serve_workers(store)
    assert serve_aggregate(store, seconds=0.5)["left"] == "there is no time left"
    assert state_of(records).round == 1


def test_a_store_that_does_not_answer_is_asked_until_there_is_no_time_left(store: Store) -> None:
    open_run(store)
    serve_workers(store)
    interrupted = InterruptedStore(store)
    interrupted.rounds.interrupt["get"] = [refused(StoreUnreachable("down")) for _ in range(3)]
    assert serve_aggregate(interrupted)["left"] == "the round is closed"
    interrupted.rounds.interrupt["get"] = [refused(StoreUnreachable("down"))]
    with pytest.raises(StoreUnreachable):
        serve_aggregate(interrupted, seconds=0.1)


def test_a_store_that_does_not_answer_while_merging_is_no_failure_of_the_merge(
    store: Store,
) -> None:
    records = open_run(store)
    serve_workers(store)
    caches._blueprints.clear()
    interrupted = InterruptedStore(store)
    fault = {"get": [refused(StoreUnreachable("down"))]}
    with at_step("A3", lambda: interrupted.rounds.interrupt.update(fault)):
        assert serve_aggregate(interrupted)["left"] == "the round is closed"
    assert records.failures() == []


def test_a_merge_that_fails_is_tried_again_and_then_fails_the_run(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = open_run(store)
    serve_workers(store)

    def fail(*arguments: object) -> None:
        raise ValueError("no luck")

    monkeypatch.setattr(activation, "close", fail)
    assert serve_aggregate(store)["left"] == "the run is failed"
    summary = RunArchive(store, "r").summary()
    assert summary is not None
    assert (
        summary["reason"] == "The aggregate failed while training in round 1: ValueError: no luck"
    )
    assert not records.exists()


def test_the_first_failed_merge_is_recorded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    records = open_run(store)
    serve_workers(store)
    monkeypatch.setattr(
        activation, "close", lambda *arguments: (_ for _ in ()).throw(ValueError("no luck"))
    )
    found: list[list[int]] = []
    with at_step(
        "F1", lambda: found.append([f.attempt for f in records.failures(1) if f.shard == MERGE])
    ):
        serve_aggregate(store)
    assert found == [[1, 2, 3]]


def test_at_the_end_of_its_lease_it_invokes_its_successor(store: Store) -> None:
    records = open_run(store, lease=0.5)
    serve_workers(store)
    invoker = Invocations()
    left = serve_aggregate(store, invoker=invoker)["left"]
    assert left == "the lease is over; the successor is invoked"
    assert invoker.made[-1] == ("aggregate", {"run": "r", "after": state_of(records).nonce})


def test_one_that_has_closed_no_round_is_not_followed_by_another(store: Store) -> None:
    records = open_run(store, lease=0.3)
    invoker = Invocations()
    result = serve_aggregate(store, invoker=invoker, after=state_of(records).nonce)
    assert result["left"] == "the lease is over and nothing has moved"
    assert "aggregate" not in [action for action, _ in invoker.made]


def test_a_successor_that_cannot_be_invoked_is_reported(store: Store) -> None:
    open_run(store, lease=0.3)
    serve_workers(store)
    left = serve_aggregate(store, invoker=Invocations(PlatformUnreachable("no answer")))["left"]
    assert left == "the lease is over; the successor could not be invoked: no answer"


def test_it_leaves_a_run_that_another_aggregate_serves(store: Store) -> None:
    records = open_run(store, lease=30.0)
    change(records, aggregate_lease=time.time() + 30)
    began = time.time()
    invoker = Invocations()
    assert serve_aggregate(store, invoker=invoker)["left"] == "the round is not complete"
    assert time.time() - began < 5 and invoker.made == []


def test_at_the_end_of_its_lease_it_leaves_a_run_that_another_aggregate_serves(
    store: Store,
) -> None:
    records = open_run(store, lease=30.0)
    change(records, aggregate_lease=time.time() + 30)
    invoker = Invocations()
    with at_step("A2", lambda: time.sleep(0.2)):
        left = serve_aggregate(store, invoker=invoker, seconds=QUICK.margin + 0.1)["left"]
    assert left == "another aggregate serves" and invoker.made == []
