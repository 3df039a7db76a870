"""Single worker activations: why they leave, and what they leave behind."""

from __future__ import annotations

import time

import pytest
from interrupted import InterruptedStore, refused
from numpy_learner import NumpyLearner
from plans import update_of
from single import Invocations, at_step, change, create_run, open_run, serve_worker, state_of

from whisktrain.errors import PlatformUnreachable, StoreUnreachable
from whisktrain.records import ids
from whisktrain.records.updates import Author
from whisktrain.store.protocol import Store


def test_it_leaves_a_run_that_has_ended(store: Store) -> None:
    assert serve_worker(store)["left"] == "the run has ended"
    records = create_run(store)
    change(records, status="stopped")
    assert serve_worker(store)["left"] == "the run has ended"


def test_it_leaves_a_run_with_fewer_slots(store: Store) -> None:
    create_run(store)
    assert serve_worker(store, slot=2)["left"] == "the run has fewer slots"


def test_only_the_first_slot_builds(store: Store) -> None:
    records = create_run(store)
    assert serve_worker(store, slot=1)["left"] == "the model is not built yet"
    assert records.read_blueprint() is None
    assert serve_worker(store, slot=0)["left"] == "the model is built"
    assert records.built(state_of(records))


def test_a_builder_with_a_lease_waits_for_the_first_round(store: Store) -> None:
    create_run(store, lease=0.2)
    invoker = Invocations()
    result = serve_worker(store, invoker=invoker)
    assert result["left"] == "the lease is over; the successor is invoked"
    assert invoker.made == [("worker", {"run": "r", "slot": 0, "successor": True})]
    assert result["successor"] == "id 1"
    # The successor does not build again, and one that has done nothing is not followed by another.
    with at_step("W3.blueprint", lambda: pytest.fail("it is built already")):
        result = serve_worker(store, invoker=invoker, execution="f", successor=True)
    assert result["left"] == "the lease is over and nothing has moved"
    assert result["successor"] == "" and len(invoker.made) == 1


def test_a_lease_counts_from_the_first_piece_of_work(store: Store) -> None:
    """Importing and building take longer than a short lease."""
    records = open_run(store, lease=0.5)

    class Slow(NumpyLearner):
        def open(self, spec, blueprint):
            time.sleep(0.7)
            return super().open(spec, blueprint)

    began = time.time()
    serve_worker(store, slot=1, learner=Slow())
    update = records.read_update(1, 1)
    assert update is not None and update.lease_end >= began + 1.2


def test_without_a_lease_it_serves_one_round(store: Store) -> None:
    records = open_run(store)
    result = serve_worker(store, slot=1)
    assert (result["left"], result["rounds"], result["updates"]) == ("the round is served", 1, 1)
    assert records.shards(1) == [1]


def test_it_stays_where_others_have_made_its_part_good(store: Store) -> None:
    """It is the activation that was invoked for the slot; without it the slot would have none."""
    records = open_run(store, lease=0.3)
    for shard in (0, 1):
        records.put_update(1, update_of(shard, slot=1, execution="other"))
    assert serve_worker(store, slot=0)["left"] == "the lease is over and nothing has moved"
    assert serve_worker(store, slot=1)["left"] == "there is nothing left to do"


def test_it_leaves_where_its_shards_are_computed_already(store: Store) -> None:
    open_run(store)
    serve_worker(store, slot=1, execution="a")
    assert serve_worker(store, slot=1, execution="b")["left"] == "there is nothing left to do"
    assert (
        serve_worker(store, slot=1, execution="b", successor=True)["left"] == "the round is served"
    )
    assert serve_worker(store, slot=1, execution="a")["left"] == "the round is served", (
        "silently run twice"
    )


@pytest.mark.parametrize(
    ("slot", "execution", "left"),
    [
        (0, "other", "another activation serves this slot"),
        (0, "e", "the round is served"),  # its own earlier put, or the same activation run twice
        (1, "other", "the round is served"),  # another slot's backup
    ],
)
def test_of_two_writers_of_an_update_the_first_counts(
    store: Store, slot: int, execution: str, left: str
) -> None:
    records = open_run(store)
    learner = NumpyLearner(lambda work: records.put_update(1, update_of(0, slot, execution)))
    result = serve_worker(store, slot=0, learner=learner)
    assert (result["left"], result["updates"]) == (left, 0)
    assert records.author(1, 0) == Author(slot, execution)


def test_a_store_that_does_not_answer_is_asked_until_there_is_no_time_left(store: Store) -> None:
    open_run(store)
    interrupted = InterruptedStore(store)
    interrupted.rounds.interrupt["get"] = [refused(StoreUnreachable("down")) for _ in range(3)]
    assert serve_worker(interrupted)["left"] == "the round is served"
    interrupted.rounds.interrupt["get"] = [refused(StoreUnreachable("down"))]
    with pytest.raises(StoreUnreachable):
        serve_worker(interrupted, slot=1, seconds=0.1)


@pytest.mark.parametrize("database", ["library", "rounds"])
def test_a_store_that_does_not_answer_is_no_failure_of_the_shard(
    store: Store, database: str
) -> None:
    records = open_run(store)
    interrupted = InterruptedStore(store)
    getattr(interrupted, database).interrupt["put" if database == "rounds" else "get"] = [
        refused(StoreUnreachable("down"))
    ]
    assert serve_worker(interrupted)["left"] == "the round is served"
    assert records.failures() == [] and records.shards(1) == [0]


def test_a_builder_whose_store_does_not_answer_builds_again(store: Store) -> None:
    records = create_run(store)
    interrupted = InterruptedStore(store)
    interrupted.rounds.interrupt["put"] = [refused(StoreUnreachable("down"))]
    assert serve_worker(interrupted)["left"] == "the model is built"
    assert records.failures() == []


def test_without_parameters_it_waits_for_the_run_to_move_on(store: Store) -> None:
    records = open_run(store)
    store.rounds.delete(state_of(records).params)
    result = serve_worker(store, seconds=0.5)
    assert (result["left"], result["updates"]) == ("there is no time left", 0)


def test_damaged_parameters_are_reported(store: Store) -> None:
    records = open_run(store)
    document = records.read_params_document("params:r:1")
    assert document is not None
    records.replace_params(document, b"not tensors")
    assert serve_worker(store)["left"].startswith("shard 0 failed")
    (failure,) = records.failures(1)
    assert failure.shard == 0 and failure.error["code"] == "damaged"


def test_without_the_model_the_run_has_ended(store: Store) -> None:
    open_run(store)
    store.rounds.delete(ids.blueprint("r"))
    from whisktrain.rounds import caches

    caches._blueprints.clear()
    assert serve_worker(store)["left"] == "the run has ended"


def test_a_failure_is_counted_after_those_before(store: Store) -> None:
    records = open_run(store)

    def fail(work: object) -> None:
        raise ValueError("no luck")

    for _ in range(2):
        assert (
            serve_worker(store, learner=NumpyLearner(fail))["left"]
            == "shard 0 failed: ValueError: no luck"
        )
    assert [failure.attempt for failure in records.failures(1)] == [1, 2]


def test_an_idle_lease_computes_the_shards_of_others_and_hands_over(store: Store) -> None:
    records = open_run(store, lease=1.2)
    invoker = Invocations()
    result = serve_worker(store, slot=1, invoker=invoker)
    assert result["left"] == "the lease is over; the successor is invoked"
    assert records.authors(1) == {0: Author(1, "e"), 1: Author(1, "e")}
    assert invoker.made == [("worker", {"run": "r", "slot": 1, "successor": True})]


def test_a_successor_that_cannot_be_invoked_is_said(store: Store) -> None:
    open_run(store, lease=0.6)
    left = serve_worker(store, invoker=Invocations(PlatformUnreachable("no answer")))["left"]
    assert left == "the lease is over; the successor could not be invoked: no answer"


def test_a_successor_that_finds_nothing_to_do_starts_no_other(store: Store) -> None:
    records = open_run(store, lease=0.4)
    for shard in (0, 1):
        records.put_update(1, update_of(shard, slot=1, execution="other"))
    invoker = Invocations()
    left = serve_worker(store, slot=0, invoker=invoker, successor=True)["left"]
    assert left == "the lease is over and nothing has moved" and invoker.made == []


def test_a_backup_that_fails_leaves(store: Store) -> None:
    records = open_run(store, lease=2.0)

    def fail_for_others(work) -> None:
        if work.shard == 0:
            raise ValueError("no luck")

    left = serve_worker(store, slot=1, learner=NumpyLearner(fail_for_others))["left"]
    assert left == "shard 0 failed: ValueError: no luck"
    assert records.shards(1) == [1]


def test_a_backup_finds_that_the_run_has_moved_on(store: Store) -> None:
    records = open_run(store, lease=2.0)
    with at_step("W5", lambda: change(records, status="stopped")):
        result = serve_worker(store, slot=1)
    assert (result["left"], result["updates"]) == ("the run has ended", 1)
    assert records.shards(1) == [1]
