"""What a model's configuration may be made of: names and the classes that they stand for, and what is malformed."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import learning_rig as rig
import pytest
from learning_rig import layers, sequential

from whisktrain.errors import RequestError
from whisktrain.learning import KerasLearner, allowed, backend, checks, compiled, losses
from whisktrain.learning.building import classes
from whisktrain.merge import optimizers


def layer(kind: str, module: str | None = "keras.layers", **arguments: Any) -> dict[str, Any]:
    return {"module": module, "class_name": kind, "config": {"name": "given", **arguments}}


def model(*stack: dict[str, Any]) -> dict[str, Any]:
    first = layer("InputLayer", batch_shape=[None, 6])
    return {"module": "keras", "class_name": "Sequential", "config": {"layers": [first, *stack]}}


FUNCTION = {"module": "builtins", "class_name": "function"}
REFUSED = {
    "Lambda": (layer("Lambda", function="x"), "embedded code"),
    "dotted Lambda": (layer("layers.Lambda", "keras", function="x"), "not Keras' own"),
    "another module's Lambda": (layer("Lambda", "keras.src.layers.core"), "embedded code"),
    "dotted TFSMLayer": (layer("layers.TFSMLayer", "keras", filepath="/x"), "not Keras' own"),
    "TFSMLayer": (layer("TFSMLayer", filepath="/x"), "not in the model's configuration"),
    "TorchModuleWrapper": (layer("TorchModuleWrapper", module="x"), "not in the model's"),
    "inside a wrapper": (layer("TimeDistributed", layer=layer("Lambda")), "embedded code"),
    "inside a list": (layer("StackedRNNCells", cells=[layer("MyCell", None)]), "'given'"),
    "words from a file": (
        layer("StringLookup", vocabulary="/etc/passwd"),
        "vocabulary from a file",
    ),
    "own layer": (layer("Mine", None, name="m"), r"layer 'm' \(Mine\)"),
    "registered layer": ({**layer("Dense"), "registered_name": "evil>Dense"}, "'given'"),
    "operation on functions": (layer("Map", "keras.src.ops.core"), "not Keras' own"),
    "own activation": (
        layer("Dense", activation={**FUNCTION, "config": "mine"}),
        r"activation 'mine' of the layer 'given' \(Dense\)",
    ),
    "own activation by name": (layer("Dense", activation="mine"), "activation 'mine'"),
    "another module's activation": (
        layer("Dense", activation={"module": "os", "class_name": "function", "config": "relu"}),
        "activation 'relu'",
    ),
    "registered activation": (
        layer("Dense", activation={**FUNCTION, "config": "relu", "registered_name": "evil>relu"}),
        "activation 'relu'",
    ),
    "activation elsewhere": (
        layer("LSTM", recurrent_activation={**FUNCTION, "config": "saving.load_model"}),
        "recurrent activation 'saving.load_model' of the layer 'given'",
    ),
    "lambda": (layer("Dense", activation={"value": ["4wEA", None]}), "activation of the layer"),
    "own initializer": (
        layer("Dense", kernel_initializer={"module": None, "class_name": "Mine", "config": {}}),
        r"kernel initializer 'Mine' of the layer 'given' \(Dense\)",
    ),
    "own regularizer by name": (layer("Dense", bias_regularizer="mine"), "bias regularizer 'mine'"),
    "a type of TensorFlow": (layer("Dense", units={"class_name": "__typespec__"}), "__typespec__"),
    "text": (layer("InputLayer", dtype="string"), "takes text"),
    "a layer's text for arguments": (
        {"class_name": "InputLayer", "config": "text"},
        'class_name "InputLayer" and config "text"',
    ),
    "a list for arguments": ({"class_name": "Dense", "config": []}, "expected a name"),
    "no arguments": ({"class_name": "Dense"}, "config null"),
    "a list for a name": ({"class_name": ["Dense"], "config": {}}, "expected a name"),
    "no name": ({"class_name": None, "config": {}}, "class_name null"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_and_how_it_is_named(name: str) -> None:
    given, words = REFUSED[name]
    with pytest.raises(RequestError, match=words):
        checks.check_config(model(given))


def test_models_are_sequential_or_functional() -> None:
    for kind in ("Dense", "Mine", "Layer"):
        with pytest.raises(RequestError, match=f"the model is a {kind}, a class of its own"):
            checks.check_config({"class_name": kind, "config": {}})


def test_what_is_no_function_is_not_taken_for_one() -> None:
    checks.check_config(
        model(
            layer("Dense", activation="relu", kernel_initializer="zeros"),
            layer("LeakyReLU"),
            layer("IntegerLookup", vocabulary=[1, 2]),
            layer("Relu6", "keras.src.ops.nn"),
            layer("StopGradient", "keras.src.ops.core"),
        )
    )


def test_every_layer_of_keras_is_on_the_list_or_left_out_on_purpose() -> None:
    public = backend.keras().layers
    names = {name for name in dir(public) if isinstance(getattr(public, name), type)}
    left_out = {"Lambda", "Layer", "InputSpec", "Wrapper", *allowed.FOREIGN}
    assert names - left_out == allowed.LAYERS & names
    assert names >= allowed.LAYERS
    functions = backend.keras().activations
    assert {name for name in dir(functions) if name[0] != "_"} >= allowed.ACTIVATIONS


def test_what_a_name_stands_for_is_checked_where_keras_runs() -> None:
    keras = backend.keras()
    own = model(layer("Dense", activation="softmax", units=4))
    classes.check_classes(own, (6,))

    class Registered(keras.layers.Layer):
        pass

    for name in ("Dense", "softmax"):
        with keras.saving.custom_object_scope({name: Registered}):
            with pytest.raises(RequestError, match="which stands for"):
                classes.check_classes(own, (6,))
            classes.check_classes(own, (6,), (Registered.__module__.partition(".")[0],))
    elsewhere = model(layer("Constant", "keras.src.backend.common.variables"))
    classes.check_classes(elsewhere, (6,))  # there is nothing of that name: Keras refuses it
    for module, kind in (("keras.src.layers", "Layer"), ("keras.src.ops.linalg", "JVP")):
        with pytest.raises(RequestError, match="not Keras' own"):
            classes.check_classes(model(layer(kind, module)), (6,))


def test_keras_own_models_pass() -> None:
    keras = backend.keras()
    ops, given = keras.ops, keras.Input((8, 6))
    x = ops.where(ops.isnan(given), 0.0, given)[:, 1:]
    x = layers().Bidirectional(layers().LSTM(3, return_sequences=True))(x)
    x = layers().MultiHeadAttention(2, 4)(x, x) + x
    x = layers().TimeDistributed(layers().Dense(2, keras.ops.tanh, kernel_regularizer="l2"))(x)
    x = layers().RNN(layers().StackedRNNCells([layers().GRUCell(4), layers().LSTMCell(4)]))(x)
    x = layers().Dense(3, layers().LeakyReLU(0.2), kernel_constraint="max_norm")(x)
    x = layers().Activation(keras.activations.gelu)(ops.concatenate([x, x], axis=1))
    made = keras.Model(given, layers().Dense(4, dtype="mixed_bfloat16")(x))
    config = json.loads(made.to_json())
    checks.check_config(config, (8, 6))
    classes.check_classes(config, (8, 6))


def test_compile_settings_inside_a_model_are_not_built(tmp_path: Path) -> None:
    keras = backend.keras()

    class OwnLoss(keras.losses.Loss):
        def call(self, y_true, y_pred):
            return y_true - y_pred

    inner = sequential((6,), layers().Dense(5))
    inner.compile("sgd", OwnLoss())
    made = sequential((6,), inner, layers().Dense(4, "softmax"))
    with backend.quiet():
        made.save(tmp_path / "given.keras")
    data = (tmp_path / "given.keras").read_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        assert b"OwnLoss" in file.read("config.json")
    built = KerasLearner().build(rig.spec_of({"file": "upload:x"}), {"file": data})
    for value, own in zip(built.params.values(), made.get_weights(), strict=True):
        assert value.tobytes() == own.tobytes()


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a JSON value at which something else could stand."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(inside):
        yield value, key
        if isinstance(inner, (dict, list)):
            yield from places(inner)


ODD = [
    None,
    "text",
    [],
    {},
    -1,
    1e400,
    True,
    [[]],
    {"class_name": "Dense"},
    "layers.Lambda",
    [None],
]


def read_all(config: dict[str, Any]) -> None:
    checks.check_config(config, (6,))
    checks.last_activation(config)
    optimizer, loss = compiled.optimizer_of(config), compiled.loss_of(config)
    compiled.metrics_of(config, "regression")
    if optimizer is not None:
        optimizers.check({"learning_rate": 0.1, **optimizer})
    if loss is not None:
        losses.check(loss, "regression", standardised=True)


def test_a_damaged_configuration_is_a_request_error() -> None:
    keras = backend.keras()
    inner = sequential((4,), layers().Dense(4))
    made = sequential((6,), layers().Dense(4, "relu"), inner)
    rate = keras.optimizers.schedules.CosineDecay(0.1, 9)
    made.compile(keras.optimizers.Adam(rate), keras.losses.Huber(), metrics=["mae"])
    whole = json.loads(json.dumps(keras.saving.serialize_keras_object(made)))
    read_all(whole)
    draw = random.Random(3)
    for _ in range(1500):
        damaged = copy.deepcopy(whole)
        for _ in range(draw.choice([1, 1, 2])):
            place, key = draw.choice(list(places(damaged)))
            if draw.random() < 0.3:
                del place[key]
            else:
                place[key] = copy.deepcopy(draw.choice(ODD))
        with contextlib.suppress(RequestError):
            read_all(damaged)
