"""What is built from a model's description, and what is refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import learning_rig as rig
import numpy as np
import pytest
from learning_rig import layers, sequential

from whisktrain.errors import RequestError
from whisktrain.learning import KerasLearner, backend
from whisktrain.learning.building import presets
from whisktrain.learning.building.layout import activation_bytes, tensor_entries


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
        "renorm": (
            sequential((6,), layers().BatchNormalization(renorm=True), dense(4, "softmax")),
            "renorm",
        ),
        "spectral": (
            sequential((6,), layers().SpectralNormalization(dense(5)), dense(4, "softmax")),
            "changes by itself",
        ),
        "twice": (shared_norm(), "used more than once"),
        "frozen": (sequential((6,), dense(4, "softmax", trainable=False)), "nothing to train"),
        "batch": (
            keras.Sequential([keras.Input((6,), batch_size=8), dense(4, "softmax")]),
            "exactly 8 rows",
        ),
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
        spec = rig.spec_of(
            rig.config_of(model), loss={"name": "auto"}, classes=classes, task=task, metrics=()
        )
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


@pytest.mark.parametrize("name", presets.PRESETS)
@pytest.mark.parametrize("shape", [(13, 9), (3, 3, 3), (28, 30, 2)])
@pytest.mark.parametrize("classes", [0, 4])
def test_the_size_of_a_preset_is_known_before_it_is_built(name, shape, classes) -> None:
    model = presets.preset(name, shape, classes)
    assert presets.parameters(name, shape, classes) == model.count_params()
    assert presets.parameters(name, shape, classes) == sum(
        math.prod(entry["shape"]) for entry in tensor_entries(model)
    )


def test_activations_are_what_all_layers_answer_for_one_row() -> None:
    inner = sequential((8,), layers().Dense(8, "relu"))
    model = sequential((6,), layers().Dense(8), inner, layers().Dense(3, "softmax"))
    counted = activation_bytes(model)
    assert 4 * (8 + 8 + 3) <= counted <= 4 * (6 + 8 + 8 + 8 + 8 + 3)
