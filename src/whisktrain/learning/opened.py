"""A model made ready to compute: its weights by name, its loss, and one forward pass with everything that is summed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from whisktrain import seeds
from whisktrain.learning import backend, losses, models
from whisktrain.learning.layout import KerasLayout, batch_normalisations, layout_of, seed_states
from whisktrain.spec import Blueprint, Spec
from whisktrain.tensors import Tensors

__all__ = ["Forward", "Opened", "open_model", "probabilities"]


@dataclass(frozen=True, slots=True)
class Forward:
    """What one forward pass yields, as tensors."""

    loss: Any
    divisor: Any
    penalty: Any
    output: Any
    mask: Any | None


@dataclass(slots=True)
class Opened:
    """A Keras model with all that its traced functions need.

    Attributes:
        spec: The run's plan.
        layout: The blueprint's layout.
        model: The Keras model.
        loss: Keras' loss object.
        weights: The model's variables by the layout's names.
        roles: The role of each.
        random: States of its random generators.
        x_type: Type of features as they enter the graph.
        y_type: Type of targets as they enter the graph.
    """

    spec: Spec
    layout: KerasLayout
    model: Any
    loss: Any
    weights: dict[str, Any]
    roles: dict[str, str]
    random: list[Any]
    x_type: str
    y_type: str

    def named(self, *roles: str) -> list[str]:
        """The names of the tensors with one of these roles, in the model's order."""
        return [name for name, role in self.roles.items() if role in roles]

    def signature(self) -> tuple[Any, Any]:
        """Signatures of features and targets, for any number of rows."""
        target = tuple(self.layout["target"])
        return (
            backend.signature((None, *self.spec.x_shape), self.x_type),
            backend.signature((None, *target), self.y_type),
        )

    def weight_signatures(self) -> list[Any]:
        """Signatures of all weights, in the model's order."""
        return [backend.signature(v.shape, str(v.dtype)) for v in self.weights.values()]

    def assign(self, values: Any) -> None:
        """Inside a trace: set all weights."""
        for variable, value in zip(self.weights.values(), values, strict=True):
            variable.assign(value)

    def reseed(self, values: Any) -> None:
        """Inside a trace: set the random generators."""
        for place, variable in enumerate(self.random):
            variable.assign(values[place])

    def draws(self, round_number: int, shard: int, step: int) -> Any:
        """The states of the random generators for one step: from the seed and the place, never from a clock."""
        kind = str(self.random[0].dtype) if self.random else "int64"
        values = [[seeds.integer(self.spec.seed, "dropout", round_number, shard, step, i), 0] for i in range(len(self.random))]
        return np.asarray(values, dtype=kind).reshape(len(self.random), 2)

    def forward(self, x: Any, y: Any, *, training: bool, weighted: bool) -> Forward:
        """Inside a trace: run the model and sum its loss.

        Args:
            x: Features, shape (rows, *x_shape).
            y: Targets, shape (rows, *target).
            training: As of Keras' `training` argument.
            weighted: Whether class weights enter the loss.
        """
        keras = backend.keras()
        output = self.model(x, training=training)
        weights = None
        if weighted and self.spec.class_weights is not None:
            table = keras.ops.convert_to_tensor(self.spec.class_weights, dtype=self.loss.dtype)
            weights = keras.ops.take(table, y, axis=0)
        wanted = keras.ops.one_hot(y, self.spec.classes) if self.layout["targets"] == "one_hot" else y
        total, divisor, mask = losses.sums(keras, self.loss, wanted, output, weights)
        penalty = keras.ops.zeros((), dtype=total.dtype)
        for extra in self.model.losses:
            penalty = penalty + keras.ops.cast(keras.ops.sum(extra), total.dtype)
        return Forward(total, divisor, penalty, keras.ops.cast(output, total.dtype), mask)


def probabilities(output: Any, link: losses.Link | None, targets: losses.Targets) -> Any:
    """From a model's output to probabilities of all classes, or to values.

    Args:
        output: The model's output, an array of shape (rows, ...).
        link: "softmax", "sigmoid", "hinge" or None, as the layout says.
        targets: What the layout says of the targets.

    Returns:
        Shape (rows, classes) of a classification; (rows,) of a regression.
    """
    if targets == "value":
        return output.reshape(len(output), *output.shape[1:-1]) if output.ndim > 1 and output.shape[-1] == 1 else output
    if link == "softmax":
        raised = np.exp(output - output.max(axis=-1, keepdims=True))
        output = raised / raised.sum(axis=-1, keepdims=True)
    elif link == "sigmoid":
        output = 0.5 * (1.0 + np.tanh(0.5 * output))
    elif link == "hinge":
        output = (output + 1.0) / 2.0
    if targets != "single":
        return output
    second = output if output.shape[-1:] == (1,) else output[..., None]
    return np.concatenate([1.0 - second, second], axis=-1)


def open_model(spec: Spec, blueprint: Blueprint) -> Opened:
    """Open a blueprint: build the Keras model and its loss; nothing is traced yet.

    In gradient mode the momentum of batch normalisations is 0, so that their moving statistics hold exactly the batch's own
    after a step: these travel, and the merge moves the averages, once.
    """
    keras = backend.keras()
    with models.seeded(spec.seed):  # what is drawn is overwritten; this leaves the process's own generators alone
        model = models.from_config(blueprint.config, spec)
    if spec.sync == "gradient":
        for layer in batch_normalisations(model):
            layer.momentum = 0.0
    double = str(model.outputs[0].dtype) == "float64"
    layout = layout_of(blueprint)
    return Opened(
        spec=spec,
        layout=layout,
        model=model,
        loss=losses.make(keras, layout["loss"], "float64" if double else None),
        weights=dict(zip((entry["name"] for entry in layout["tensors"]), model.weights, strict=True)),
        roles={entry["name"]: entry["role"] for entry in layout["tensors"]},
        random=seed_states(model),
        x_type=str(model.inputs[0].dtype),
        y_type=("float64" if double else "float32") if spec.task == "regression" else "int64",
    )


def finite(tensors: Tensors) -> bool:
    """Whether every number is finite."""
    return all(bool(np.isfinite(t).all()) for t in tensors.values())
