"""Early stopping, failing and diverging workers, fewer slots than shards, local mode, leases that end, runs twice at once."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace

import numpy as np
import pytest
from numpy_learner import NumpyLearner, gradient
from rounds_rig import (
    QUICK,
    Limits,
    Platform,
    model_bytes,
    plan_of,
    put_dataset,
    train,
    wait_clean,
    wait_summary,
)

from whisktrain import tensors
from whisktrain.data.shards.storage import read_rows
from whisktrain.errors import Conflict, RequestError
from whisktrain.records import ids
from whisktrain.records.archive import RunArchive
from whisktrain.records.run_records import RunRecords
from whisktrain.rounds.opening import create
from whisktrain.rules import batches
from whisktrain.rules.resuming import resumed_plan
from whisktrain.spec import Contribution, Work
from whisktrain.store.protocol import Store

EIGHT = (11, 9, 8, 8, 7, 7, 5, 1)


def metrics_of(store: Store, spec, held) -> tuple[float, float]:
    """Training loss and validation loss of published weights, computed here."""
    losses = []
    for which in (0, 1):
        rows = [read_rows(store, spec.dataset, k)[which] for k in range(spec.shards)]
        x, y = np.concatenate([r.x for r in rows]), np.concatenate([r.y for r in rows])
        _, p = gradient(held, x, y)
        losses.append(float(-np.log(p[np.arange(len(y)), y]).mean()))
    return losses[0], losses[1]


@pytest.mark.parametrize(("slots", "lease"), [(3, 30.0), (3, 0.0), (8, 30.0), (1, 30.0)])
def test_eight_shards_on_fewer_slots_are_the_same_training(
    store: Store, slots: int, lease: float
) -> None:
    held = tuple(2 for _ in EIGHT)
    put_dataset(store, rows=EIGHT, held=held)
    platform = Platform(store)
    spec = plan_of(EIGHT, held, slots=slots, lease=lease, rounds=5)
    summary = train(store, spec, platform=platform)
    assert (
        summary["status"] == "completed" and summary["workers"] == 8 and summary["slots"] == slots
    )
    assert max(a["slot"] for kind, a in platform.invoked if kind == "worker") == slots - 1
    again = train(store, replace(spec, slots=8 if slots != 8 else 2), run="again")
    assert again["model"] == "m:2"
    assert model_bytes(store) == model_bytes(store, version=2)


def test_early_stopping_restores_the_best_weights_and_reports_theirs(store: Store) -> None:
    put_dataset(store)
    # A learning rate that overshoots: the validation loss gets worse before long.
    spec = plan_of(rounds=200, batch=0, patience=3, optimizer={"name": "sgd", "learning_rate": 6.0})
    summary = train(store, spec)
    history = summary["history"]
    values = [entry["val_loss"] for entry in history]
    best = int(np.argmin(values))
    assert summary["status"] == "completed" and "Stopped early" in summary["reason"]
    assert len(history) == best + 1 + 3 < 200
    assert summary["metrics"]["val_loss"] == pytest.approx(values[best], rel=1e-9)
    ours = metrics_of(store, spec, tensors.decode(model_bytes(store)))
    assert (summary["metrics"]["loss"], summary["metrics"]["val_loss"]) == pytest.approx(
        ours, rel=1e-5
    )


def test_the_best_weights_are_restored_at_the_end_too(store: Store) -> None:
    put_dataset(store)
    spec = plan_of(rounds=8, batch=0, patience=50, optimizer={"name": "sgd", "learning_rate": 6.0})
    summary = train(store, spec)
    values = [entry["val_loss"] for entry in summary["history"]]
    assert len(values) == 8 and int(np.argmin(values)) != 7, values
    assert summary["metrics"]["val_loss"] == pytest.approx(min(values), rel=1e-9)
    assert "restored" in summary["reason"]
    last = train(store, replace(spec, patience=None), run="last")
    assert last["metrics"]["val_loss"] == pytest.approx(values[-1], rel=1e-9)


def test_without_validation_rows_the_training_loss_decides(store: Store) -> None:
    put_dataset(store, held=(0, 0))
    spec = plan_of(
        held=(0, 0),
        rounds=30,
        batch=0,
        patience=2,
        optimizer={"name": "sgd", "learning_rate": 30.0},
    )
    summary = train(store, spec)
    assert "Stopped early" in summary["reason"]
    assert not [key for key in summary["metrics"] if key.startswith("val_")]


def test_a_round_without_rows_for_a_shard_gives_it_weight_zero(store: Store) -> None:
    rows = (40, 2)
    put_dataset(store, rows=rows)
    spec = plan_of(rows, batch=5, rounds=9)
    counts = [
        [len(batches.work(spec, r, "train", k).steps[0]) for k in (0, 1)] for r in range(1, 10)
    ]
    assert [sum(c) for c in counts] == [5] * 8 + [2] and sum(c[1] == 0 for c in counts) == 7
    assert train(store, spec)["status"] == "completed"


def test_a_failing_worker_is_tried_again_and_then_named_with_its_log(store: Store) -> None:
    put_dataset(store)
    seen: list[Work] = []

    def trouble(work: Work) -> None:
        if work.shard == 1 and work.round == 2:
            seen.append(work)
            raise ValueError("no space left in the cupboard")

    summary = train(store, plan_of(), platform=Platform(store, NumpyLearner(trouble)))
    assert summary["status"] == "failed" and summary["model"] is None
    assert len(seen) >= 3
    assert (
        "Worker 1 failed" in summary["error"]["message"]
        and "round 2" in summary["error"]["message"]
    )
    assert "cupboard" in summary["error"]["message"] and summary["error"]["code"] == "worker_failed"
    assert any("cupboard" in line for line in summary["workers_log"])
    assert summary["resumable"] and store.library.get("model:m:1") is None


def test_a_failure_that_passes_is_overcome(store: Store) -> None:
    put_dataset(store)
    undisturbed = train(store, plan_of(), run="u")
    left = [2]

    def trouble(work: Work) -> None:
        if work.shard == 0 and work.round == 3 and left[0]:
            left[0] -= 1
            raise OSError("hiccup")

    summary = train(store, plan_of(), platform=Platform(store, NumpyLearner(trouble)))
    assert undisturbed["status"] == summary["status"] == "completed" and not left[0]
    assert model_bytes(store) == model_bytes(store, version=2)


def test_what_cannot_succeed_is_not_tried_again(store: Store) -> None:
    put_dataset(store)
    tried: list[Work] = []

    def trouble(work: Work) -> None:
        tried.append(work)
        raise RequestError("the model has no head", hint="Give it one.")

    spec = plan_of(slots=1)
    summary = train(store, spec, platform=Platform(store, NumpyLearner(trouble)))
    assert summary["status"] == "failed" and len(tried) == 1
    assert summary["error"]["code"] == "bad_request" and summary["error"]["hint"] == "Give it one."


def test_a_run_that_diverges_says_where(store: Store) -> None:
    put_dataset(store)

    class Diverging(NumpyLearner):
        def open(self, spec, blueprint):
            inner = super().open(spec, blueprint)

            class Model:
                def contribute(self, params, work, rows, validation):
                    found = inner.contribute(params, work, rows, validation)
                    if work.round == 4 and work.shard == 1:
                        return Contribution(
                            {**found.tensors, "w": found.tensors["w"] * np.float32("nan")},
                            found.numbers,
                        )
                    return found

            return Model()

    summary = train(store, plan_of(), platform=Platform(store, Diverging()))
    assert summary["status"] == "diverged" and summary["error"]["code"] == "diverged"
    assert "shard 1" in summary["error"]["message"] and "round 4" in summary["error"]["message"]
    assert summary["rounds"] == 3 and summary["resumable"]


def test_a_merge_that_overflows_diverges(store: Store) -> None:
    put_dataset(store)
    spec = plan_of(optimizer={"name": "sgd", "learning_rate": 3e39})
    summary = train(store, spec)
    assert summary["status"] == "diverged", summary["error"]
    assert "after round 1" in summary["error"]["message"]


def test_local_mode_equals_its_emulation(store: Store) -> None:
    put_dataset(store)
    spec = plan_of(
        sync="local",
        local_steps=2,
        batch=8,
        rounds=5,
        optimizer={"name": "sgd", "learning_rate": 0.1},
    )
    assert batches.rounds_per_epoch(spec) == 2
    assert train(store, spec)["status"] == "completed"
    params = dict(NumpyLearner().build(spec, {}).params)
    shards = [read_rows(store, "d", k)[0] for k in (0, 1)]
    for r in range(1, 6):
        changes, rows = [], []
        for k, shard in enumerate(shards):
            here = {n: params[n] for n in ("w", "b")}
            steps = batches.work(spec, r, "train", k).steps
            for take in steps:
                g, _ = gradient(here, shard.x[take], shard.y[take])
                here = {n: here[n] - g[n] / len(take) * np.float32(0.1) for n in here}
            changes.append({n: here[n] - params[n] for n in here})
            rows.append(sum(map(len, steps)))
        for n in ("w", "b"):
            params[n] = params[n] + sum(
                c[n] * np.float32(k / sum(rows)) for c, k in zip(changes, rows, strict=True)
            )
    held = tensors.decode(model_bytes(store))
    for n in ("w", "b"):
        np.testing.assert_allclose(held[n], params[n], atol=1e-6)


def test_leases_end_and_successors_go_on(store: Store) -> None:
    put_dataset(store)
    undisturbed = train(store, plan_of(rounds=60), run="u")
    platform = Platform(store, NumpyLearner(lambda work: time.sleep(0.01)))
    summary = train(store, plan_of(rounds=60, lease=0.3), platform=platform)
    assert undisturbed["status"] == summary["status"] == "completed"
    assert model_bytes(store) == model_bytes(store, version=2)
    kinds = [kind for kind, _ in platform.invoked]
    assert kinds.count("aggregate") >= 2 and any(a.get("successor") for _, a in platform.invoked)
    assert summary["cost"]["invocations"] >= 6
    # One hand-over for each end of a lease; two slots and the aggregate have leases.
    assert len(platform.invoked) < 3 * (summary["seconds"] / 0.3 + 1) + 6, platform.invoked


def test_two_runs_at_once_do_not_mix(store: Store) -> None:
    put_dataset(store)
    platform = Platform(store)
    specs = {
        "a": plan_of(rounds=10),
        "b": plan_of(rounds=10, seed=4),
        "c": plan_of(rounds=10, lease=0.0),
    }
    with platform.following():
        for run, spec in specs.items():
            create(store, platform, run, spec)
        found = {run: wait_summary(store, run) for run in specs}
        wait_clean(store)
    assert not platform.errors()
    assert sorted(s["model"] for s in found.values()) == ["m:1", "m:2", "m:3"]
    made = {run: model_bytes(store, version=int(s["model"][2:])) for run, s in found.items()}
    assert made["a"] == made["c"] != made["b"]
    assert store.library.get(ids.alias("m")).body["version"] == 3


def newest(store: Store) -> int:
    found = store.library.get(ids.alias("m"))
    assert found is not None
    return int(found.body["version"])


def test_stopped_early_and_resumed_is_as_if_never_stopped(store: Store) -> None:
    """With the best weights pinned across the stop: same bytes, same history, same early stop."""
    put_dataset(store)
    spec = plan_of(
        rounds=200,
        batch=25,
        patience=4,
        optimizer={"name": "sgd", "learning_rate": 5.0, "momentum": 0.5},
    )
    whole = train(store, spec, run="whole")
    assert "Stopped early" in whole["reason"] and len(whole["history"]) > 5
    platform = Platform(store, NumpyLearner(lambda work: time.sleep(0.005)))
    with platform.following():
        create(store, platform, "s", spec)
        while (state := RunRecords(store, "s").read()) is None or state.round < 6:
            time.sleep(0.002)
        store.rounds.put(ids.stop("s"), {"schema": 1})
        stopped = wait_summary(store, "s")
        wait_clean(store)
    assert stopped["status"] == "stopped" and stopped["model"] == "m:2" and stopped["resumable"]
    assert newest(store) == 1, "the name stays with the model that was completed"
    checkpoint = RunArchive(store, "s").read_checkpoint()
    goes_on, best = resumed_plan(checkpoint, "s", "t", Limits())
    platform = Platform(store)
    with platform.following():
        create(store, platform, "t", goes_on, best=best)
        resumed = wait_summary(store, "t")
        wait_clean(store)
    assert model_bytes(store, version=3) == model_bytes(store)
    assert newest(store) == 3
    assert resumed["history"] == whole["history"] and resumed["metrics"] == whole["metrics"]
    assert resumed["reason"] == whole["reason"]


def test_the_follower_leaves_hand_overs_alone(store: Store) -> None:
    put_dataset(store)
    slowly = NumpyLearner(lambda work: time.sleep(0.01))

    class Cold(Platform):
        def _run(self, action, arguments, activation):
            time.sleep(0.2 if action == "aggregate" else 0.0)
            super()._run(action, arguments, activation)

    platform = Cold(store, slowly, timeouts=replace(QUICK, grace=0.6, hand_over=0.6, refire=1.0))
    assert train(store, plan_of(rounds=90, lease=0.4), platform=platform)["status"] == "completed"
    aggregates = [arguments for kind, arguments in platform.invoked if kind == "aggregate"]
    assert len(aggregates) >= 4
    assert len([arguments for arguments in aggregates if "after" not in arguments]) <= 2, (
        "the first, and one for a slow machine"
    )


def test_damaged_updates_are_computed_again(store: Store) -> None:
    put_dataset(store)
    undisturbed = train(store, plan_of(rounds=4), run="u")
    platform = Platform(
        store, NumpyLearner(lambda work: time.sleep(0.2) if work.shard == 1 else None)
    )
    with platform.following():
        create(store, platform, "r", plan_of(rounds=4))
        while store.rounds.get(ids.update("r", 2, 0)) is None:
            time.sleep(0.001)
        found = store.rounds.get(ids.update("r", 2, 0))
        with contextlib.suppress(Conflict):
            store.rounds.put(
                ids.update("r", 2, 0), found.body, rev=found.rev, attachment=b"cut short"
            )
        summary = wait_summary(store, "r")
        wait_clean(store)
    assert undisturbed["status"] == summary["status"] == "completed"
    assert model_bytes(store) == model_bytes(store, version=2)
