"""The memory of the actions follows the model's size: known before the run, or once the model is built."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
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
from single import Invocations, change, open_run, serve_aggregate, state_of

from whisktrain.errors import ConfigurationError, ErrorRecord, PlatformError
from whisktrain.records.archive import RunArchive
from whisktrain.records.failures import MERGE, Failure
from whisktrain.records.history import TrainingHistory
from whisktrain.records.params import Params
from whisktrain.records.run import PlatformFacts, Start
from whisktrain.records.run_records import RunRecords
from whisktrain.rounds import caches
from whisktrain.rounds.activations import Ended
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
    summary = finished(store, platform, {**FACTS, "container_mb": 4096})
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


KILLED: ErrorRecord = {
    "code": "out_of_memory",
    "message": "The action g/whisktrain/worker was killed, because it needs more memory than the 512 MB that it has.",
    "hint": "Set WHISKTRAIN_WORKER_MEMORY=1024 and deploy again: whisktrain deploy.",
    "retryable": False,
}


def killed(activation: str, invoker: Invocations | None = None) -> Invocations:
    """A platform whose records say that the activation was killed for its memory."""
    invoker = invoker or Invocations()
    invoker.records[activation] = Ended({}, KILLED)
    return invoker


def waiting_for(store: Store, activation: str, facts: PlatformFacts) -> RunRecords:
    """A run in round 1 whose slots were invoked once."""
    records = open_run(store, lease=30.0)
    starts = {slot: Start(time.time(), activation=activation) for slot in (0, 1)}
    change(records, starts=starts, platform=facts)
    return records


def test_a_worker_that_was_killed_for_its_memory_gets_more(store: Store) -> None:
    records = waiting_for(store, "w", FACTS)
    invoker = killed("w")
    serve_aggregate(store, invoker=invoker, execution="next", seconds=1.0)
    assert invoker.memory == {"worker": 1024}
    assert state_of(records).platform == {**FACTS, "worker_mb": 1024}
    failure = records.failures(1)[0]
    assert failure.error["code"] == "out_of_memory"
    assert failure.error["message"].startswith("There was no update of shard 0: The action")


@pytest.mark.parametrize("refusal", [None, PlatformError("no")])
def test_where_it_cannot_get_more_the_run_says_what_it_needs(
    store: Store, refusal: PlatformError | None
) -> None:
    facts: PlatformFacts = {**FACTS, "elastic": refusal is not None}
    records = waiting_for(store, "w", facts)
    for attempt in (1, 2):
        for shard in (0, 1):
            records.put_failure(1, Failure(shard, attempt, KILLED, written=time.time() - 1))
    invoker = killed("w", Invocations(refusal))
    invoker.records |= {f"id {n}": invoker.records["w"] for n in range(1, 9)}
    while (state := records.read()) is not None and not state.final:
        serve_aggregate(store, invoker=invoker, execution="next", seconds=1.0)
    summary = RunArchive(store, "r").summary()
    assert summary is not None and summary["status"] == "failed" and not invoker.memory
    assert "512 MB" in summary["reason"]
    assert "WHISKTRAIN_WORKER_MEMORY=1024" in summary["error"]["hint"]
    assert summary["error"]["code"] == "out_of_memory"


def test_an_aggregate_that_was_killed_for_its_memory_gets_more(store: Store) -> None:
    records = waiting_for(store, "w", FACTS)
    change(records, aggregate_lease=time.time() + 30)
    invoker = killed("aggregate")
    serve_aggregate(store, invoker=invoker, execution="next", seconds=0.8)
    assert invoker.memory["aggregate"] == 512
    assert not [f for f in records.failures(1) if f.shard == MERGE]


def test_where_an_aggregate_cannot_get_more_its_end_counts_once(store: Store) -> None:
    records = waiting_for(store, "w", {**FACTS, "elastic": False})
    change(records, aggregate_lease=time.time() + 30)
    invoker = killed("aggregate")
    for execution in ("second", "third"):
        serve_aggregate(store, invoker=invoker, execution=execution, seconds=0.6)
    of_merge = [f for f in records.failures(1) if f.shard == MERGE]
    assert [(f.attempt, f.execution) for f in of_merge] == [(1, "aggregate")]
    assert not invoker.memory


def test_an_aggregate_that_ended_by_itself_or_is_not_known_counts_for_nothing(store: Store) -> None:
    records = waiting_for(store, "w", FACTS)
    change(records, aggregate_lease=time.time() + 30)
    for answer in (Ended({}), None):
        invoker = Invocations()
        if answer is not None:
            invoker.records["aggregate"] = answer
        serve_aggregate(store, invoker=invoker, execution="next", seconds=0.5)
        assert not invoker.memory

    class Silent(Invocations):
        def ended(self, activation: str) -> Ended | None:
            raise PlatformError("no answer")

    serve_aggregate(store, invoker=Silent(), execution="next", seconds=0.5)
    assert not records.failures(1)


def test_large_rounds_of_others_are_not_kept_in_memory(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caches, "_KEPT_ROUND_BYTES", 8)
    mine, other = RunRecords(store, "mine"), RunRecords(store, "other")

    def remember(records: RunRecords, round_: int, size: int) -> None:
        params = Params("p", "d", {"w": np.ones(size, np.float32)}, TrainingHistory())
        caches.keep_last_round(records, caches.LastRound(round_, params, {}))

    remember(mine, 3, 9)
    remember(other, 3, 9)
    caches.drop_large_rounds(mine, 3)
    assert caches.take_last_round(other, 3) is None
    assert caches.take_last_round(mine, 3) is not None
    remember(mine, 3, 9)
    remember(other, 3, 2)
    caches.drop_large_rounds(mine, 4)
    assert caches.take_last_round(mine, 3) is None
    assert caches.take_last_round(other, 3) is not None
