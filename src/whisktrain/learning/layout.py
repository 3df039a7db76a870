"""The layout of a model: its tensors in order, and what the merge has to know of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from whisktrain.errors import RequestError
from whisktrain.learning import backend

__all__ = ["batch_normalisations", "layout_of", "seed_states", "variables"]

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


def _constraint(variable: Any, name: str) -> dict[str, Any] | None:
    constraint = variable.constraint
    if constraint is None:
        return None
    kind = type(constraint)
    if kind.__name__ not in _CONSTRAINTS or not kind.__module__.startswith("keras."):
        raise RequestError(
            f"the weight {name} has the constraint {kind.__name__}; expected one of {', '.join(_CONSTRAINTS)}.",
            hint="Constraints act on merged weights, which only works for Keras' own.",
        )
    return {"name": kind.__name__, **constraint.get_config()}


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


def layout_of(model: Any) -> dict[str, Any]:
    """Describe a built model.

    Args:
        model: A Keras model.

    Returns:
        `{"schema": 1, "tensors": [{"name", "role", "shape", "dtype", "constraint"?, "momentum"?, "mean"?}, ...]}`; roles are
        "trainable", "frozen", "mean" and "variance".

    Raises:
        RequestError: The model holds something that workers cannot share.
    """
    _refuse(model)
    named = variables(model)
    names = {id(v): name for name, v in named.items()}
    roles: dict[str, dict[str, Any]] = {}
    for layer in batch_normalisations(model):
        mean, variance = names[id(layer.moving_mean)], names[id(layer.moving_variance)]
        roles[mean] = {"role": "mean", "momentum": layer.momentum}
        roles[variance] = {"role": "variance", "momentum": layer.momentum, "mean": mean}
    trainable = {id(v) for v in model.trainable_weights}
    tensors: list[Mapping[str, Any]] = []
    for name, v in named.items():
        entry: dict[str, Any] = {"name": name, "shape": list(v.shape), "dtype": str(v.dtype)}
        if id(v) in trainable:
            entry["role"] = "trainable"
            if (constraint := _constraint(v, name)) is not None:
                entry["constraint"] = constraint
        else:
            entry |= roles.get(name, {"role": "frozen"})
        tensors.append(entry)
    if not any(entry["role"] == "trainable" for entry in tensors):
        raise RequestError("the model has no trainable weight; there is nothing to train.")
    return {"schema": 1, "tensors": tensors}
