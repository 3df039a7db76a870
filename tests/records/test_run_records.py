"""Every read and write of a run's documents, on a real store."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from interrupted import InterruptedStore, after, answer_lost, refused
from plans import failure, plan_of, running, update_of

from whisktrain.errors import Conflict, Damaged, StoreUnreachable
from whisktrain.records import ids, run_records
from whisktrain.records.history import TrainingHistory
from whisktrain.records.params import Builder
from whisktrain.records.run import RunState
from whisktrain.records.run_records import RunRecords, list_runs
from whisktrain.records.updates import Author
from whisktrain.spec import Blueprint
from whisktrain.store.protocol import Store

BUILDER: Builder = {"execution": "e", "start": 1.0, "lease_end": 0.0}
WEIGHTS = {"w": np.arange(3, dtype=np.float32)}


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_records, "_SWAP_FIRST_PAUSE", 0.0)


@pytest.fixture
def run(store: Store) -> RunRecords:
    return RunRecords(store, "r")


@pytest.fixture
def written(run: RunRecords) -> RunState:
    """The run document, in the store."""
    run.create(running(nonce="first"))
    state = run.read()
    assert state is not None
    return state


# The run document


def test_a_run_is_created_once(store: Store, run: RunRecords) -> None:
    assert run.read() is None and not run.exists() and list_runs(store) == []
    state = running(nonce="first")
    created = run.create(state)
    assert created is not None and created == run.read() == replace(state, rev=created.rev)
    read = run.create(running(nonce="second"))
    assert read is not None and read.nonce == "first" and read.rev
    assert list_runs(store) == [read]


def test_a_run_that_was_deleted_while_it_was_created_is_absent(
    store: Store, written: RunState
) -> None:
    interrupted = InterruptedStore(store)
    interrupted.rounds.interrupt["get"] = [after(RunRecords(store, "r").delete)]
    assert RunRecords(interrupted, "r").create(running()) is None


def test_a_swap_replaces_exactly_the_revision_that_was_read(
    run: RunRecords, written: RunState
) -> None:
    swapped = run.swap(replace(written, round=4, nonce="a"))
    assert swapped is not None and swapped.rev != written.rev
    assert run.read() == swapped
    assert run.swap(replace(written, round=4, nonce="b")) is None, "another execution was faster"
    assert run.read() == swapped


def test_a_swap_whose_answer_was_lost_is_recognised(
    store: Store, run: RunRecords, written: RunState
) -> None:
    interrupted = InterruptedStore(store)
    interrupted.rounds.interrupt = {
        "put": [answer_lost(StoreUnreachable("lost"))],
        "get": [refused(StoreUnreachable("down")), refused(StoreUnreachable("down"))],
    }
    swapped = RunRecords(interrupted, "r").swap(replace(written, round=4, nonce="a"))
    assert swapped is not None and swapped == run.read()


def test_a_swap_that_did_not_arrive_is_raised(
    store: Store, run: RunRecords, written: RunState
) -> None:
    interrupted = InterruptedStore(store)
    interrupted.rounds.interrupt["put"] = [refused(StoreUnreachable("did not arrive"))]
    with pytest.raises(StoreUnreachable, match="did not arrive"):
        RunRecords(interrupted, "r").swap(replace(written, round=4, nonce="a"))
    assert run.read() == written


def test_a_swap_of_which_nothing_can_be_found_out_is_raised(
    store: Store, written: RunState
) -> None:
    interrupted = InterruptedStore(store)
    interrupted.rounds.interrupt = {
        "put": [answer_lost(StoreUnreachable("lost"))],
        "get": [refused(StoreUnreachable("still down")) for _ in range(8)],
    }
    with pytest.raises(StoreUnreachable, match="still down"):
        RunRecords(interrupted, "r").swap(replace(written, round=4, nonce="a"))


def test_a_swap_of_a_run_that_was_deleted_or_has_ended_is_another_executions(
    run: RunRecords, written: RunState
) -> None:
    ended = run.swap(replace(written, status="stopped", nonce="other"))
    assert ended is not None
    assert run.swap(replace(written, round=4, nonce="a")) is None
    run.delete(rev=ended.rev)
    assert run.swap(replace(written, round=4, nonce="a")) is None


def test_only_the_revision_that_was_named_is_deleted(run: RunRecords, written: RunState) -> None:
    swapped = run.swap(replace(written, nonce="a"))
    with pytest.raises(Conflict):
        run.delete(rev=written.rev)
    assert run.read() == swapped
    run.delete()
    assert run.read() is None


# The feed


def test_waiting_for_the_run_ends_with_its_change(run: RunRecords, written: RunState) -> None:
    nothing = run.wait_for_run(run.position(), 0.0)
    assert not nothing.changed and nothing.state is None
    swapped = run.swap(replace(written, nonce="a"))
    change = run.wait_for_run(nothing.position, 5.0)
    assert change.changed and change.state == swapped
    run.delete()
    gone = run.wait_for_run(change.position, 5.0)
    assert gone.changed and gone.state is None


def test_waiting_for_a_round_ends_with_what_it_lacks(run: RunRecords, written: RunState) -> None:
    position = run.position()
    run.put_update(3, update_of(0))  # not missing: not waited for
    assert run.wait_for_round(written, [1], position, 0.0).shards == ()
    run.put_update(3, update_of(1))
    change = run.wait_for_round(written, [1], position, 5.0)
    assert (change.shards, change.built, change.failed, change.stop, change.removed) == (
        (1,),
        False,
        False,
        False,
        False,
    )
    run.put_failure(3, failure(1))
    run.request_stop()
    run.delete_update(3, 1)
    change = run.wait_for_round(written, [1], change.position, 5.0)
    assert (change.shards, change.failed, change.stop, change.removed) == ((), True, True, True)


def test_waiting_for_the_model_ends_with_the_first_parameters(run: RunRecords) -> None:
    state = running(plan_of(first_round=2), round=0, phase="build")
    position = run.position()
    assert not run.built(state)
    run.put_params("params:r:2", WEIGHTS, TrainingHistory())
    assert run.wait_for_round(state, [0], position, 5.0).built
    assert run.built(state)


# Parameters


def test_parameters_are_written_once_and_read_back(run: RunRecords) -> None:
    history = TrainingHistory([{"epoch": 1}], 1, None)
    assert run.read_params("params:r:4") is None and run.read_params_document("params:r:4") is None
    put = run.put_params("params:r:4", WEIGHTS, history, parent="params:r:3", merged=(0, 1))
    read = run.read_params("params:r:4")
    assert read is not None and (read.digest, read.history, read.rev) == (
        put.digest,
        history,
        put.rev,
    )
    assert read.tensors["w"].tolist() == [0, 1, 2]
    document = run.read_params_document("params:r:4")
    assert document is not None
    assert (document.body["parent"], document.body["merged"], document.rev) == (
        "params:r:3",
        [0, 1],
        put.rev,
    )
    assert run.read_history("params:r:4") == history
    assert run.read_history("") == run.read_history("params:r:9") == TrainingHistory()


def test_of_two_writers_of_parameters_the_first_counts(store: Store, run: RunRecords) -> None:
    first = run.put_params("params:r:4", WEIGHTS, TrainingHistory())
    same = run.put_params("params:r:4", WEIGHTS, TrainingHistory())
    assert same.digest == first.digest
    other = {"w": np.zeros(3, np.float32)}
    assert run.put_params("params:r:4", other, TrainingHistory()).digest == first.digest
    interrupted = InterruptedStore(store)
    interrupted.rounds.interrupt["get"] = [after(lambda: store.rounds.delete("params:r:4"))]
    own = RunRecords(interrupted, "r").put_params("params:r:4", other, TrainingHistory())
    assert own.digest != first.digest, "what was there has been deleted: the run has moved on"


def test_damaged_parameters_are_replaced_unless_another_execution_did(
    store: Store, run: RunRecords
) -> None:
    good = run.put_params("params:r:4", WEIGHTS, TrainingHistory())
    data = store.rounds.get("params:r:4", attachment=True)
    assert data is not None and data.attachment is not None
    body, rev = data.body, data.rev
    store.rounds.put("params:r:4", body, rev=rev, attachment=b"not tensors")
    with pytest.raises(Damaged):
        run.read_params("params:r:4")
    document = run.read_params_document("params:r:4")
    assert document is not None
    run.replace_params(document, data.attachment)
    repaired = run.read_params("params:r:4")
    assert repaired is not None and repaired.digest == good.digest
    run.replace_params(document, b"late")
    unchanged = run.read_params("params:r:4")
    assert unchanged is not None and unchanged.rev == repaired.rev


# Updates


def test_updates_are_written_once_and_read_back(run: RunRecords) -> None:
    assert run.author(3, 1) is None and run.read_update(3, 1) is None and run.shards(3) == []
    run.put_update(3, update_of(1, slot=4, execution="a", values=5.0))
    run.put_update(3, update_of(0, slot=2, execution="b"))
    run.put_update(4, update_of(0))
    with pytest.raises(Conflict):
        run.put_update(3, update_of(1))
    assert run.author(3, 1) == Author(4, "a")
    assert run.authors(3) == {0: Author(2, "b"), 1: Author(4, "a")}
    assert run.shards(3) == [0, 1]
    update = run.read_update(3, 1)
    assert (
        update is not None
        and update.contribution.tensors["w"].tolist() == [5, 5, 5]
        and update.nbytes == 12
    )
    assert sorted(run.read_updates(3, [0, 1, 2])) == [0, 1]
    run.delete_update(3, 1)
    assert run.shards(3) == [0]


def test_an_update_without_tensors_has_no_attachment(run: RunRecords) -> None:
    bare = update_of(0)
    run.put_update(3, replace(bare, contribution=replace(bare.contribution, tensors={})))
    update = run.read_update(3, 0)
    assert update is not None and update.contribution.tensors == {} and update.nbytes == 0


# Failures


def test_failures_are_read_in_the_order_in_which_they_happened(run: RunRecords) -> None:
    late, early, before = (
        failure(0, 1, written=20.0),
        failure(1, 2, written=10.0),
        failure(1, 1, written=5.0),
    )
    assert not run.has_failures(3)
    for one in (late, early):
        run.put_failure(3, one)
    run.put_failure(2, before)
    run.put_failure(3, replace(late, error={"code": "other", "message": "second"}))
    assert run.has_failures(3) and not run.has_failures(4)
    assert run.failures(3) == [replace(early, round=3), replace(late, round=3)]
    assert run.failures() == [
        replace(before, round=2),
        replace(early, round=3),
        replace(late, round=3),
    ]


# The model and the optimizer's state


def test_the_model_is_written_once(run: RunRecords) -> None:
    assert run.read_blueprint() is None and run.builder() is None
    run.put_blueprint(Blueprint({"tensors": []}, b"{}"), BUILDER)
    run.put_blueprint(Blueprint({"tensors": []}, b"other"), BUILDER | {"execution": "late"})
    assert run.read_blueprint() == Blueprint({"tensors": []}, b"{}")
    assert run.builder() == BUILDER


def test_the_optimizers_state_of_several_rounds_is_kept(run: RunRecords) -> None:
    assert run.read_optimizer_state(2) is None
    assert run.put_optimizer_state(2, WEIGHTS) is not None
    assert run.put_optimizer_state(2, WEIGHTS) is None, "written before"
    run.put_optimizer_state(10, {})
    assert sorted(run.optimizer_state_rounds()) == [2, 10]
    state = run.read_optimizer_state(2)
    assert state is not None and state["w"].tolist() == [0, 1, 2]


# Stop requests and cleaning up


def test_a_stop_may_be_requested_twice(run: RunRecords) -> None:
    assert not run.stop_requested()
    run.request_stop()
    run.request_stop()
    assert run.stop_requested()


def test_what_is_left_of_a_run_is_found_and_deleted(
    store: Store, run: RunRecords, written: RunState
) -> None:
    other = RunRecords(store, "r2")
    other.put_update(1, update_of(0))
    run.put_update(1, update_of(0))
    run.put_failure(1, failure(0))
    run.put_params("params:r:1", WEIGHTS, TrainingHistory())
    run.put_optimizer_state(1, WEIGHTS)
    run.put_blueprint(Blueprint({"tensors": []}, b"{}"), BUILDER)
    run.request_stop()
    of_rounds = {"r:1:0", "failure:r:1:0:1", "params:r:1", "moments:r:1"}
    assert set(run.round_documents()) == of_rounds
    assert set(run.leftovers()) == of_rounds | set(ids.singles("r"))
    run.delete_documents(run.leftovers(), run.round_documents())
    assert run.leftovers() == {} and run.exists()
    assert other.shards(1) == [0]
