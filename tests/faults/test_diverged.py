"""A run that diverges keeps sound parameters, and goes on from them to the same bytes whatever was killed on the way."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from numpy_learner import NumpyLearner
from rounds_rig import (
    Killed,
    Limits,
    Platform,
    model_bytes,
    plan_of,
    put_dataset,
    train,
    wait_clean,
    wait_summary,
)

from whisktrain.errors import Diverged
from whisktrain.records import ids
from whisktrain.records.archive import RunArchive
from whisktrain.records.run_records import RunRecords
from whisktrain.rounds import caches, failpoints
from whisktrain.rounds.opening import create
from whisktrain.rules.resuming import resumed_plan
from whisktrain.spec import Contribution, Spec, Work
from whisktrain.store.protocol import Store
from whisktrain.store.sqlite import SqliteStore

DIVERGES = 23
ROUNDS = 40


def spec_for(lease: float) -> Spec:
    return plan_of(lease=lease, rounds=ROUNDS, batch=20)


def trouble(work: Work) -> None:
    if work.round == DIVERGES and work.shard == 1:
        raise Diverged("The loss of shard 1 was not finite.")


class Killer:
    """Kill what reaches each of these steps from its round on, once, with all memory lost (A8 and A9 are in the background)."""

    def __init__(self, store: Store, steps: dict[str, int]) -> None:
        self.store, self.steps = store, dict(steps)

    def __call__(self, step: str) -> None:
        if step in self.steps:
            state = RunRecords(self.store, "r").read()
            if state is not None and state.round >= self.steps[step]:
                del self.steps[step]
                caches._last_rounds.clear()
                raise Killed(step)


def diverge(store: Store, lease: float, killer: Killer) -> dict:
    platform = Platform(store, NumpyLearner(trouble))
    with failpoints.observed(killer), platform.following():
        create(store, platform, "r", spec_for(lease))
        summary = wait_summary(store, "r")
        wait_clean(store)
    assert not platform.errors(), platform.errors()
    assert not killer.steps
    return summary


def resume(store: Store, run: str, rate: float) -> bytes:
    """The weights of a run that goes on with another learning rate."""
    checkpoint = RunArchive(store, "r").read_checkpoint()
    optimizer = {**checkpoint.spec.optimizer, "learning_rate": rate}
    spec, best = resumed_plan(checkpoint, "r", run, Limits(), optimizer)
    platform = Platform(store)
    with platform.following():
        create(store, platform, run, spec, best=best)
        summary = wait_summary(store, run)
        wait_clean(store)
    assert summary["status"] == "completed", summary
    return model_bytes(store, version=int(summary["model"].partition(":")[2]))


@pytest.fixture(scope="session")
def expected(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The weights of a run that changes its learning rate at round 21, the last kept one before it diverges."""
    store = SqliteStore(tmp_path_factory.mktemp("undisturbed"))
    put_dataset(store)
    diverge(store, 30.0, Killer(store, {}))
    data = resume(store, "again", 0.01)
    store.close()
    return data


@pytest.mark.parametrize("lease", [30.0, 0.0])
@pytest.mark.parametrize(
    "steps",
    [
        {},
        {"A6.swapped": 21},  # the state of the kept round is never stored by the one that opened it
        {"A8": 21},
        {"A8": 22},
        {"A9": 22},
        {"A8": 21, "A6.swapped": 22},
    ],
)
def test_a_run_that_diverged_goes_on_with_another_learning_rate(
    store: Store, expected: bytes, steps: dict[str, int], lease: float
) -> None:
    put_dataset(store)
    summary = diverge(store, lease, Killer(store, steps))
    assert summary["status"] == "diverged" and summary["resumable"], summary
    assert RunArchive(store, "r").resumes_at() == 21
    assert "The parameters of round 21 are kept" in summary["error"]["hint"]
    assert "whisktrain runs resume r --learning-rate 0.005" in summary["error"]["hint"]
    assert resume(store, "again", 0.01) == expected


def test_weights_that_grow_beyond_all_bounds_are_not_the_ones_that_are_kept(store: Store) -> None:
    put_dataset(store)
    spec = plan_of(optimizer={"name": "sgd", "learning_rate": 3e7}, rounds=60)
    seen: list[float] = []

    class Exploding(NumpyLearner):
        def open(self, spec, blueprint):
            inner = super().open(spec, blueprint)

            class Model:
                def contribute(self, params, work, rows, validation):
                    found = inner.contribute(params, work, rows, validation)
                    seen.append(abs(params["w"]).max())
                    grown = {k: -t * abs(params[k]).max() for k, t in found.tensors.items()}
                    return Contribution(grown, found.numbers)

            return Model()

    summary = train(store, spec, platform=Platform(store, Exploding()))
    assert summary["status"] == "diverged" and summary["resumable"]
    kept = RunArchive(store, "r").read_checkpoint()
    assert max(seen) > 1e20 and abs(kept.params["w"]).max() < 10


def test_a_merge_that_overflows_names_the_worker_with_the_largest_number(store: Store) -> None:
    put_dataset(store)
    summary = train(store, plan_of(optimizer={"name": "sgd", "learning_rate": 3e39}))
    message = summary["error"]["message"]
    assert summary["status"] == "diverged" and summary["resumable"]
    assert "after round 1" in message and "came from worker" in message
    assert RunArchive(store, "r").resumes_at() == 1


def test_a_state_that_overflows_is_found_in_the_round_of_its_cause(store: Store) -> None:
    """Adam's second moment of a finite gradient: its parameters would stay finite for one more round."""
    put_dataset(store)

    class Outlier(NumpyLearner):
        def open(self, spec, blueprint):
            inner = super().open(spec, blueprint)

            class Model:
                def contribute(self, params, work, rows, validation):
                    found = inner.contribute(params, work, rows, validation)
                    if work.round == 3 and work.shard == 1:
                        large = {k: t * np.float32(1e30) for k, t in found.tensors.items()}
                        return Contribution(large, found.numbers)
                    return found

            return Model()

    summary = train(store, plan_of(), platform=Platform(store, Outlier()))
    message = summary["error"]["message"]
    assert summary["status"] == "diverged" and summary["resumable"]
    assert "The optimizer's state was not finite after round 3" in message
    assert "came from worker 1" in message


def test_an_update_that_is_not_finite_names_its_worker(store: Store) -> None:
    """No worker of this version writes one; a merge finds it all the same."""
    put_dataset(store)

    class Careless(NumpyLearner):
        def open(self, spec, blueprint):
            inner = super().open(spec, blueprint)

            class Model:
                def contribute(self, params, work, rows, validation):
                    found = inner.contribute(params, work, rows, validation)
                    if work.round == 3 and work.shard == 1:
                        object.__setattr__(found, "tensors", _Unseen(found.tensors))
                    return found

            return Model()

    class _Unseen(dict):  # finite where the worker looks, not where the update is written
        def values(self):
            return [t * float("nan") for t in ()]

        def items(self):
            return [(name, t * float("nan") if name == "w" else t) for name, t in super().items()]

    summary = train(store, plan_of(), platform=Platform(store, Careless()))
    assert summary["status"] == "diverged"
    assert "the update of worker 1 is not finite in w" in summary["error"]["message"]


def test_a_round_without_any_row_is_an_error(store: Store) -> None:
    put_dataset(store)

    class Idle(NumpyLearner):
        def open(self, spec, blueprint):
            inner = super().open(spec, blueprint)

            class Model:
                def contribute(self, params, work, rows, validation):
                    if work.round == 2:
                        work = replace(work, steps=(work.steps[0][:0],))
                    return inner.contribute(params, work, rows, validation)

            return Model()

    began = time.monotonic()
    summary = train(store, plan_of(), platform=Platform(store, Idle()))
    assert time.monotonic() - began < 20
    assert summary["status"] == "failed" and summary["error"]["code"] == "no_rows"
    assert "None of the 2 updates of round 2 holds any training row" in summary["reason"]
    assert store.library.get(ids.model("m", 1)) is None


def test_a_run_that_fails_in_its_evaluation_can_be_resumed(store: Store) -> None:
    put_dataset(store)
    spec = plan_of(rounds=3)
    train(store, spec, run="undisturbed")

    def fail(work: Work) -> None:
        if work.phase == "evaluate":
            raise OSError("no luck")

    summary = train(store, spec, platform=Platform(store, NumpyLearner(fail)))
    assert summary["status"] == "failed" and summary["resumable"]
    assert RunArchive(store, "r").resumes_at() == 3
    assert resume(store, "again", spec.optimizer["learning_rate"]) == model_bytes(store)
