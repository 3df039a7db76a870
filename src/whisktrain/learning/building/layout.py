"""The layout of a model: its tensors in order, with the role of each in the merge."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeGuard, cast

from whisktrain.errors import RequestError
from whisktrain.learning import backend
from whisktrain.learning.checks import check_policy
from whisktrain.learning.keras_types import BatchNormalization, Layer, Model, Variable
from whisktrain.learning.losses import Link, Targets
from whisktrain.spec import (
    CONSTRAINTS,
    Blueprint,
    ConstraintConfig,
    Layout,
    LossConfig,
    Task,
    TensorEntry,
)

__all__ = [
    "KerasLayout",
    "activation_bytes",
    "batch_normalisations",
    "layout_of",
    "seed_states",
    "tensor_entries",
    "variables",
]


class KerasLayout(Layout):
    """The layout of a Keras model: its tensors, and how targets and outputs are read.

    Attributes:
        schema: 1.
        loss: The loss, with its full name.
        targets: How targets reach the loss.
        target: Shape of one row's target; [] for a number.
        link: What turns outputs into probabilities.
        x_shape: Shape of one row of features.
        output: Shape of one row of the output.
        classes: Number of classes; 0 for regression.
        task: "classification" or "regression".
    """

    schema: int
    loss: LossConfig
    targets: Targets
    target: list[int]
    link: Link | None
    x_shape: list[int]
    output: list[int]
    classes: int
    task: Task


@dataclass(frozen=True, slots=True)
class _Statistic:
    """The merge's view of a moving mean or variance; a variance names its mean."""

    role: Literal["mean", "variance"]
    momentum: float
    mean: str | None = None


def layout_of(blueprint: Blueprint) -> KerasLayout:
    """The layout of a blueprint that this learner has built."""
    return cast(KerasLayout, blueprint.layout)


def variables(model: Model) -> dict[str, Variable]:
    """The model's weights by the layout's names: position, layer and weight, so that no two are alike."""
    named: dict[str, Variable] = {}
    for position, variable in enumerate(model.weights):
        layer_and_weight = "/".join(variable.path.split("/")[-2:])
        named[f"{position:04d}.{layer_and_weight}"] = variable
    return named


def activation_bytes(model: Model) -> int:
    """Bytes of what the layers of a model answer for one row, in float32."""
    count = 0
    for layer in model._flatten_layers(include_self=False):
        output = getattr(layer, "output", ())
        for each in output if isinstance(output, list | tuple) else (output,):
            count += math.prod(side or 1 for side in each.shape[1:])
    return 4 * count


def seed_states(model: Model) -> list[Variable]:
    """The states of the model's random generators: set for every piece of work, never sent."""
    weights = {id(variable) for variable in model.weights}
    return [variable for variable in model.variables if id(variable) not in weights]


def batch_normalisations(model: Model) -> list[BatchNormalization]:
    """The batch normalisations that learn statistics while training."""
    kind = backend.keras().layers.BatchNormalization

    def learns(layer: Layer) -> TypeGuard[BatchNormalization]:
        return isinstance(layer, kind) and layer.trainable and layer.built

    return [layer for layer in model._flatten_layers(include_self=False) if learns(layer)]


def tensor_entries(model: Model) -> list[TensorEntry]:
    """Describe the tensors of a built model, in the model's order.

    Args:
        model: A Keras model.

    Raises:
        RequestError: The model holds something that workers cannot share.
    """
    _check_layers(model)
    named = variables(model)
    statistics = _statistics(model, {id(variable): name for name, variable in named.items()})
    trainable = {id(variable) for variable in model.trainable_weights}
    entries: list[TensorEntry] = []
    for name, variable in named.items():
        entry: TensorEntry = {
            "name": name,
            "shape": list(variable.shape),
            "dtype": str(variable.dtype),
            "role": "frozen",
        }
        if id(variable) in trainable:
            entry["role"] = "trainable"
            constraint = _constraint(variable, name)
            if constraint is not None:
                entry["constraint"] = constraint
        elif name in statistics:
            statistic = statistics[name]
            entry["role"], entry["momentum"] = statistic.role, statistic.momentum
            if statistic.mean is not None:
                entry["mean"] = statistic.mean
        entries.append(entry)
    if not any(entry["role"] == "trainable" for entry in entries):
        raise RequestError(
            "the model has no trainable weight; there is nothing to train.",
            hint="Leave at least one layer trainable.",
        )
    return entries


def _statistics(model: Model, names: dict[int, str]) -> dict[str, _Statistic]:
    """The moving means and variances by tensor name."""
    found: dict[str, _Statistic] = {}
    for layer in batch_normalisations(model):
        mean, variance = names[id(layer.moving_mean)], names[id(layer.moving_variance)]
        found[mean] = _Statistic("mean", layer.momentum)
        found[variance] = _Statistic("variance", layer.momentum, mean)
    return found


def _constraint(variable: Variable, name: str) -> ConstraintConfig | None:
    constraint = variable.constraint
    if constraint is None:
        return None
    kind = type(constraint)
    if kind.__name__ not in CONSTRAINTS or not kind.__module__.startswith("keras."):
        raise RequestError(
            f"the weight {name} has the constraint {kind.__name__}; expected one of {', '.join(CONSTRAINTS)}.",
            hint="Constraints act on merged weights, which only works for Keras' own.",
        )
    return cast(ConstraintConfig, {"name": kind.__name__, **constraint.get_config()})


def _check_layers(model: Model) -> None:
    """Refuse layers that Keras can train and a merge cannot."""
    for layer in model._flatten_layers(include_self=False):
        policy = str(getattr(layer.dtype_policy, "name", ""))
        check_policy(policy, f"the layer {layer.name} computes in")
        if getattr(layer, "stateful", False):
            raise RequestError(
                f"the layer {layer.name} keeps state between batches (stateful), which shards cannot share.",
                hint="Build it without stateful=True.",
            )
    for layer in batch_normalisations(model):
        option = "renorm" if layer.renorm else "synchronized" if layer.synchronized else None
        if option is not None:
            raise RequestError(
                f"the batch normalisation {layer.name} has {option}=True, which is not supported.",
                hint="Build it without that option.",
            )
