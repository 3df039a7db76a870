"""What a given model can be trained for, from its configuration alone: its loss, its last activation, its output units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from whisktrain.jsontypes import Json, JsonObject
from whisktrain.learning import losses
from whisktrain.learning.checks import last_activation, output_units
from whisktrain.spec import Task

__all__ = ["ModelTask", "task_of"]

_ONE_OF_TWO = ("sigmoid", "hard_sigmoid", "tanh", "softsign")
"""Bounded activations of one unit: for two classes, and for values within their bounds."""


class ModelTask(NamedTuple):
    """What a model decides about its targets.

    Attributes:
        task: "classification" or "regression"; None where the targets decide.
        reason: Why, in words that go on from "classification: ".
        single: Whether the model has one output, which tells at most two classes apart.
        linear: Whether it can answer with any value, so that targets may be standardised.
    """

    task: Task | None
    reason: str
    single: bool
    linear: bool


def task_of(config: Mapping[str, Json], loss: JsonObject | None) -> ModelTask:
    """Find what a model is for.

    A loss for classes decides, and a softmax does. A loss for values decides where one unit answers with any value. One
    sigmoid unit with a loss for values suits both: two distinct values are classes, more are values.

    Args:
        config: `model.to_json()` as an object, or a .keras file's config.json.
        loss: The loss that was asked for, or else the one that the model was compiled with.
    """
    activation = last_activation(config) or "linear"
    single = output_units(config) == 1
    kind = losses.kind_of(loss)
    linear = activation == "linear" and kind != "positive"
    task: Task | None = None
    reason = ""
    if kind == "classes" and loss is not None:
        task, reason = "classification", f"the model's loss is {loss['name']}"
    elif activation == "softmax" and not single:
        task, reason = "classification", "the model ends in softmax"
    elif kind is not None and single and activation not in _ONE_OF_TWO and loss is not None:
        task, reason = "regression", f"the model's loss is {loss['name']} and it has one output"
    return ModelTask(task, reason, single, linear)
