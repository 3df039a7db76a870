"""Gradient mode equals Keras in one process, whatever the number of workers."""

from __future__ import annotations

import functools
from dataclasses import replace

import learning_rig as rig
import numpy as np
import pytest

from whisktrain.learning import backend
from whisktrain.rules import batches

SHAPES = {"linear": (6,), "mlp": (6,), "cnn": (8, 8)}
OPTIMIZERS = {
    "sgd": {"name": "sgd"},
    "momentum": {"name": "sgd", "momentum": 0.9},
    "nesterov": {"name": "sgd", "momentum": 0.9, "nesterov": True},
    "adam": {"name": "adam"},
    "amsgrad": {"name": "adam", "amsgrad": True},
    "adamw": {"name": "adamw", "weight_decay": 0.01},
    "decay": {"name": "sgd", "momentum": 0.5, "weight_decay": 0.1, "clipnorm": 0.5},
    "clipvalue": {"name": "adam", "clipvalue": 0.01},
    "global_clipnorm": {
        "name": "adam",
        "global_clipnorm": 0.1,
        "beta_1": 0.8,
        "beta_2": 0.99,
        "epsilon": 1e-5,
    },
}
SCHEDULES = {
    "exponential": {"name": "ExponentialDecay", "decay_steps": 3, "decay_rate": 0.5},
    "staircase": {
        "name": "ExponentialDecay",
        "decay_steps": 3,
        "decay_rate": 0.5,
        "staircase": True,
    },
    "cosine": {"name": "CosineDecay", "decay_steps": 7, "alpha": 0.1},
    "warmup": {"name": "CosineDecay", "decay_steps": 6, "warmup_target": 2e-3, "warmup_steps": 3},
    "piecewise": {
        "name": "PiecewiseConstantDecay",
        "boundaries": [2, 5],
        "values": [1e-3, 5e-4, 1e-4],
    },
    "polynomial": {
        "name": "PolynomialDecay",
        "decay_steps": 4,
        "end_learning_rate": 1e-5,
        "power": 2.0,
    },
    "cycle": {"name": "PolynomialDecay", "decay_steps": 4, "cycle": True},
    "inverse": {"name": "InverseTimeDecay", "decay_steps": 3, "decay_rate": 0.7},
}
ROUNDS = 10
EACH = ("sgd", "momentum", "nesterov", "adam", "amsgrad", "adamw")
CASES = [("mlp", name) for name in OPTIMIZERS] + [
    (preset, name) for preset in ("linear", "cnn") for name in EACH
]


def keras_optimizer(options: dict, rate: float = 1e-3):
    keras = backend.keras()
    given = {k: v for k, v in options.items() if k not in ("name", "schedule")}
    if schedule := options.get("schedule"):
        arguments = {k: v for k, v in schedule.items() if k != "name"}
        if schedule["name"] != "PiecewiseConstantDecay":
            arguments["initial_learning_rate"] = rate
        given["learning_rate"] = getattr(keras.optimizers.schedules, schedule["name"])(**arguments)
    else:
        given.setdefault("learning_rate", rate)
    return {
        "sgd": keras.optimizers.SGD,
        "adam": keras.optimizers.Adam,
        "adamw": keras.optimizers.AdamW,
    }[options["name"]](**given)


@functools.cache
def opened(preset: str):
    spec = rig.spec_of({"preset": preset}, x_shape=SHAPES[preset])
    return spec, *rig.open_of(spec)


@functools.cache
def oracle(preset: str, name: str):
    _, built, _ = opened(preset)
    options = OPTIMIZERS.get(name) or {"name": "adam", "schedule": SCHEDULES[name]}
    rows = rig.data(SHAPES[preset], 4)
    return rig.keras_run(
        built, keras_optimizer(options), "sparse_categorical_crossentropy", rows, ROUNDS
    )


@functools.cache
def double():
    keras = backend.keras()
    layers = keras.layers
    hidden = layers.Dense(8, activation="tanh", dtype="float64")
    model = keras.Sequential(
        [keras.Input((6,), dtype="float64"), hidden, layers.Dense(1, dtype="float64")]
    )
    spec = rig.spec_of(
        rig.config_of(model), task="regression", classes=0, loss={"name": "mse"}, metrics=()
    )
    built, opened_model = rig.open_of(spec)
    assert {e["dtype"] for e in built.blueprint.layout["tensors"]} == {"float64"}
    return spec, built, opened_model, rig.data((6,), 0, dtype="float64")


def spec_with(spec, options: dict):
    return replace(spec, optimizer={"learning_rate": 1e-3, **options})


@pytest.mark.parametrize("workers", [1, 2, 3, 5])
@pytest.mark.parametrize(("preset", "name"), CASES)
def test_ten_rounds_equal_ten_steps(preset: str, name: str, workers: int) -> None:
    spec, built, model = opened(preset)
    params, story = rig.run(
        spec_with(spec, OPTIMIZERS[name]),
        built,
        model,
        rig.data(SHAPES[preset], 4),
        ROUNDS,
        workers,
    )
    assert rig.largest_difference(built, params, oracle(preset, name)) < 1e-6
    assert rig.largest_difference(built, params, list(built.params.values())) > 1e-5
    if workers == 5:
        assert any(numbers["rows"] == 0 for parts in story for numbers in parts)


@pytest.mark.parametrize("workers", [2, 5])
def test_the_plan_of_a_run_equals_keras_on_the_same_rows(workers: int) -> None:
    """Every epoch uses every row once; a round is one step of Keras on the union of what the shards give to it."""
    spec, built, model = opened("mlp")
    rows = rig.data((6,), 4)
    shards = rig.split(len(rows), workers)
    spec = replace(
        spec, shard_rows=tuple(map(len, shards)), validation_rows=(0,) * workers, batch=rig.BATCH
    )
    own = rig.keras_model(built)
    own.compile(
        optimizer=backend.keras().optimizers.Adam(1e-3), loss="sparse_categorical_crossentropy"
    )
    params, moments = built.params, {}
    per_epoch = batches.rounds_per_epoch(spec)
    assert per_epoch == 4
    seen: list[int] = []
    for number in range(1, 2 * per_epoch + 1):
        pieces = [batches.work(spec, number, "train", k) for k in range(workers)]
        union = np.concatenate(
            [mine[piece.steps[0]] for mine, piece in zip(shards, pieces, strict=True)]
        )
        seen += union.tolist()
        own.train_on_batch(rows.x[union], rows.y[union])
        none = rig.Rows(rows.x[:0], rows.y[:0])
        parts = [
            model.contribute(params, piece, rig.Rows(rows.x[mine], rows.y[mine]), none)
            for mine, piece in zip(shards, pieces, strict=True)
        ]
        merged = rig.merge(spec, built.blueprint.layout, number, params, moments, parts)
        params, moments = merged.params, merged.optimizer_state
    assert sorted(seen) == sorted(list(range(len(rows))) * 2)
    assert rig.largest_difference(built, params, [v.numpy() for v in own.weights]) < 1e-6


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name: str) -> None:
    spec, built, model = opened("mlp")
    options = {"name": "adam", "schedule": SCHEDULES[name]}
    params, _ = rig.run(spec_with(spec, options), built, model, rig.data((6,), 4), ROUNDS, 3)
    assert rig.largest_difference(built, params, oracle("mlp", name)) < 1e-6


@pytest.mark.parametrize("name", ["sgd", "nesterov", "adam", "amsgrad", "adamw", "global_clipnorm"])
def test_large_learning_rates_in_float64(name: str) -> None:
    spec, built, model, rows = double()
    options = {"learning_rate": 0.05, **OPTIMIZERS[name]}
    keras = backend.keras()
    keras.config.set_floatx("float64")
    try:
        expected = rig.keras_run(
            built, keras_optimizer(options, 0.05), keras.losses.MeanSquaredError(), rows, ROUNDS
        )
    finally:
        keras.config.set_floatx("float32")
    for workers in (1, 3):
        params, _ = rig.run(replace(spec, optimizer=options), built, model, rows, ROUNDS, workers)
        assert rig.largest_difference(built, params, expected) < 1e-6


def test_a_round_without_rows_changes_nothing() -> None:
    spec, built, model = opened("linear")
    rows = rig.data((6,), 4)
    parts = rig.contributions(
        model, built.params, 1, np.array([], int), rows, rig.split(len(rows), 2)
    )
    merged = rig.merge(spec, built.blueprint.layout, 1, built.params, {}, parts)
    assert all(np.array_equal(merged.params[n], built.params[n]) for n in built.params)
    assert [part.tensors for part in parts] == [{}, {}]
