"""The memory of the actions follows the model's size: known before the run, or once the model is built."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from numpy_learner import NumpyLearner
from rounds_rig import (
    Limits,
    Platform,
    plan_of,
    put_dataset,
    wait_clean,
    wait_summary,
)

from whisktrain.errors import ConfigurationError
from whisktrain.records.archive import RunArchive
from whisktrain.records.run import PlatformFacts
from whisktrain.records.run_records import RunRecords
from whisktrain.rounds.fitting import slots_within
from whisktrain.rounds.opening import create
from whisktrain.rules import memory
from whisktrain.stages.sizing import fitted
from whisktrain.store.protocol import Store

FACTS: PlatformFacts = {
    "worker_mb": 512,
    "aggregate_mb": 256,
    "predict_mb": 512,
    "train_mb": 256,
    "largest_mb": 4096,
    "container_mb": 3072,
    "elastic": True,
}


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every model that is built counts as one of 95 MB."""
    size = memory.ModelSize(95 * 2**20, 95 * 2**20, 24_903_680)
    monkeypatch.setattr(memory, "size_of", lambda layout: size)


def finished(store: Store, platform: Platform, facts: PlatformFacts) -> dict:
    put_dataset(store)
    with platform.following():
        create(store, platform, "r", plan_of(), platform=facts)
        summary = wait_summary(store, "r")
        wait_clean(store)
    return summary


def test_the_host_gives_more_memory_once_the_model_is_built(store: Store, large: None) -> None:
    """The builder leaves its small container, the aggregate hands over, and as many slots serve as there is room for."""
    platform = Platform(store)
    summary = finished(store, platform, FACTS)
    assert summary["status"] == "completed", summary
    assert platform.memory.keys() == {"worker", "aggregate", "predict"}
    assert platform.memory["worker"] >= 1260
    assert summary["slots"] == 1 and summary["workers"] == 2
    left = [result["left"] for _, result in platform.results if isinstance(result, dict)]
    assert "the model is built; a container with more memory serves its rounds" in left
    handed_over = [a for name, a in platform.invoked if name == "aggregate" and a.get("after")]
    assert handed_over


def test_a_platform_ends_the_run_with_the_numbers_to_set(store: Store, large: None) -> None:
    platform = Platform(store)
    began = time.monotonic()
    summary = finished(store, platform, {**FACTS, "elastic": False})
    assert summary["status"] == "failed" and time.monotonic() - began < 20
    assert summary["error"]["code"] == "too_little_memory"
    assert summary["reason"].startswith("The model has 24,903,680 parameters (95 MB)")
    assert "WHISKTRAIN_WORKER_MEMORY=" in summary["error"]["hint"]
    assert not platform.memory
    assert not summary["resumable"]


def test_a_model_that_fits_changes_nothing(store: Store) -> None:
    platform = Platform(store)
    summary = finished(store, platform, FACTS)
    assert summary["status"] == "completed", summary
    assert summary["slots"] == 2
    assert not platform.memory


def test_slots_are_as_many_as_there_is_memory_for() -> None:
    assert slots_within(8, FACTS) == 5
    assert slots_within(8, {**FACTS, "worker_mb": 4096}) == 1
    assert slots_within(2, FACTS) == 2
    assert slots_within(8, {"worker_mb": 512}) == 8


def test_a_known_size_is_planned_for_before_the_run(store: Store) -> None:
    put_dataset(store)
    platform, limits = Platform(store), replace(Limits(), one_machine=True, memory_mb=65536)
    wide = plan_of(model={"preset": "mlp"}, x_shape=(200_000,))
    spec, facts = fitted(store, platform, wide, limits)
    assert facts["worker_mb"] == platform.memory["worker"] > limits.actions.worker
    assert facts["rows_bytes"] > 0 and spec.slots == wide.slots
    store.library.put("upload:u", {"size": 60 * 2**20}, attachment=b"x")
    given = plan_of(model={"file": "upload:u"})
    _, facts = fitted(store, platform, given, limits)
    assert facts["worker_mb"] > 640
    with pytest.raises(ConfigurationError, match="worker has 640 MB"):
        fitted(store, platform, wide, replace(limits, one_machine=False))
    _, facts = fitted(store, platform, given, replace(limits, one_machine=False))
    assert facts["worker_mb"] == 640  # the file may hold an optimizer: only building it tells
    for unknown in ({"config": {}}, {"file": "upload:gone"}, {"file": "x", "factory": "f"}):
        assert fitted(store, platform, plan_of(model=unknown), limits)[1]["worker_mb"] == 640


def test_a_model_to_start_from_and_a_checkpoint_know_their_size(store: Store) -> None:
    put_dataset(store)
    platform, limits = Platform(store, NumpyLearner()), replace(Limits(), one_machine=True)
    with platform.following():
        create(store, platform, "r", plan_of(rounds=300))
        while (state := RunRecords(store, "r").read()) is None or state.round < 2:
            time.sleep(0.01)
        RunRecords(store, "r").request_stop()
        assert wait_summary(store, "r")["status"] == "stopped"
        wait_clean(store)
    found = fitted(store, platform, plan_of(model={"init": "m:1"}), limits)
    assert found[1]["worker_mb"] == limits.actions.worker and not platform.memory
    gone = fitted(store, platform, plan_of(model={"init": "gone:1"}), limits)
    assert gone[1] == found[1]
    checkpoint = RunArchive(store, "r").read_checkpoint(attachment=False)
    assert not checkpoint.params and checkpoint.blueprint.layout["tensors"]
    wide = {"tensors": [{"name": "w", "role": "trainable", "shape": [5000, 5000]}]}
    _, facts = fitted(store, platform, checkpoint.spec, limits, wide)
    assert facts["worker_mb"] > limits.actions.worker
