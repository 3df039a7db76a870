"""Optimizers against Keras' own, step by step."""

from __future__ import annotations

import numpy as np
import pytest

from whisktrain.errors import RequestError
from whisktrain.learning import backend
from whisktrain.merge import optimizers, schedules
from whisktrain.tensors import Tensors

STEPS = 5
OPTIMIZERS = {
    "sgd": {"name": "sgd", "learning_rate": 0.1},
    "momentum": {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9},
    "nesterov": {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9, "nesterov": True},
    "weight decay": {"name": "sgd", "learning_rate": 0.1, "weight_decay": 0.05},
    "adam": {"name": "adam", "learning_rate": 0.01},
    "amsgrad": {"name": "adam", "learning_rate": 0.01, "amsgrad": True},
    "adamw": {"name": "adamw", "learning_rate": 0.01},
    "clipnorm": {"name": "adam", "learning_rate": 0.01, "clipnorm": 0.5},
    "global_clipnorm": {"name": "sgd", "learning_rate": 0.1, "global_clipnorm": 0.5},
    "clipvalue": {"name": "sgd", "learning_rate": 0.1, "clipvalue": 0.25},
}
KERAS_CLASSES = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW"}


def weights() -> Tensors:
    draw = np.random.default_rng(1)
    return {"kernel": draw.normal(size=(4, 3)).astype(np.float32), "bias": np.zeros(3, np.float32)}


def gradients() -> list[Tensors]:
    draw = np.random.default_rng(2)
    return [
        {n: draw.normal(size=w.shape).astype(np.float32) for n, w in weights().items()}
        for _ in range(STEPS)
    ]


def keras_steps(options: dict) -> Tensors:
    keras = backend.keras()
    arguments = {k: v for k, v in options.items() if k != "name"}
    optimizer = getattr(keras.optimizers, KERAS_CLASSES[options["name"]])(**arguments)
    variables = {name: keras.Variable(value) for name, value in weights().items()}
    for step in gradients():
        optimizer.apply(
            [keras.ops.convert_to_tensor(step[n]) for n in variables], list(variables.values())
        )
    return {name: np.asarray(variable) for name, variable in variables.items()}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_step_is_that_of_keras(name: str) -> None:
    options = optimizers.check(OPTIMIZERS[name])
    params: Tensors = weights()
    state: Tensors = {}
    for number, gradient in enumerate(gradients(), start=1):
        optimizers.apply(options, number, params, state, gradient)
    for weight, expected in keras_steps(OPTIMIZERS[name]).items():
        assert params[weight].dtype == np.float32
        assert np.allclose(params[weight], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_large_tensor_is_updated_in_place_and_in_pieces(name: str, monkeypatch) -> None:
    """The same bytes as in one piece, in the memory of the tensors that were given."""
    draw = np.random.default_rng(5)
    options = optimizers.check(OPTIMIZERS[name])
    shape = (7, optimizers._PIECE // 3)
    given = [draw.normal(size=shape).astype(np.float32) for _ in range(4)]
    found = []
    for piece in (optimizers._PIECE, given[0].size):
        monkeypatch.setattr(optimizers, "_PIECE", piece)
        weight = given[0].copy()
        params: Tensors = {"w": weight}
        state: Tensors = {}
        for number, gradient in enumerate(given[1:], start=1):
            before = dict(state)
            optimizers.apply(options, number, params, state, {"w": gradient.copy()})
            assert params["w"] is weight
            assert all(state[key] is tensor for key, tensor in before.items())
        found.append([weight.tobytes(), *(state[key].tobytes() for key in sorted(state))])
    assert found[0] == found[1]
    fixed = given[0].copy()
    fixed.setflags(write=False)
    params = {"w": fixed}
    optimizers.apply(options, 1, params, {}, {"w": given[1].copy()})
    assert fixed.tobytes() == given[0].tobytes() and params["w"] is not fixed


def test_gradients_of_zero_survive_clipping_by_their_common_norm() -> None:
    options = optimizers.check(OPTIMIZERS["global_clipnorm"])
    params = weights()
    optimizers.apply(options, 1, params, {}, {n: np.zeros_like(w) for n, w in weights().items()})
    assert all(params[n].tobytes() == w.tobytes() for n, w in weights().items())


def test_optimizers_are_checked() -> None:
    assert optimizers.check({"name": "Adam", "learning_rate": 0.1, "beta_1": None})["beta_1"] == 0.9
    assert optimizers.check({"name": "adamw"})["weight_decay"] == 0.004
    assert optimizers.check({"name": "sgd"})["learning_rate"] == 0.01
    for bad, message in (
        ({"name": "rmsprop"}, "not supported"),
        ({"name": "sgd", "beta_1": 0.9}, "no argument beta_1"),
        ({"name": "adam", "clipnorm": 1, "clipvalue": 1}, "more than one"),
        ({"name": "adam", "schedule": {"name": "Steps"}}, "schedule 'Steps' is not known"),
        ({"name": "adam", "schedule": {"name": "cosine_decay"}}, "needs decay_steps"),
        ({"name": "adam", "schedule": {"name": "cosine", "decay_steps": 0}}, "more than 0"),
        (
            {"name": "adam", "schedule": {"name": "cosine", "decay_steps": 5, "alpah": 0}},
            "no argument alpah",
        ),
        (
            {
                "name": "adam",
                "schedule": {
                    "name": "PiecewiseConstantDecay",
                    "boundaries": [2, 1],
                    "values": [1, 2, 3],
                },
            },
            "ascending",
        ),
    ):
        with pytest.raises(RequestError, match=message):
            optimizers.check(bad)
    assert schedules.learning_rate({"learning_rate": 0.5}, 10) == np.float32(0.5)
