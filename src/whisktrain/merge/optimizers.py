"""Optimizers in NumPy, each equal to Keras' own step by step, in the weights' own precision and Keras' order of operations.

Source: `keras.optimizers.{SGD, Adam, AdamW}` and `keras.optimizers.Optimizer.apply` (Keras 3): clip, decay, update, constrain.
Adam: Kingma and Ba, arXiv:1412.6980; amsgrad: Reddi et al., arXiv:1904.09237; AdamW: Loshchilov and Hutter, arXiv:1711.05101.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from whisktrain.errors import RequestError
from whisktrain.jsontypes import JsonObject
from whisktrain.merge import schedules
from whisktrain.spec import OptimizerConfig
from whisktrain.tensors import Floats, Tensor, Tensors

__all__ = ["DEFAULTS", "apply", "check"]

_CLIPS = ("clipnorm", "clipvalue", "global_clipnorm")
_SHARED: JsonObject = {
    "learning_rate": 0.001,
    "schedule": None,
    "weight_decay": None,
    **dict.fromkeys(_CLIPS),
}
_ADAM: JsonObject = {**_SHARED, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "amsgrad": False}

DEFAULTS: dict[str, JsonObject] = {
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
        raise RequestError(
            f"{name} has no argument {', '.join(unknown)}; expected {', '.join(DEFAULTS[name])}."
        )
    for key, value in given.items():
        if key != "schedule":
            schedules.check_argument(name, key, value)
    full: dict[str, object] = {"name": name, **DEFAULTS[name], **given}
    if sum(full[k] is not None for k in _CLIPS) > 1:
        raise RequestError(
            "more than one of clipnorm, clipvalue and global_clipnorm was given; expected one."
        )
    if full["schedule"] is not None:
        if not isinstance(full["schedule"], Mapping):
            raise RequestError(
                f"{name} was given the schedule {full['schedule']!r:.60}; expected its name and arguments as an object."
            )
        full["schedule"] = dict(schedules.check(full["schedule"]))
    return cast(OptimizerConfig, full)


_ROLES = ("momentum", "velocity", "velocity_hat")
"""The optimizer's state of a weight, in the order of `_adam`'s result; SGD has the first one only."""


def apply(
    optimizer: OptimizerConfig,
    step: int,
    params: Mapping[str, Tensor],
    optimizer_state: Tensors,
    gradients: Tensors,
) -> tuple[Tensors, Tensors]:
    """One optimizer step.

    Args:
        optimizer: The optimizer's name and arguments.
        step: The step's number, from 1.
        params: The weights; at least those named in `gradients`.
        optimizer_state: The optimizer's state, "role/weight"; empty before step 1 (zeros).
        gradients: The gradient of each weight to update, in the model's order.

    Returns:
        The new weights named in `gradients`, and the new state.
    """
    rate = schedules.learning_rate(optimizer, step - 1)
    update = _sgd if optimizer["name"] == "sgd" else _adam
    fresh: Tensors = {}
    after: Tensors = {}
    for name, gradient in _clip(optimizer, gradients).items():
        weight = cast(Floats, params[name])
        typed_gradient = gradient.astype(weight.dtype, copy=False)
        learning_rate = weight.dtype.type(rate)
        decay = optimizer.get("weight_decay")
        if decay is not None:
            weight = weight - weight * _cast(weight, decay) * learning_rate
        state = {
            role: cast("Floats | None", optimizer_state.get(f"{role}/{name}")) for role in _ROLES
        }
        fresh[name], kept = update(
            optimizer, _Step(step, learning_rate, weight, typed_gradient, state)
        )
        after |= {f"{role}/{name}": value for role, value in kept.items()}
    return fresh, after


@dataclass(frozen=True, slots=True)
class _Step:
    """One step of one weight.

    Attributes:
        number: The step's number, from 1.
        learning_rate: In the weight's type.
        weight: The weight, of any shape.
        gradient: Its gradient, of the same shape and type.
        state: The optimizer's state of the weight, by role; None: zeros.
    """

    number: int
    learning_rate: np.floating
    weight: Floats
    gradient: Floats
    state: Mapping[str, Floats | None]


def _clip(optimizer: OptimizerConfig, gradients: Tensors) -> dict[str, Floats]:
    """The gradients after Keras' clipping: each by its norm, all by their common norm, or by value."""
    found = {name: cast(Floats, gradient) for name, gradient in gradients.items()}
    if limit := optimizer.get("clipnorm"):
        return {name: _clip_by_norm(g, limit) for name, g in found.items()}
    if limit := optimizer.get("global_clipnorm"):
        scale = _global_scale(list(found.values()), limit)
        return {name: g * g.dtype.type(scale) for name, g in found.items()}
    if limit := optimizer.get("clipvalue"):
        return {name: np.clip(g, -limit, limit) for name, g in found.items()}
    return found


def _clip_by_norm(gradient: Floats, limit: float) -> Floats:
    norm = np.sqrt(np.sum(np.square(gradient)))
    clipped: Floats = (gradient * limit) / np.maximum(norm, gradient.dtype.type(limit))
    return clipped


def _global_scale(gradients: Sequence[Floats], limit: float) -> float:
    kind = gradients[0].dtype.type
    squares = np.array([np.sum(np.square(g)) for g in gradients], dtype=gradients[0].dtype)
    norm = np.sqrt(np.sum(squares))
    with np.errstate(divide="ignore"):
        return float(limit * np.minimum(kind(1.0) / norm, kind(1.0 / limit)))


def _cast(like: Floats, number: float) -> np.floating:
    """A number as Keras casts it: by way of float32, even for float64 weights."""
    return like.dtype.type(np.float32(number))


def _sgd(o: OptimizerConfig, step: _Step) -> tuple[Floats, dict[str, Floats]]:
    change = step.gradient * step.learning_rate
    if not o.get("momentum"):
        return step.weight - change, {}
    momentum, before = _cast(step.weight, o["momentum"]), step.state["momentum"]
    velocity = -change if before is None else before * momentum - change
    update = velocity * momentum - change if o.get("nesterov") else velocity
    return step.weight + update, {"momentum": velocity}


def _adam(o: OptimizerConfig, step: _Step) -> tuple[Floats, dict[str, Floats]]:
    w, g, kind, t = step.weight, step.gradient, step.weight.dtype.type, step.number
    beta_1, beta_2 = o.get("beta_1", 0.9), o.get("beta_2", 0.999)
    correction_1 = 1 - np.power(_cast(w, beta_1), kind(t))
    correction_2 = 1 - np.power(_cast(w, beta_2), kind(t))
    alpha = step.learning_rate * np.sqrt(correction_2) / correction_1
    rate_1, rate_2, square = kind(1 - beta_1), kind(1 - beta_2), np.square(g)
    first, second, largest = (step.state[role] for role in _ROLES)
    first = g * rate_1 if first is None else first + (g - first) * rate_1
    second = square * rate_2 if second is None else second + (square - second) * rate_2
    after = {"momentum": first, "velocity": second}
    if o.get("amsgrad"):
        second = second if largest is None else np.maximum(largest, second)
        after["velocity_hat"] = second
    return w - (first * alpha) / (np.sqrt(second) + kind(o.get("epsilon", 1e-7))), after
