"""Models of all kinds against Keras: masks, regularisers, constraints, batch norm, dropout, class weights, local mode."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import learning_rig as rig
import numpy as np
import pytest

from whisktrain.errors import Diverged, RequestError
from whisktrain.learning import KerasLearner, backend
from whisktrain.rounds import scores
from whisktrain.rounds.merge import merge
from whisktrain.spec import Rows, Work

ROUNDS = 10


def layers():
    return backend.keras().layers


def sequential(shape: tuple[int, ...], *stack, dtype: str | None = None):
    keras = backend.keras()
    return keras.Sequential([keras.Input(shape, dtype=dtype), *stack])


def compare(model, rows: Rows, *, workers: tuple[int, ...] = (1, 3), target=(), kind=None, optimizer=None, **changes) -> None:
    """Ten rounds against ten steps."""
    keras = backend.keras()
    options = optimizer or {"name": "adam", "learning_rate": 1e-3}
    spec = rig.spec_of(rig.config_of(model), optimizer=options, **changes)
    built, opened = rig.open_of(spec, target=target)
    own = {k: v for k, v in options.items() if k != "name"}
    kind = kind or {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam}[options["name"]]
    expected = rig.keras_run(built, kind(**own), spec.loss["name"], rows, ROUNDS)
    for n in workers:
        params, _ = rig.run(spec, built, opened, rows, ROUNDS, n)
        assert rig.largest_difference(built, params, expected) < 1e-6
    assert rig.largest_difference(built, params, list(built.params.values())) > 1e-5


def dense_adam():
    import tensorflow as tf

    class DenseAdam(backend.keras().optimizers.Adam):
        def apply(self, grads, trainable_variables=None):
            return super().apply([tf.convert_to_tensor(g) for g in grads], trainable_variables)

    return DenseAdam


def test_class_weights_become_sample_weights() -> None:
    model = sequential((6,), layers().Dense(8, "relu"), layers().Dense(4, "softmax"))
    weights = (0.5, 2.0, 1.0, 3.0)
    compare_with_weights(model, weights)


def compare_with_weights(model, weights: tuple[float, ...]) -> None:
    spec = rig.spec_of(rig.config_of(model), class_weights=weights)
    built, opened = rig.open_of(spec)
    rows = rig.data((6,), 4)
    keras_own = rig.keras_model(built)
    keras_own.compile(optimizer=backend.keras().optimizers.Adam(1e-3), loss="sparse_categorical_crossentropy")
    losses = []
    for batch in rig.batches(ROUNDS):
        chosen = np.sort(batch)
        found = keras_own.train_on_batch(
            rows.x[chosen], rows.y[chosen], class_weight=dict(enumerate(weights)), return_dict=True
        )
        losses.append(float(found["loss"]))
        keras_own.reset_metrics()
    for workers in (1, 3):
        params, story = rig.run(spec, built, opened, rows, ROUNDS, workers)
        assert rig.largest_difference(built, params, [v.numpy() for v in keras_own.weights]) < 1e-6
        ours = [scores.combine(spec, [numbers["train"] for numbers in parts])["loss"] for parts in story]
        assert ours == pytest.approx(losses, abs=2e-6)


def test_regularisers_count_once() -> None:
    keras = backend.keras()
    model = sequential(
        (6,),
        layers().Dense(8, "relu", kernel_regularizer=keras.regularizers.L2(0.1), bias_regularizer=keras.regularizers.L1(0.05)),
        layers().Dense(8, "tanh", activity_regularizer=keras.regularizers.L2(0.1)),
        layers().Dense(4, "softmax", kernel_regularizer=keras.regularizers.OrthogonalRegularizer(0.01)),
    )
    rows = rig.data((6,), 4)
    compare(model, rows)
    # the reported loss holds it once too
    spec = rig.spec_of(rig.config_of(model))
    built, opened = rig.open_of(spec)
    own = rig.keras_model(built)
    own.compile(loss="sparse_categorical_crossentropy")
    expected = own.evaluate(rows.x, rows.y, batch_size=len(rows), verbose=0)
    parts = []
    for k, chosen in enumerate(rig.split(len(rows), 3)):
        mine = Rows(rows.x[chosen], rows.y[chosen])
        parts.append(opened.contribute(built.params, Work(11, k, "evaluate", 1, (), True, True), mine, mine))
    for part in ("training", "validation"):
        found = scores.combine(spec, [p.numbers[part] for p in parts])
        assert found["loss"] == pytest.approx(expected, rel=1e-6)
        assert found["rows"] == len(rows)


@pytest.mark.parametrize("name", ["MaxNorm", "NonNeg", "UnitNorm", "MinMaxNorm"])
def test_constraints_act_after_the_merge(name: str) -> None:
    keras = backend.keras()
    constraint = {
        "MaxNorm": lambda: keras.constraints.MaxNorm(0.7),
        "NonNeg": keras.constraints.NonNeg,
        "UnitNorm": keras.constraints.UnitNorm,
        "MinMaxNorm": lambda: keras.constraints.MinMaxNorm(0.3, 0.6, rate=0.5),
    }[name]()
    model = sequential((6,), layers().Dense(8, "tanh", kernel_constraint=constraint), layers().Dense(4, "softmax"))
    compare(model, rig.data((6,), 4))


def test_convolution_constraint_over_several_axes() -> None:
    keras = backend.keras()
    constraint = keras.constraints.MaxNorm(0.5, axis=[0, 1, 2])
    stack = (layers().Conv2D(3, 3, kernel_constraint=constraint), layers().Flatten(), layers().Dense(4, "softmax"))
    compare(sequential((5, 5, 1), *stack), rig.data((5, 5, 1), 4), x_shape=(5, 5, 1))


def sequences() -> tuple[Rows, tuple[int, ...]]:
    draw = np.random.default_rng(2)
    x = draw.integers(1, 9, (rig.ROWS, 5))
    for row, length in enumerate(draw.integers(1, 6, rig.ROWS)):
        x[row, length:] = 0
    return Rows(x.astype("float32"), draw.integers(0, 4, (rig.ROWS, 5))), (5,)


def test_masks_divide_by_unmasked_elements() -> None:
    rows, shape = sequences()
    model = sequential(
        shape, layers().Embedding(9, 4, mask_zero=True), layers().LSTM(6, return_sequences=True), layers().Dense(4, "softmax")
    )
    compare(model, rows, x_shape=shape, target=(5,), optimizer={"name": "sgd", "learning_rate": 1e-3, "momentum": 0.9})


def test_masks_that_end_inside_the_model() -> None:
    rows, shape = sequences()
    model = sequential(shape, layers().Embedding(9, 4, mask_zero=True), layers().GRU(5), layers().Dense(4, "softmax"))
    # of an embedding under Adam, Keras on TensorFlow squares the slices of the gradient one by one (its other back-ends do not)
    compare(model, Rows(rows.x, rows.y[:, 0]), x_shape=shape, kind=dense_adam())


def test_ignored_classes_leave_the_divisor() -> None:
    keras = backend.keras()
    model = sequential((6,), layers().Dense(4, "softmax"))
    loss = keras.losses.SparseCategoricalCrossentropy(ignore_class=2)
    given = {"name": "sparse_categorical_crossentropy", "ignore_class": 2}
    spec = rig.spec_of(rig.config_of(model), loss=given)
    built, opened = rig.open_of(spec)
    expected = rig.keras_run(built, keras.optimizers.Adam(1e-3), loss, rig.data((6,), 4), ROUNDS)
    for workers in (1, 3):
        params, _ = rig.run(spec, built, opened, rig.data((6,), 4), ROUNDS, workers)
        assert rig.largest_difference(built, params, expected) < 1e-6


@pytest.mark.parametrize("reduction", ["sum", "mean", "mean_with_sample_weight"])
def test_reductions(reduction: str) -> None:
    keras = backend.keras()
    weights = (0.5, 2.0, 1.0, 3.0)
    model = sequential((6,), layers().Dense(4, "softmax"))
    given = {"name": "sparse_categorical_crossentropy", "reduction": reduction}
    spec = rig.spec_of(rig.config_of(model), loss=given, class_weights=weights)
    built, opened = rig.open_of(spec)
    loss = keras.losses.SparseCategoricalCrossentropy(reduction=reduction)
    arguments = {"class_weight": dict(enumerate(weights))}
    expected = rig.keras_run(built, keras.optimizers.Adam(1e-3), loss, rig.data((6,), 4), ROUNDS, **arguments)
    for workers in (1, 3):
        params, _ = rig.run(spec, built, opened, rig.data((6,), 4), ROUNDS, workers)
        assert rig.largest_difference(built, params, expected) < 1e-6


HEADS = {
    "logits": (4, 4, None, {"name": "sparse_categorical_crossentropy", "from_logits": True}),
    "one_hot": (4, 4, "softmax", {"name": "categorical_crossentropy", "label_smoothing": 0.1}),
    "focal": (4, 4, "softmax", {"name": "CategoricalFocalCrossentropy"}),
    "sigmoid": (2, 1, "sigmoid", {"name": "binary_crossentropy"}),
    "binary_logit": (2, 1, None, {"name": "binary_crossentropy", "from_logits": True}),
    "hinge": (2, 1, "tanh", {"name": "hinge"}),
    "many_sigmoids": (4, 4, "sigmoid", {"name": "binary_crossentropy"}),
    "huber": (0, 1, None, {"name": "huber", "delta": 0.5}),
    "mae": (0, 1, None, {"name": "mae"}),
    "log_cosh": (0, 1, None, {"name": "log_cosh"}),
}


@pytest.mark.parametrize("head", HEADS)
def test_heads_and_losses(head: str) -> None:
    keras = backend.keras()
    classes, units, activation, given = HEADS[head]
    model = sequential((6,), layers().Dense(8, "tanh"), layers().Dense(units, activation))
    task = "classification" if classes else "regression"
    spec = rig.spec_of(rig.config_of(model), loss=given, classes=classes, task=task, metrics=())
    built, opened = rig.open_of(spec)
    rows = rig.data((6,), classes)
    resolved = built.blueprint.layout["loss"]["name"]
    options = {k: v for k, v in given.items() if k != "name"}
    kind = "".join(part.capitalize() for part in resolved.split("_"))
    loss = getattr(keras.losses, kind)(**options)
    wanted = np.eye(classes, dtype="float32")[rows.y] if classes and units > 1 and "sparse" not in resolved else rows.y
    own = rig.keras_model(built)
    own.compile(optimizer=keras.optimizers.Adam(1e-3), loss=loss, metrics=["accuracy"] if classes else ["mae"])
    for batch in rig.batches(ROUNDS):
        chosen = np.sort(batch)
        own.train_on_batch(rows.x[chosen], wanted[chosen])
    for workers in (1, 3):
        params, _ = rig.run(spec, built, opened, rows, ROUNDS, workers)
        assert rig.largest_difference(built, params, [v.numpy() for v in own.weights]) < 1e-6
    part = opened.contribute(params, Work(11, 0, "evaluate", 1, (), False, True), rows, Rows(rows.x[:0], rows.y[:0]))
    ours = scores.combine(spec, [part.numbers["training"]])
    theirs = own.evaluate(rows.x, wanted, batch_size=len(rows), verbose=0, return_dict=True)
    assert ours["loss"] == pytest.approx(theirs["loss"], abs=2e-6)
    if head not in ("hinge", "binary_logit"):  # Keras' accuracy takes raw scores for probabilities there
        name = "accuracy" if classes else "mae"
        assert ours[name] == pytest.approx(theirs[name], abs=1e-6)


def test_frozen_weights_stay_bit_identical() -> None:
    frozen = layers().Dense(8, "relu", trainable=False)
    still = layers().BatchNormalization(trainable=False)
    normal = layers().Normalization(mean=0.5, variance=2.0)
    model = sequential((6,), normal, frozen, still, layers().Dense(4, "softmax"))
    spec = rig.spec_of(rig.config_of(model))
    built, opened = rig.open_of(spec)
    params, _ = rig.run(spec, built, opened, rig.data((6,), 4), 5, 3)
    roles = {e["name"]: e["role"] for e in built.blueprint.layout["tensors"]}
    assert set(roles.values()) == {"frozen", "trainable"}
    for name, role in roles.items():
        assert (params[name].tobytes() == built.params[name].tobytes()) == (role == "frozen")


def test_batch_norm_against_an_emulation() -> None:
    """Per-shard statistics in the forward pass; pooled by rows afterwards; moved once."""
    import tensorflow as tf

    keras = backend.keras()
    model = sequential((6,), layers().Dense(8), layers().BatchNormalization(momentum=0.9), layers().Dense(4, "softmax"))
    spec = rig.spec_of(rig.config_of(model), optimizer={"name": "sgd", "learning_rate": 1e-3})
    built, opened = rig.open_of(spec)
    rows = rig.data((6,), 4)
    shards = rig.split(len(rows), 3)
    params, _ = rig.run(spec, built, opened, rows, ROUNDS, 3)

    own = rig.keras_model(built)
    norm = own.layers[1]
    mean, variance = norm.moving_mean.numpy().astype("float64"), norm.moving_variance.numpy().astype("float64")
    for batch in rig.batches(ROUNDS):
        pieces = [np.intersect1d(own_rows, batch) for own_rows in shards]
        inner = [own.layers[0](rows.x[p]).numpy().astype("float64") for p in pieces if len(p)]
        with tf.GradientTape() as tape:
            total = 0.0
            for p in pieces:
                if len(p):
                    output = own(rows.x[p], training=True)
                    loss = keras.losses.sparse_categorical_crossentropy(rows.y[p], output)
                    total = total + tf.reduce_sum(loss)
            total = total / len(batch)
        weights = [v.value for v in own.trainable_weights]
        for v, g in zip(weights, tape.gradient(total, weights), strict=True):
            v.assign_sub(1e-3 * g)
        union = np.concatenate(inner)  # the union's own mean and variance: what pooling by rows must give
        mean = mean * 0.9 + union.mean(axis=0) * 0.1
        variance = variance * 0.9 + union.var(axis=0) * 0.1
    trained = {e["name"]: v.numpy() for e, v in zip(built.blueprint.layout["tensors"], own.weights, strict=True)}
    for name, value in params.items():
        expected = mean if name.endswith("moving_mean") else variance if name.endswith("moving_variance") else trained[name]
        assert np.abs(value - expected).max() < 1e-6


def test_batch_norm_of_one_worker_equals_keras() -> None:
    norm = layers().BatchNormalization(momentum=0.8, gamma_constraint=backend.keras().constraints.MaxNorm(1.0))
    # no bias before the normalisation: its gradient is nothing but rounding, which Adam blows up
    model = sequential((5, 5, 1), layers().Conv2D(3, 3, use_bias=False), norm, layers().Flatten(), layers().Dense(4, "softmax"))
    compare(model, rig.data((5, 5, 1), 4), x_shape=(5, 5, 1), workers=(1,))


def test_pooled_variances_are_never_negative() -> None:
    model = sequential((6,), layers().BatchNormalization(momentum=0.0), layers().Dense(4, "softmax"))
    spec = rig.spec_of(rig.config_of(model))
    built, opened = rig.open_of(spec)
    x = np.full((rig.ROWS, 6), 1e4, "float32")
    params, _ = rig.run(spec, built, opened, Rows(x, rig.data((6,), 4).y), 3, 3)
    found = next(value for name, value in params.items() if name.endswith("moving_variance"))
    assert (found >= 0).all()
    assert (found < 1.0).all()


def test_dropout_against_an_emulation() -> None:
    """Every shard draws of its own, from (seed, round, shard, step)."""
    import tensorflow as tf

    from whisktrain import seeds

    keras = backend.keras()
    model = sequential((6,), layers().Dense(32, "relu"), layers().Dropout(0.5), layers().Dense(4, "softmax"))
    spec = rig.spec_of(rig.config_of(model), optimizer={"name": "sgd", "learning_rate": 1e-3}, seed=7)
    built, opened = rig.open_of(spec)
    assert all("seed" not in e["name"] for e in built.blueprint.layout["tensors"])
    rows = rig.data((6,), 4)
    shards = rig.split(len(rows), 3)
    params, _ = rig.run(spec, built, opened, rows, ROUNDS, 3)
    own = rig.keras_model(built)
    (state,) = [v for v in own.variables if "seed_generator" in v.path]
    for number, batch in enumerate(rig.batches(ROUNDS), start=1):
        with tf.GradientTape() as tape:
            total = 0.0
            for k, mine in enumerate(shards):
                p = np.intersect1d(mine, batch)
                if len(p):
                    state.assign([seeds.integer(7, "dropout", number, k, 0, 0), 0])
                    loss = keras.losses.sparse_categorical_crossentropy(rows.y[p], own(rows.x[p], training=True))
                    total = total + tf.reduce_sum(loss)
            total = total / len(batch)
        weights = [v.value for v in own.trainable_weights]
        for v, g in zip(weights, tape.gradient(total, weights), strict=True):
            v.assign_sub(1e-3 * g)
    assert rig.largest_difference(built, params, [v.numpy() for v in own.weights]) < 1e-6


@pytest.mark.parametrize(
    "options",
    [
        {"name": "sgd", "learning_rate": 1e-3, "momentum": 0.9, "nesterov": True},
        {"name": "adam", "learning_rate": 1e-3, "schedule": {"name": "CosineDecay", "decay_steps": 8}},
    ],
)
def test_local_steps_of_one_worker_equal_keras(options: dict) -> None:
    keras = backend.keras()
    model = sequential((6,), layers().Dense(8, "relu"), layers().BatchNormalization(), layers().Dense(4, "softmax"))
    spec = rig.spec_of(rig.config_of(model), optimizer=options, sync="local", local_steps=10)
    built, opened = rig.open_of(spec)
    rows = rig.data((6,), 4)
    own = {k: v for k, v in options.items() if k not in ("name", "schedule")}
    if "schedule" in options:
        own["learning_rate"] = keras.optimizers.schedules.CosineDecay(1e-3, 8)
    kind = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam}[options["name"]]
    expected = rig.keras_run(built, kind(**own), "sparse_categorical_crossentropy", rows, 10)
    steps = tuple(np.sort(batch) for batch in rig.batches(10))
    none = Rows(rows.x[:0], rows.y[:0])
    part = opened.contribute(built.params, Work(1, 0, "train", 0, steps), rows, none)
    assert part.numbers["rows"] == sum(map(len, steps))
    merged = merge(spec, built.blueprint.layout, 1, built.params, {}, [part])
    assert rig.largest_difference(built, merged.params, expected) < 1e-6
    # the next round starts afresh: the same work from the same weights gives the same bytes
    again = opened.contribute(built.params, Work(1, 0, "train", 0, steps), rows, none)
    assert all(again.tensors[n].tobytes() == part.tensors[n].tobytes() for n in part.tensors)


def test_bfloat16_keeps_float32_masters() -> None:
    model = sequential((6,), layers().Dense(8, "relu", dtype="bfloat16"), layers().Dense(4, "softmax", dtype="bfloat16"))
    built, opened = rig.open_of(rig.spec_of(rig.config_of(model)))
    assert {e["dtype"] for e in built.blueprint.layout["tensors"]} == {"float32"}
    assert "mixed_bfloat16" in built.blueprint.config.decode()
    rows = rig.data((6,), 4)
    part = opened.contribute(built.params, Work(1, 0, "train", 0, (np.arange(8),)), rows, rows)
    assert {str(t.dtype) for t in part.tensors.values()} == {"float32"}


def test_not_finite_is_a_failure() -> None:
    spec = rig.spec_of({"preset": "mlp"})
    built, opened = rig.open_of(spec)
    rows = rig.data((6,), 4)
    bad = Rows(np.where(np.arange(len(rows))[:, None] == 3, np.nan, rows.x).astype("float32"), rows.y)
    with pytest.raises(Diverged, match="not finite"):
        opened.contribute(built.params, Work(1, 0, "train", 0, (np.arange(8),)), bad, rows)
    with pytest.raises(Diverged):
        opened.contribute(
            {n: t * np.float32(1e25) for n, t in built.params.items()}, Work(1, 0, "evaluate", 0, (), True), rows, rows
        )
    opened.contribute(built.params, Work(1, 0, "train", 0, (np.arange(4, 8),)), bad, rows)
    huge = {n: t * np.float32(1e25) for n, t in built.params.items()}
    with pytest.raises(Diverged):
        opened.contribute(huge, Work(1, 0, "train", 0, (np.arange(4, 8),)), rows, rows)


def functional_two(which: str):
    keras = backend.keras()
    a, b = keras.Input((6,)), keras.Input((6,))
    if which == "inputs":
        return keras.Model([a, b], layers().Dense(4, "softmax")(layers().Add()([a, b])))
    return keras.Model(a, [layers().Dense(4, "softmax")(a), layers().Dense(4, "softmax")(a)])


def shared_norm():
    keras = backend.keras()
    x = keras.Input((6,))
    norm = layers().BatchNormalization()
    return keras.Model(x, layers().Dense(4, "softmax")(norm(layers().Dense(6)(norm(x)))))


def refused() -> dict:
    keras = backend.keras()
    dense = layers().Dense
    return {
        "lambda": (sequential((6,), layers().Lambda(lambda x: x * 2), dense(4)), "embedded code"),
        "inputs": (functional_two("inputs"), "2 inputs"),
        "outputs": (functional_two("outputs"), "2 outputs"),
        "shape": (sequential((7,), dense(4, "softmax")), r"\(7,\).*\(6,\)"),
        "units": (sequential((6,), dense(5, "softmax")), r"\(5,\) a row.*4 classes"),
        "one unit": (sequential((6,), dense(1, "sigmoid")), "ends in one unit|4 classes"),
        "sequence": (sequential((6,), layers().Reshape((6, 1)), dense(4, "softmax")), r"\(6, 4\)"),
        "float16": (sequential((6,), dense(4, "softmax", dtype="mixed_float16")), "float16"),
        "renorm": (sequential((6,), layers().BatchNormalization(renorm=True), dense(4, "softmax")), "renorm"),
        "spectral": (
            sequential((6,), layers().SpectralNormalization(dense(5)), dense(4, "softmax")),
            "changes by itself",
        ),
        "twice": (shared_norm(), "used more than once"),
        "frozen": (sequential((6,), dense(4, "softmax", trainable=False)), "nothing to train"),
        "batch": (keras.Sequential([keras.Input((6,), batch_size=8), dense(4, "softmax")]), "exactly 8 rows"),
    }


@pytest.mark.parametrize(
    "name",
    [
        "lambda",
        "inputs",
        "outputs",
        "shape",
        "units",
        "one unit",
        "sequence",
        "float16",
        "renorm",
        "spectral",
        "twice",
        "frozen",
        "batch",
    ],
)
def test_what_cannot_be_supported_is_refused(name: str) -> None:
    model, message = refused()[name]
    with pytest.raises(RequestError, match=message):
        KerasLearner().build(rig.spec_of(rig.config_of(model)), {})


def test_regularisers_with_a_summed_loss_are_refused() -> None:
    model = sequential((6,), layers().Dense(4, "softmax", kernel_regularizer="l2"))
    loss = {"name": "sparse_categorical_crossentropy", "reduction": "sum"}
    with pytest.raises(RequestError, match="reduction is 'sum'"):
        KerasLearner().build(rig.spec_of(rig.config_of(model), loss=loss), {})


def test_a_model_without_a_loss_gets_the_right_one() -> None:
    for units, activation, classes, expected in (
        (4, "softmax", 4, {"name": "sparse_categorical_crossentropy"}),
        (4, None, 4, {"name": "sparse_categorical_crossentropy", "from_logits": True}),
        (1, "sigmoid", 2, {"name": "binary_crossentropy"}),
        (1, None, 2, {"name": "binary_crossentropy", "from_logits": True}),
        (1, None, 0, {"name": "mean_squared_error"}),
    ):
        model = sequential((6,), layers().Dense(units, activation))
        task = "classification" if classes else "regression"
        spec = rig.spec_of(rig.config_of(model), loss={"name": "auto"}, classes=classes, task=task, metrics=())
        assert KerasLearner().build(spec, {}).blueprint.layout["loss"] == expected


def test_building_twice_gives_the_same_bytes_and_leaves_the_process_alone() -> None:
    import random

    spec = rig.spec_of({"preset": "cnn"}, x_shape=(8, 8))
    random.seed(3)
    before = random.getstate()
    first = KerasLearner().build(spec, {})
    assert random.getstate() == before
    sequential((6,), layers().Dense(3))
    second = KerasLearner().build(spec, {})
    assert first.blueprint == second.blueprint
    assert all(first.params[n].tobytes() == second.params[n].tobytes() for n in first.params)
    other = KerasLearner().build(replace(spec, seed=1), {})
    assert any(first.params[n].tobytes() != other.params[n].tobytes() for n in first.params)
    json.dumps(first.blueprint.layout)
    assert all(math.isfinite(float(np.abs(t).max())) for t in first.params.values())
