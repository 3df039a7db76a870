"""Optimizers in NumPy, each equal to Keras' own step by step, in the weights' own precision and Keras' order of operations.

Source: `keras.optimizers.{SGD, Adam, AdamW}` and `keras.optimizers.Optimizer.apply` (Keras 3): clip, decay, update, constrain.
Adam: Kingma and Ba, arXiv:1412.6980; amsgrad: Reddi et al., arXiv:1904.09237; AdamW: Loshchilov and Hutter, arXiv:1711.05101.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from whisktrain.errors import RequestError
from whisktrain.merge import schedules
from whisktrain.spec import OptimizerConfig
from whisktrain.tensors import Tensors

__all__ = ["DEFAULTS", "apply", "check"]

_CLIPS = ("clipnorm", "clipvalue", "global_clipnorm")
_SHARED: dict[str, Any] = {"learning_rate": 0.001, "schedule": None, "weight_decay": None, **dict.fromkeys(_CLIPS)}
_ADAM: dict[str, Any] = {**_SHARED, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "amsgrad": False}

DEFAULTS: dict[str, dict[str, Any]] = {
    "sgd": {**_SHARED, "learning_rate": 0.01, "momentum": 0.0, "nesterov": False},
    "adam": _ADAM,
    "adamw": {**_ADAM, "weight_decay": 0.004},
}
"""Keras' arguments and defaults of each optimizer that is known."""


def check(optimizer: Mapping[str, object]) -> OptimizerConfig:
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
    if sum(full[k] is not None for k in _CLIPS) > 1:
        raise RequestError("more than one of clipnorm, clipvalue and global_clipnorm was given; expected one.")
    if full["schedule"] is not None:
        full["schedule"] = schedules.check(full["schedule"])
    return cast(OptimizerConfig, full)


_ROLES = ("momentum", "velocity", "velocity_hat")


def _clip(optimizer: Mapping[str, Any], gradients: Mapping[str, Any]) -> Mapping[str, Any]:
    clipped: dict[str, Any] = {}
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


def _cast(like: Any, number: float) -> Any:
    """A number as Keras casts it: by way of float32, even for float64 weights."""
    return like.dtype.type(np.float32(number))


def _sgd(o: Mapping[str, Any], lr: Any, p: Any, g: Any, state: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    step = g * lr
    if not o.get("momentum"):
        return p - step, {}
    momentum = _cast(p, o["momentum"])
    before = state["momentum"]
    velocity = -step if before is None else before * momentum - step
    return p + (velocity * momentum - step if o.get("nesterov") else velocity), {"momentum": velocity}


def _adam(o: Mapping[str, Any], lr: Any, p: Any, g: Any, state: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    kind, t = p.dtype.type, state["step"]
    beta_1, beta_2 = o.get("beta_1", 0.9), o.get("beta_2", 0.999)
    alpha = lr * np.sqrt(1 - np.power(_cast(p, beta_2), kind(t))) / (1 - np.power(_cast(p, beta_1), kind(t)))
    rate_1, rate_2, square = kind(1 - beta_1), kind(1 - beta_2), np.square(g)
    first, second, largest = state["momentum"], state["velocity"], state["velocity_hat"]
    first = g * rate_1 if first is None else first + (g - first) * rate_1
    second = square * rate_2 if second is None else second + (square - second) * rate_2
    after = {"momentum": first, "velocity": second}
    if o.get("amsgrad"):
        second = after["velocity_hat"] = second if largest is None else np.maximum(largest, second)
    return p - (first * alpha) / (np.sqrt(second) + kind(o.get("epsilon", 1e-7))), after


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
        state = {"step": step, **{role: moments.get(f"{role}/{name}") for role in _ROLES}}
        if optimizer.get("weight_decay") is not None:
            weight = weight - weight * _cast(weight, optimizer["weight_decay"]) * lr
        rule = _sgd if optimizer["name"] == "sgd" else _adam
        fresh[name], kept = rule(optimizer, lr, weight, g, state)
        after |= {f"{role}/{name}": value for role, value in kept.items()}
    return fresh, after
