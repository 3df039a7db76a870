"""The memory that a run's actions need, and who may raise it."""

from __future__ import annotations

import importlib

import pytest
from plans import plan_of

from whisktrain.errors import ConfigurationError
from whisktrain.records.run import PlatformFacts
from whisktrain.rules import memory

MB = 2**20
FACTS: PlatformFacts = {
    "worker_mb": 512,
    "aggregate_mb": 256,
    "predict_mb": 512,
    "train_mb": 256,
    "largest_mb": 4096,
    "container_mb": 6144,
    "elastic": True,
}


def model(megabytes: int) -> memory.ModelSize:
    return memory.ModelSize(megabytes * MB, megabytes * MB, megabytes * MB // 4)


def need(megabytes: int, facts: PlatformFacts = FACTS, **changes) -> memory.Need:
    return memory.need_of(plan_of(**changes), model(megabytes), facts)


@pytest.mark.parametrize("registered", [False, True], ids=["numpy alone", "with Keras' types"])
def test_the_size_of_a_layout_counts_every_tensor(registered: bool) -> None:
    if registered:
        importlib.import_module("ml_dtypes")
    layout = {
        "tensors": [
            {"name": "w", "role": "trainable", "shape": [1000, 10], "dtype": "float32"},
            {"name": "b", "role": "trainable", "shape": [], "dtype": "bfloat16"},
            {"name": "m", "role": "mean", "shape": [10], "dtype": "float64"},
        ],
        "activations": 44,
    }
    assert memory.size_of(layout) == memory.ModelSize(40_084, 40_004, 10_011, 44)


def test_what_was_measured_fits_and_what_was_killed_does_not() -> None:
    """4.2 M parameters took 386 and 158 MB; 25 M took 1260 and 696 MB."""
    small, large = need(16), need(95)
    assert 386 <= small.worker <= 512 and 158 <= small.aggregate <= 256
    assert memory.given_memory(small, model(16), FACTS) == FACTS
    given = memory.given_memory(large, model(95), FACTS)
    assert 1260 <= given["worker_mb"] <= 1800 and 817 <= given["aggregate_mb"] <= 1300
    assert given["predict_mb"] > FACTS["predict_mb"] and given["train_mb"] == FACTS["train_mb"]


def test_more_of_anything_needs_more() -> None:
    base = need(50)
    assert need(50, rows=(30, 20, 10, 5)).aggregate > base.aggregate
    alone = need(50, rows=(50,))
    assert need(50, rows=(50,), patience=2).aggregate > alone.aggregate
    assert need(50, {**FACTS, "elastic": False}).aggregate > base.aggregate
    assert need(50, {**FACTS, "rows_bytes": 100 * MB}).worker >= base.worker + 200
    plain = {"name": "sgd", "learning_rate": 0.1}
    assert need(50, optimizer=plain).aggregate < base.aggregate
    assert need(50, sync="local").worker > base.worker
    assert need(50, sync="local").aggregate < base.aggregate
    outer = {"name": "nesterov", "learning_rate": 0.7, "momentum": 0.9}
    assert need(50, sync="local", outer=outer).aggregate > need(50, sync="local").aggregate
    wide = memory.ModelSize(MB, MB, MB // 4, activations=MB)
    least = memory.need_of(plan_of(), model(1), FACTS).worker
    assert memory.need_of(plan_of(batch=16), wide, FACTS).worker == least + 2 * 8
    assert memory.need_of(plan_of(batch=0), wide, FACTS).worker == least + 2 * 30
    assert memory.need_of(plan_of(batch=16, sync="local"), wide, FACTS).worker >= least + 2 * 16


def test_a_platform_is_refused_with_the_numbers_to_set() -> None:
    facts: PlatformFacts = {**FACTS, "elastic": False, "largest_mb": 512}
    with pytest.raises(ConfigurationError) as caught:
        memory.given_memory(need(95, facts), model(95), facts)
    error = caught.value
    assert error.code == "too_little_memory" and not error.retryable
    assert "24,903,680 parameters (95 MB): worker has 512 MB and needs 1" in error.message
    assert "WHISKTRAIN_WORKER_MEMORY=1" in error.hint and "whisktrain deploy" in error.hint
    assert "WHISKTRAIN_AGGREGATE_MEMORY=" in error.hint
    assert "512 MB here: first have that raised, -Dwhisk.memory.max=1" in error.hint
    enough: PlatformFacts = {**facts, "worker_mb": 2048, "aggregate_mb": 2048, "predict_mb": 2048}
    assert memory.given_memory(need(95, facts), model(95), enough) == enough


@pytest.mark.parametrize("changes", [{"largest_mb": 1024}, {"container_mb": 2048}])
def test_a_machine_that_is_too_small_says_so(changes: PlatformFacts) -> None:
    facts: PlatformFacts = {**FACTS, **changes}
    with pytest.raises(ConfigurationError, match="all together") as caught:
        memory.given_memory(need(95), model(95), facts)
    assert "smaller model" in caught.value.hint


def test_nothing_is_asked_for_where_nothing_is_known() -> None:
    assert memory.given_memory(need(95), model(95), {}) == {}
    assert memory.memory_of({}) == {}


def test_a_killed_action_gets_twice_the_memory_within_what_there_is() -> None:
    assert memory.doubled(FACTS, "worker")["worker_mb"] == 1024
    assert memory.doubled(FACTS, "aggregate") == {**FACTS, "aggregate_mb": 512}
    assert memory.doubled({**FACTS, "largest_mb": 700}, "worker")["worker_mb"] == 700
    assert memory.doubled({**FACTS, "container_mb": 1200}, "worker")["worker_mb"] == 1200 - 512
    assert memory.doubled({**FACTS, "largest_mb": 400}, "worker")["worker_mb"] == 512
    for fixed in ({**FACTS, "elastic": False}, {}):
        assert memory.doubled(fixed, "worker") == fixed
