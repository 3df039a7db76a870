"""Models of all kinds against Keras: masks, regularisers, constraints, class weights, losses, local mode."""

from __future__ import annotations

import learning_rig as rig
import numpy as np
import pytest
from learning_rig import ROUNDS, compare, layers, sequential

from whisktrain.errors import Diverged
from whisktrain.learning import backend
from whisktrain.merge.merging import merge
from whisktrain.rules import scores
from whisktrain.spec import Rows, Work


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
    keras_own.compile(
        optimizer=backend.keras().optimizers.Adam(1e-3), loss="sparse_categorical_crossentropy"
    )
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
        ours = [
            scores.combine(spec, [numbers["train"] for numbers in parts])["loss"] for parts in story
        ]
        assert ours == pytest.approx(losses, abs=2e-6)


def test_regularisers_count_once() -> None:
    keras = backend.keras()
    model = sequential(
        (6,),
        layers().Dense(
            8,
            "relu",
            kernel_regularizer=keras.regularizers.L2(0.1),
            bias_regularizer=keras.regularizers.L1(0.05),
        ),
        layers().Dense(8, "tanh", activity_regularizer=keras.regularizers.L2(0.1)),
        layers().Dense(
            4, "softmax", kernel_regularizer=keras.regularizers.OrthogonalRegularizer(0.01)
        ),
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
        parts.append(
            opened.contribute(built.params, Work(11, k, "evaluate", 1, (), True, True), mine, mine)
        )
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
    model = sequential(
        (6,), layers().Dense(8, "tanh", kernel_constraint=constraint), layers().Dense(4, "softmax")
    )
    compare(model, rig.data((6,), 4))


def test_convolution_constraint_over_several_axes() -> None:
    keras = backend.keras()
    constraint = keras.constraints.MaxNorm(0.5, axis=[0, 1, 2])
    stack = (
        layers().Conv2D(3, 3, kernel_constraint=constraint),
        layers().Flatten(),
        layers().Dense(4, "softmax"),
    )
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
        shape,
        layers().Embedding(9, 4, mask_zero=True),
        layers().LSTM(6, return_sequences=True),
        layers().Dense(4, "softmax"),
    )
    compare(
        model,
        rows,
        x_shape=shape,
        target=(5,),
        optimizer={"name": "sgd", "learning_rate": 1e-3, "momentum": 0.9},
    )


def test_masks_that_end_inside_the_model() -> None:
    rows, shape = sequences()
    model = sequential(
        shape,
        layers().Embedding(9, 4, mask_zero=True),
        layers().GRU(5),
        layers().Dense(4, "softmax"),
    )
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
    expected = rig.keras_run(
        built, keras.optimizers.Adam(1e-3), loss, rig.data((6,), 4), ROUNDS, **arguments
    )
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
    wanted = (
        np.eye(classes, dtype="float32")[rows.y]
        if classes and units > 1 and "sparse" not in resolved
        else rows.y
    )
    own = rig.keras_model(built)
    own.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss=loss,
        metrics=["accuracy"] if classes else ["mae"],
    )
    for batch in rig.batches(ROUNDS):
        chosen = np.sort(batch)
        own.train_on_batch(rows.x[chosen], wanted[chosen])
    for workers in (1, 3):
        params, _ = rig.run(spec, built, opened, rows, ROUNDS, workers)
        assert rig.largest_difference(built, params, [v.numpy() for v in own.weights]) < 1e-6
    part = opened.contribute(
        params, Work(11, 0, "evaluate", 1, (), False, True), rows, Rows(rows.x[:0], rows.y[:0])
    )
    ours = scores.combine(spec, [part.numbers["training"]])
    theirs = own.evaluate(rows.x, wanted, batch_size=len(rows), verbose=0, return_dict=True)
    assert ours["loss"] == pytest.approx(theirs["loss"], abs=2e-6)
    if head not in (
        "hinge",
        "binary_logit",
    ):  # Keras' accuracy takes raw scores for probabilities there
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


@pytest.mark.parametrize(
    "options",
    [
        {"name": "sgd", "learning_rate": 1e-3, "momentum": 0.9, "nesterov": True},
        {
            "name": "adam",
            "learning_rate": 1e-3,
            "schedule": {"name": "CosineDecay", "decay_steps": 8},
        },
    ],
)
def test_local_steps_of_one_worker_equal_keras(options: dict) -> None:
    keras = backend.keras()
    model = sequential(
        (6,), layers().Dense(8, "relu"), layers().BatchNormalization(), layers().Dense(4, "softmax")
    )
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
    # the next round starts afresh: the same work from the same weights gives the same bytes
    again = opened.contribute(built.params, Work(1, 0, "train", 0, steps), rows, none)
    assert all(again.tensors[n].tobytes() == part.tensors[n].tobytes() for n in part.tensors)
    merged = merge(spec, built.blueprint.layout, 1, built.params, {}, [part])
    assert rig.largest_difference(built, merged.params, expected) < 1e-6


def test_bfloat16_keeps_float32_masters() -> None:
    model = sequential(
        (6,),
        layers().Dense(8, "relu", dtype="bfloat16"),
        layers().Dense(4, "softmax", dtype="bfloat16"),
    )
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
    bad = Rows(
        np.where(np.arange(len(rows))[:, None] == 3, np.nan, rows.x).astype("float32"), rows.y
    )
    with pytest.raises(Diverged, match="not finite"):
        opened.contribute(built.params, Work(1, 0, "train", 0, (np.arange(8),)), bad, rows)
    with pytest.raises(Diverged):
        opened.contribute(
            {n: t * np.float32(1e25) for n, t in built.params.items()},
            Work(1, 0, "evaluate", 0, (), True),
            rows,
            rows,
        )
    opened.contribute(built.params, Work(1, 0, "train", 0, (np.arange(4, 8),)), bad, rows)
    huge = {n: t * np.float32(1e25) for n, t in built.params.items()}
    with pytest.raises(Diverged):
        opened.contribute(huge, Work(1, 0, "train", 0, (np.arange(4, 8),)), rows, rows)
