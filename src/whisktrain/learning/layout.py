"""The layout of a model: its tensors in order, and what the merge has to know of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

from whisktrain.errors import RequestError
from whisktrain.learning import backend
from whisktrain.learning.losses import Link, Targets
from whisktrain.spec import Blueprint, ConstraintConfig, Layout, LossConfig, Task, TensorEntry

__all__ = ["KerasLayout", "batch_normalisations", "layout_of", "seed_states", "tensor_entries", "variables"]


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
    """What a merge has to know of a moving mean or variance; a variance names its mean."""

    role: Literal["mean", "variance"]
    momentum: float
    mean: str | None = None


_CONSTRAINTS = ("MaxNorm", "NonNeg", "UnitNorm", "MinMaxNorm")


def variables(model: Any) -> dict[str, Any]:
    """The model's weights under the names that travel: place, layer and weight, so that no two are alike."""
    return {f"{place:04d}.{'/'.join(v.path.split('/')[-2:])}": v for place, v in enumerate(model.weights)}


def seed_states(model: Any) -> list[Any]:
    """The states of the model's random generators: they are set for every piece of work and never travel."""
    known = {id(v) for v in model.weights}
    return [v for v in model.variables if id(v) not in known]


def batch_normalisations(model: Any) -> list[Any]:
    """The batch normalisations that learn statistics while training."""
    kind = backend.keras().layers.BatchNormalization
    return [
        layer
        for layer in model._flatten_layers(include_self=False)
        if isinstance(layer, kind) and layer.trainable and layer.built
    ]


def _constraint(variable: Any, name: str) -> ConstraintConfig | None:
    constraint = variable.constraint
    if constraint is None:
        return None
    kind = type(constraint)
    if kind.__name__ not in _CONSTRAINTS or not kind.__module__.startswith("keras."):
        raise RequestError(
            f"the weight {name} has the constraint {kind.__name__}; expected one of {', '.join(_CONSTRAINTS)}.",
            hint="Constraints act on merged weights, which only works for Keras' own.",
        )
    return cast(ConstraintConfig, {"name": kind.__name__, **constraint.get_config()})


def _refuse(model: Any) -> None:
    """What Keras can do and a merge cannot."""
    for layer in model._flatten_layers(include_self=False):
        policy = str(getattr(layer.dtype_policy, "name", ""))
        if "float16" in policy.replace("bfloat16", ""):
            raise RequestError(
                f"the layer {layer.name} computes in {policy}; expected float32, float64 or bfloat16.",
                hint="Sums of float16 gradients overflow: use mixed_bfloat16.",
            )
        if "float8" in policy or "int8" in policy or "int4" in policy:
            raise RequestError(f"the layer {layer.name} is quantised ({policy}), which cannot be trained here.")
        if getattr(layer, "stateful", False):
            raise RequestError(f"the layer {layer.name} keeps state between batches (stateful), which shards cannot share.")
    for layer in batch_normalisations(model):
        if layer.renorm or layer.synchronized:
            which = "renorm" if layer.renorm else "synchronized"
            raise RequestError(f"the batch normalisation {layer.name} has {which}=True, which is not supported.")


def tensor_entries(model: Any) -> list[TensorEntry]:
    """Describe the tensors of a built model, in the model's order.

    Args:
        model: A Keras model.

    Raises:
        RequestError: The model holds something that workers cannot share.
    """
    _refuse(model)
    named = variables(model)
    statistics = _statistics(model, {id(v): name for name, v in named.items()})
    trainable = {id(v) for v in model.trainable_weights}
    entries: list[TensorEntry] = []
    for name, variable in named.items():
        entry: TensorEntry = {"name": name, "shape": list(variable.shape), "dtype": str(variable.dtype), "role": "frozen"}
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
        raise RequestError("the model has no trainable weight; there is nothing to train.")
    return entries


def _statistics(model: Any, names: dict[int, str]) -> dict[str, _Statistic]:
    """Role, momentum and mean of each moving mean and variance, by tensor name."""
    found: dict[str, _Statistic] = {}
    for layer in batch_normalisations(model):
        mean, variance = names[id(layer.moving_mean)], names[id(layer.moving_variance)]
        found[mean] = _Statistic("mean", layer.momentum)
        found[variance] = _Statistic("variance", layer.momentum, mean)
    return found


def layout_of(blueprint: Blueprint) -> KerasLayout:
    """The layout of a blueprint that this learner has built."""
    return cast(KerasLayout, blueprint.layout)
