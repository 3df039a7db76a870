"""Optimizers in NumPy, each equal to Keras' own step by step, in the weights' own precision and Keras' order of operations.

Source: `keras.optimizers.{SGD, Adam, AdamW}` and `keras.optimizers.Optimizer.apply` (Keras 3): clip, decay, update, constrain.
Adam: Kingma and Ba, arXiv:1412.6980; amsgrad: Reddi et al., arXiv:1904.09237; AdamW: Loshchilov and Hutter, arXiv:1711.05101.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from whisktrain.errors import RequestError
from whisktrain.rounds import schedules
from whisktrain.tensors import Tensors

__all__ = ["DEFAULTS", "apply", "check"]

_SHARED: dict[str, Any] = {
    "learning_rate": 0.001,
    "clipnorm": None,
    "clipvalue": None,
    "global_clipnorm": None,
    "schedule": None,
}
_ADAM: dict[str, Any] = {**_SHARED, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "amsgrad": False, "weight_decay": None}

DEFAULTS: dict[str, dict[str, Any]] = {
    "sgd": {**_SHARED, "learning_rate": 0.01, "momentum": 0.0, "nesterov": False, "weight_decay": None},
    "adam": _ADAM,
    "adamw": {**_ADAM, "weight_decay": 0.004},
}
"""Keras' arguments and defaults of each optimizer that is known."""


def check(optimizer: Mapping[str, Any]) -> dict[str, Any]:
    """Bring an optimizer to its full form.

    Args:
        optimizer: `{"name": "sgd"|"adam"|"adamw", ...}` with Keras' argument names; None means Keras' default.

    Returns:
        The optimizer with every argument filled in.

    Raises:
        RequestError: The name or an argument is unknown, or arguments contradict each other.
    """
    name = str(optimizer.get("name", "")).lower()
    if name not in DEFAULTS:
        raise RequestError(
            f"the optimizer {optimizer.get('name')!r} is not supported; expected one of {', '.join(DEFAULTS)}.",
            hint="Choose one with --optimizer.",
        )
    given = {k: v for k, v in optimizer.items() if k != "name" and v is not None}
    if unknown := sorted(set(given) - set(DEFAULTS[name])):
        raise RequestError(f"{name} has no argument {', '.join(unknown)}; expected {', '.join(DEFAULTS[name])}.")
    full = {"name": name, **DEFAULTS[name], **given}
    if sum(full[k] is not None for k in ("clipnorm", "clipvalue", "global_clipnorm")) > 1:
        raise RequestError("more than one of clipnorm, clipvalue and global_clipnorm was given; expected one.")
    if full["schedule"] is not None:
        full["schedule"] = schedules.check(full["schedule"])
    return full


def _clip(optimizer: Mapping[str, Any], gradients: Tensors) -> Tensors:
    clipped: Tensors = {}
    if optimizer.get("clipnorm"):
        limit = optimizer["clipnorm"]
        for name, g in gradients.items():
            norm = np.sqrt(np.sum(np.square(g)))
            clipped[name] = (g * limit) / np.maximum(norm, g.dtype.type(limit))
        return clipped
    if optimizer.get("global_clipnorm"):
        limit = optimizer["global_clipnorm"]
        first = next(iter(gradients.values()))
        squares = np.array([np.sum(np.square(g)) for g in gradients.values()], dtype=first.dtype)
        norm = np.sqrt(np.sum(squares))
        with np.errstate(divide="ignore"):
            scale = limit * np.minimum(first.dtype.type(1.0) / norm, first.dtype.type(1.0 / limit))
        return {name: g * g.dtype.type(scale) for name, g in gradients.items()}
    if optimizer.get("clipvalue"):
        limit = optimizer["clipvalue"]
        return {name: np.clip(g, -limit, limit) for name, g in gradients.items()}
    return gradients


def _sgd(o: Mapping[str, Any], lr: Any, p: Any, g: Any, m: Tensors, name: str, after: Tensors) -> Any:
    if not o.get("momentum"):
        return p - g * lr
    momentum = p.dtype.type(o["momentum"])
    before = m.get(f"momentum/{name}")
    step = g * lr
    velocity = (before * momentum - step) if before is not None else -step
    after[f"momentum/{name}"] = velocity
    return p + (velocity * momentum - step if o.get("nesterov") else velocity)


def _adam(o: Mapping[str, Any], t: int, lr: Any, p: Any, g: Any, m: Tensors, name: str, after: Tensors) -> Any:
    kind = p.dtype.type
    beta_1, beta_2 = o.get("beta_1", 0.9), o.get("beta_2", 0.999)
    power_1, power_2 = np.power(kind(beta_1), kind(t)), np.power(kind(beta_2), kind(t))
    alpha = lr * np.sqrt(1 - power_2) / (1 - power_1)
    first, second = m.get(f"momentum/{name}"), m.get(f"velocity/{name}")
    first = first + (g - first) * kind(1 - beta_1) if first is not None else g * kind(1 - beta_1)
    square = np.square(g)
    second = second + (square - second) * kind(1 - beta_2) if second is not None else square * kind(1 - beta_2)
    after[f"momentum/{name}"], after[f"velocity/{name}"] = first, second
    if o.get("amsgrad"):
        largest = m.get(f"velocity_hat/{name}")
        second = np.maximum(largest, second) if largest is not None else second
        after[f"velocity_hat/{name}"] = second
    return p - (first * alpha) / (np.sqrt(second) + kind(o.get("epsilon", 1e-7)))


def apply(
    optimizer: Mapping[str, Any], step: int, params: Mapping[str, Any], moments: Tensors, gradients: Tensors
) -> tuple[Tensors, Tensors]:
    """One optimizer step.

    Args:
        optimizer: `{"name": "sgd"|"adam"|"adamw", "learning_rate", ...}`.
        step: The step's number, from 1.
        params: The weights; at least those named in `gradients`.
        moments: The optimizer's state, "role/weight"; empty before step 1 (zeros).
        gradients: The gradient of each weight to update, in the model's order.

    Returns:
        The new weights named in `gradients`, and the new state.
    """
    rate = schedules.learning_rate(optimizer, step - 1)
    fresh: Tensors = {}
    after: Tensors = {}
    for name, gradient in _clip(optimizer, gradients).items():
        weight: Any = params[name]
        g: Any = gradient.astype(weight.dtype, copy=False)
        lr = weight.dtype.type(rate)
        if optimizer.get("weight_decay") is not None:
            weight = weight - weight * weight.dtype.type(optimizer["weight_decay"]) * lr
        if optimizer["name"] == "sgd":
            fresh[name] = _sgd(optimizer, lr, weight, g, moments, name, after)
        else:
            fresh[name] = _adam(optimizer, step, lr, weight, g, moments, name, after)
    return fresh, after
