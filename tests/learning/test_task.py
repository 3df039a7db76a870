"""What a given model is for, from its configuration: loss, last activation, output units."""

from __future__ import annotations

from typing import Any

import pytest

from whisktrain.learning.task import task_of


def model(*stack: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    layers = [{"class_name": kind, "config": {"name": kind, **a}} for kind, a in stack]
    return {"class_name": "Sequential", "config": {"name": "m", "layers": layers}}


def dense(units: int, activation: str | None = None) -> tuple[str, dict[str, Any]]:
    return "Dense", {"units": units, "activation": activation}


@pytest.mark.parametrize(
    ("stack", "loss", "task", "single", "linear"),
    [
        ([dense(1)], "mse", "regression", True, True),
        ([dense(1, "linear")], "Huber", "regression", True, True),
        ([dense(1, "relu")], "mae", "regression", True, False),
        ([dense(1, "softplus")], "poisson", "regression", True, False),
        ([dense(1)], "mape", "regression", True, False),
        ([dense(1), ("ReLU", {})], "mse", "regression", True, False),
        ([dense(1), ("Dropout", {})], "mse", "regression", True, True),
        ([dense(1, "sigmoid")], "mse", None, True, False),
        ([dense(1, "sigmoid")], "bce", "classification", True, False),
        ([dense(1)], "BinaryCrossentropy", "classification", True, True),
        ([dense(1, "tanh")], "hinge", "classification", True, False),
        ([dense(1)], None, None, True, True),
        ([dense(1)], "own_loss", None, True, True),
        ([dense(3, "softmax")], None, "classification", False, False),
        ([dense(3), ("Softmax", {})], "mse", "classification", False, False),
        ([dense(3)], "sparse_categorical_crossentropy", "classification", False, True),
        ([dense(3)], "mse", None, False, True),
        ([dense(1), ("Reshape", {})], "mse", None, False, True),
        ([], None, None, False, True),
    ],
)
def test_the_model_decides(
    stack: list[Any], loss: str | None, task: str | None, single: bool, linear: bool
) -> None:
    found = task_of(model(*stack), None if loss is None else {"name": loss})
    assert (found.task, found.single, found.linear) == (task, single, linear)
    assert bool(found.reason) == (task is not None)
    nested = {"class_name": "Functional", "config": {"layers": [model(*stack)]}}
    assert task_of(nested, None if loss is None else {"name": loss}) == found
