"""Everything twice and late: duplicate activations, two aggregates, two followers, zombies that write after the end."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from numpy_learner import NumpyLearner
from rounds_rig import (
    QUICK,
    Killed,
    Platform,
    model_bytes,
    plan_of,
    put_dataset,
    train,
    wait_clean,
    wait_summary,
)

from whisktrain import tensors
from whisktrain.records import ids
from whisktrain.records.run import RunState
from whisktrain.records.run_records import RunRecords
from whisktrain.rounds import aggregate, caches, failpoints
from whisktrain.rounds.aggregate import closing, optimizer_state
from whisktrain.rounds.opening import create
from whisktrain.store.protocol import Store

SPEC = plan_of(rounds=15)


@pytest.fixture
def expected(store: Store) -> bytes:
    """The weights of an undisturbed run, version 1."""
    put_dataset(store)
    train(store, SPEC, run="undisturbed")
    return model_bytes(store)


class Doubled(Platform):
    """Starts every activation twice, with the same id or with another."""

    def __init__(self, *arguments, same: bool, **named) -> None:
        super().__init__(*arguments, **named)
        self.same = same

    def start(self, action, arguments, activation):
        super().start(action, arguments, activation)
        return super().start(action, arguments, activation if self.same else activation + "x")


@pytest.mark.parametrize("lease", [30.0, 0.0])
@pytest.mark.parametrize("same", [True, False])
def test_every_activation_twice(store: Store, expected: bytes, same: bool, lease: float) -> None:
    platform = Doubled(store, same=same)
    summary = train(store, plan_of(rounds=15, lease=lease), platform=platform, followers=2)
    assert summary["status"] == "completed"
    assert model_bytes(store, version=2) == expected


def test_create_twice_makes_one_run(store: Store, expected: bytes) -> None:
    platform = Platform(store)
    with platform.following():
        threads = [
            threading.Thread(target=create, args=(store, platform, "r", SPEC)) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        wait_summary(store, "r")
        wait_clean(store)
        for thread in threads:
            thread.join()
        again = create(store, platform, "r", SPEC)
    assert (
        again.state is None and again.summary is not None and again.summary["status"] == "completed"
    )
    assert [d.id for d in store.library.list("version:m:", bodies=False)] == [
        "version:m:1",
        "version:m:2",
    ]
    assert model_bytes(store, version=2) == expected


def test_a_late_create_of_an_ended_run_is_removed(store: Store, expected: bytes) -> None:
    late = RunState("undisturbed", SPEC, 1, created=time.time(), opened=time.time())
    platform = Platform(store)
    with platform.following():
        # A CREATE that read no summary before the run ended, and puts the run only now; its builder builds.
        store.rounds.put(ids.run("undisturbed"), late.to_body())
        platform.invoke("worker", {"run": "undisturbed", "slot": 0})
        time.sleep(0.3)
        wait_clean(store)
    assert not platform.errors()
    assert model_bytes(store) == expected
    assert store.library.get(ids.version("m", 2)) is None


def test_zombies_that_write_after_the_end_leave_nothing(store: Store, expected: bytes) -> None:
    platform = Platform(store)
    with platform.following():
        for round_ in (1, 7, 15, 16):
            store.rounds.put(
                ids.update("undisturbed", round_, 1), {"schema": 1}, attachment=b"late"
            )
            store.rounds.put(
                ids.optimizer_state("undisturbed", round_), {"schema": 1}, attachment=b"late"
            )
            store.rounds.put(ids.params("undisturbed", round_), {"schema": 1}, attachment=b"late")
        store.rounds.put(ids.blueprint("undisturbed"), {"schema": 1})
        store.rounds.put(ids.stop("undisturbed"), {"schema": 1})
        wait_clean(store)
    assert not platform.errors()
    assert model_bytes(store) == expected


def test_zombies_of_earlier_rounds_are_not_merged(store: Store, expected: bytes) -> None:
    platform = Platform(store, NumpyLearner(lambda work: time.sleep(0.01)))
    with platform.following():
        create(store, platform, "r", SPEC)
        wait_round(store, "r", 5)
        for shard in (0, 1):
            store.rounds.put(ids.update("r", 1, shard), {"schema": 1}, attachment=b"late")
        store.rounds.put(ids.params("r", 1), {"schema": 1}, attachment=b"late")
        store.rounds.put(ids.optimizer_state("r", 1), {"schema": 1}, attachment=b"late")
        wait_summary(store, "r")
        wait_clean(store)
    assert not platform.errors()
    assert model_bytes(store, version=2) == expected


def wait_round(store: Store, run: str, round_: int) -> RunState:
    while (state := RunRecords(store, run).read()) is None or state.round < round_:
        time.sleep(0.001)
    return state


def test_a_lost_optimizer_state_is_rebuilt(
    store: Store, expected: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No aggregate keeps anything in memory, and each is killed before it stores the optimizer's state."""
    for module in (closing, optimizer_state):
        monkeypatch.setattr(module, "take_last_round", lambda records, round_: None)
    replayed: list[int] = []
    original = optimizer_state.replay

    def watched(records, state, params_id, values, shards):
        replayed.append(ids.round_of(params_id))
        return original(records, state, params_id, values, shards)

    monkeypatch.setattr(optimizer_state, "replay", watched)
    kills = [0]

    def kill(step: str) -> None:
        if step == "A8" and kills[0] < 12 and kills[0] % 4 != 3:
            kills[0] += 1
            raise Killed(step)
        kills[0] += step == "A8"

    with failpoints.observed(kill):
        train(store, plan_of(rounds=15, lease=0.0))
    assert len(replayed) > 5
    assert model_bytes(store, version=2) == expected


def test_an_aggregate_that_comes_late_leaves_the_run_alone(store: Store, expected: bytes) -> None:
    platform = Platform(store, NumpyLearner(lambda work: time.sleep(0.02)))
    with platform.following():
        create(store, platform, "r", SPEC)
        wait_round(store, "r", 3)
        began = time.monotonic()
        result = aggregate.serve(
            "r",
            store=store,
            invoker=platform,
            execution="late",
            deadline=time.time() + 30,
            timeouts=QUICK,
        )
        assert time.monotonic() - began < 2, (
            "it did not leave the run to the aggregate that serves it"
        )
        wait_summary(store, "r")
        wait_clean(store)
    assert result["rounds"] <= 1
    assert model_bytes(store, version=2) == expected


@pytest.mark.parametrize("after", ["before", "", "else"])
def test_a_successor_serves_before_the_lease_it_takes_over_has_ended(
    store: Store, expected: bytes, after: str
) -> None:
    """An aggregate hands over early where its next work may not fit; clocks of two machines differ, too."""
    platform = Platform(store)
    now = time.time()
    state = RunState(
        "r", SPEC, 2, created=now, opened=now, nonce="before", aggregate_lease=now + 60
    )
    store.rounds.put(ids.run("r"), state.to_body())
    common = {
        "store": store,
        "invoker": platform,
        "execution": "e",
        "deadline": now + 30,
        "timeouts": QUICK,
    }
    results = []
    thread = threading.Thread(
        target=lambda: results.append(aggregate.serve("r", after=after, **common))
    )
    thread.start()
    time.sleep(0.3)
    assert thread.is_alive() == (after == "before")
    platform.invoke("worker", {"run": "r", "slot": 0})
    if after != "before":
        while store.rounds.get(ids.params("r", 1)) is None:
            time.sleep(0.01)
        aggregate.serve("r", after=after, **common)
    thread.join()
    wait_summary(store, "r")
    wait_clean(store)
    platform.join()
    assert results[0]["rounds"] == (SPEC.rounds + 1 if after == "before" else 0)
    assert model_bytes(store, version=2) == expected


def test_a_swept_run_keeps_what_it_needs(store: Store) -> None:
    """SWEEP against a run under way, over and over."""
    put_dataset(store)
    stop = threading.Event()

    def sweeping() -> None:
        while not stop.is_set():
            aggregate.serve(
                "r",
                store=store,
                invoker=Platform(store),
                execution="sweeper",
                deadline=time.time() + 0.2,
                timeouts=QUICK,
            )

    platform = Platform(store)
    thread = threading.Thread(target=sweeping)
    with platform.following():
        create(store, platform, "r", SPEC)
        thread.start()
        summary = wait_summary(store, "r")
        stop.set()
        thread.join()
        wait_clean(store)
    assert summary["status"] == "completed" and RunRecords(store, "r").leftovers() == {}
    assert np.isfinite(tensors.decode(model_bytes(store))["w"]).all()


@pytest.mark.parametrize("nth", [4, 9])
def test_an_optimizer_state_stored_rounds_ago_is_brought_up_to_date(
    store: Store, expected: bytes, nth: int
) -> None:
    """A leased aggregate stores the optimizer's state now and then; its successor merges the rounds since then again."""
    timeouts = replace(QUICK, store=60.0)
    platform = Platform(store, timeouts=timeouts)
    left = [nth]

    def kill(step: str) -> None:
        if step == "A6":
            left[0] -= 1
            if left[0] == 0:
                kept.clear()
                raise Killed(step)

    kept = caches._last_rounds
    with failpoints.observed(kill):
        train(store, SPEC, platform=platform)
    assert left[0] < 0
    assert model_bytes(store, version=2) == expected
