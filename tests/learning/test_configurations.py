"""Model configurations and losses that are read and checked without Keras."""

from __future__ import annotations

from typing import Any

import pytest

from whisktrain.errors import RequestError
from whisktrain.learning import checks, compiled, losses
from whisktrain.learning.building import factories


def layer(name: str, kind: str = "Dense", **arguments: Any) -> dict[str, Any]:
    return {"module": "keras.layers", "class_name": kind, "config": {"name": name, **arguments}}


def model(*layers: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    return {
        "module": "keras",
        "class_name": "Functional",
        "config": {"layers": list(layers), **arguments},
    }


SOFTMAX = {"module": "builtins", "class_name": "function", "config": "softmax"}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (model(layer("a", activation="relu"), layer("b", activation="softmax")), "softmax"),
        (model(layer("a", activation="Sigmoid"), layer("b"), output_layers=["a", 0, 0]), "sigmoid"),
        (model(layer("a", activation="relu"), layer("b"), output_layers=[["a", 0, 0]]), "relu"),
        (model(layer("a", activation="relu"), layer("b"), output_layers=[["gone", 0, 0]]), None),
        (model(layer("a", activation=SOFTMAX)), "softmax"),
        (model(layer("a", activation={"class_name": "LeakyReLU", "config": {}})), "leakyrelu"),
        (model(layer("a"), layer("b", "Softmax")), "softmax"),
        (model(layer("a"), model(layer("b", activation="tanh"))), "tanh"),
        (model(layer("a", "Flatten")), None),
        (model(), None),
        ({"class_name": "Custom", "config": "x"}, None),
    ],
)
def test_the_activation_of_the_last_layer(config: dict[str, Any], expected: str | None) -> None:
    assert checks.last_activation(config) == expected


@pytest.mark.parametrize("policy", ["float32", "float64", "bfloat16", "mixed_bfloat16", ""])
def test_policies_that_can_be_summed(policy: str) -> None:
    checks.check_policy(policy, "the model asks for")


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ("float16", "asks for float16; expected float32"),
        ("mixed_float16", "asks for mixed_float16; expected"),
        ("int8_from_float32", "int8_from_float32, which is quantised"),
        ("float8_from_bfloat16", "quantised"),
    ],
)
def test_policies_that_cannot(policy: str, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        checks.check_policy(policy, "the model asks for")


def test_input_shapes_are_compared_where_they_are_written_down() -> None:
    given = layer("in", "InputLayer", batch_shape=[None, None, 3])
    checks.check_config(model(given, layer("a")), (5, 3))
    checks.check_config(model(layer("a")), (5, 3))
    old = layer("in", "InputLayer", batch_input_shape=[None, 4])
    with pytest.raises(RequestError, match=r"rows of shape \(4,\).*\(5,\)"):
        checks.check_config(model(old), (5,))
    with pytest.raises(RequestError, match=r"rows of shape \(None, 3\)"):
        checks.check_config(model(given), (3,))
    with pytest.raises(RequestError, match="exactly 8 rows"):
        checks.check_config(model(layer("in", "InputLayer", batch_shape=[8, 3])), (3,))


def test_several_tensors_are_counted() -> None:
    for several in ([["a", 0, 0], ["b", 0, 0]], {"x": ["a", 0, 0], "y": ["b", 0, 0]}):
        with pytest.raises(RequestError, match="2 inputs"):
            checks.check_config(model(layer("a"), input_layers=several))
        with pytest.raises(RequestError, match="2 outputs"):
            checks.check_config(model(layer("a"), output_layers=several))


def test_a_configuration_that_never_ends_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(300):
        deep = {"config": deep}
    with pytest.raises(RequestError, match="nested more than"):
        checks.check_config(model(layer("a", inner=deep)))


def compiled_with(**settings: Any) -> dict[str, Any]:
    return {**model(layer("a")), "compile_config": settings}


def test_the_schedule_brings_its_learning_rate() -> None:
    rate = {
        "class_name": "CosineDecay",
        "config": {"initial_learning_rate": 0.1, "decay_steps": 9, "name": "CosineDecay"},
    }
    optimizer = {
        "class_name": "Adam",
        "config": {"learning_rate": rate, "beta_1": 0.8, "clipnorm": None, "name": "adam"},
    }
    assert compiled.optimizer_of(compiled_with(optimizer=optimizer)) == {
        "name": "adam",
        "beta_1": 0.8,
        "schedule": {"name": "CosineDecay", "initial_learning_rate": 0.1, "decay_steps": 9},
        "learning_rate": 0.1,
    }
    pieces = {
        "class_name": "PiecewiseConstantDecay",
        "config": {"boundaries": [1], "values": [1.0, 0.5]},
    }
    found = compiled.optimizer_of(
        compiled_with(optimizer={"class_name": "SGD", "config": {"learning_rate": pieces}})
    )
    assert found == {
        "name": "sgd",
        "schedule": {"name": "PiecewiseConstantDecay", "boundaries": [1], "values": [1.0, 0.5]},
    }


def test_one_loss_is_found_in_lists_and_by_output() -> None:
    huber = {
        "class_name": "Huber",
        "config": {"delta": 0.5, "name": "huber_loss", "dtype": None, "reduction": None},
    }
    for given in (huber, [huber], {"out": huber}, [{"out": huber}]):
        assert compiled.loss_of(compiled_with(loss=given)) == {"delta": 0.5, "name": "Huber"}
    with pytest.raises(RequestError, match="2 losses"):
        compiled.loss_of(compiled_with(loss=["mse", "mae"]))
    with pytest.raises(RequestError, match="loss_weights"):
        compiled.loss_of(compiled_with(loss="mse", loss_weights=[1.0]))


def test_metrics_are_found_in_lists_and_by_output_in_their_order() -> None:
    top = {"class_name": "SparseTopKCategoricalAccuracy", "config": {"k": 3}}
    wrapped = {
        "class_name": "MeanMetricWrapper",
        "config": {"fn": {"class_name": "function", "config": "accuracy"}},
    }
    given = compiled_with(metrics=[["auc"], {"out": [top]}], weighted_metrics=[wrapped, "AUC"])
    assert compiled.metrics_of(given, "classification") == ("auc", "top_3_accuracy", "accuracy")
    assert compiled.metrics_of(compiled_with(metrics=[None, []]), "classification") is None


def test_losses_get_their_full_name_and_are_checked_against_the_task() -> None:
    assert losses.check({"name": "mse"}, "regression", standardised=True) == {
        "name": "mean_squared_error"
    }
    assert losses.check({"delta": 2.0, "name": "Huber"}, "regression", standardised=True) == {
        "delta": 2.0,
        "name": "huber",
    }
    assert losses.check({}, "classification", standardised=False) == {"name": "auto"}
    for given, task, standardised, words in (
        ({"name": "nonsense"}, "regression", False, "not supported"),
        ({"name": "bce"}, "regression", False, "is for classes"),
        ({"name": "mape"}, "regression", True, "are standardised"),
        ({"name": "poisson"}, "classification", False, "are class numbers"),
        ({"name": "mse", "reduction": "none"}, "regression", False, "reduction is 'none'"),
    ):
        with pytest.raises(RequestError, match=words):
            losses.check(given, task, standardised=standardised)


def test_only_auto_is_resolved_and_keeps_its_options() -> None:
    assert losses.resolve({"name": "huber"}, None, (1,), "regression") == {"name": "huber"}
    found = losses.resolve({"reduction": "sum", "name": "auto"}, "linear", (4,), "classification")
    assert list(found.items()) == [
        ("reduction", "sum"),
        ("name", "sparse_categorical_crossentropy"),
        ("from_logits", True),
    ]


def test_the_package_of_a_factory() -> None:
    assert factories.packages("company.models.churn:build") == ("company",)
    assert factories.packages("model.py:build") == ()
    assert factories.packages(None) == ()
