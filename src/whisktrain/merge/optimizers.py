"""Optimizers in NumPy, each equal to Keras' own step by step, in the weights' own precision and Keras' order of operations.

Source: `keras.optimizers.{SGD, Adam, AdamW}` and `keras.optimizers.Optimizer.apply` (Keras 3): clip, decay, update, constrain.
Adam: Kingma and Ba, arXiv:1412.6980; amsgrad: Reddi et al., arXiv:1904.09237; AdamW: Loshchilov and Hutter, arXiv:1711.05101.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from whisktrain.errors import RequestError
from whisktrain.jsontypes import JsonObject
from whisktrain.merge import schedules
from whisktrain.spec import OptimizerConfig, state_tensors
from whisktrain.tensors import Floats, Tensor, Tensors

__all__ = ["DEFAULTS", "apply", "check", "pieces", "writable"]

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


_PIECE = 2**16
"""Numbers of a tensor that are changed at a time: what is computed meanwhile is no larger, and stays in the cache."""


def apply(
    optimizer: OptimizerConfig,
    step: int,
    params: Tensors,
    optimizer_state: Tensors,
    gradients: Tensors,
) -> None:
    """One optimizer step, in place: nothing as large as a tensor is made beside the ones given.

    Args:
        optimizer: The optimizer's name and arguments.
        step: The step's number, from 1.
        params: The weights; those named in `gradients` become the new ones.
        optimizer_state: The optimizer's state, "role/weight"; empty before step 1 (zeros). Becomes the new state.
        gradients: The gradient of each weight to update, in the model's order; used up.
    """
    rate = schedules.learning_rate(optimizer, step - 1)
    clipped = _clipping(optimizer, gradients)
    update = _sgd if optimizer["name"] == "sgd" else _adam
    for name in list(gradients):
        weight = params[name] = writable(params[name])
        gradient = gradients.pop(name).reshape(-1)
        keys = [f"{role}/{name}" for role in state_tensors(optimizer)]
        fresh = not all(key in optimizer_state for key in keys)
        state = [np.empty_like(weight) if fresh else writable(optimizer_state[key]) for key in keys]
        optimizer_state |= dict(zip(keys, state, strict=True))
        flat = [cast(Floats, tensor.reshape(-1)) for tensor in (weight, *state)]
        kind = flat[0].dtype.type
        for piece in pieces(weight.size):
            w, *s = (tensor[piece] for tensor in flat)
            g = clipped(name, cast(Floats, gradient[piece])).astype(w.dtype, copy=False)
            update(optimizer, _Step(step, kind(rate), w, g, s, fresh))


def writable(tensor: Tensor) -> Tensor:
    """The tensor itself where it can be changed piece by piece, else a copy."""
    flags = tensor.flags
    return tensor if flags.writeable and flags.c_contiguous else np.array(tensor, order="C")


def pieces(size: int) -> Iterator[slice]:
    """The pieces of a flat array of this size."""
    return (slice(start, start + _PIECE) for start in range(0, size, _PIECE))


@dataclass(frozen=True, slots=True)
class _Step:
    """One step of a piece of one weight.

    Attributes:
        number: The step's number, from 1.
        learning_rate: In the weight's type.
        weight: A piece of the weight, flat; to be changed in place.
        gradient: The same of its gradient, of the same type.
        state: The same of the optimizer's state, in the order of `state_tensors`; to be changed in place.
        fresh: Whether the state holds nothing yet: zeros.
    """

    number: int
    learning_rate: np.floating
    weight: Floats
    gradient: Floats
    state: Sequence[Floats]
    fresh: bool


def _clipping(optimizer: OptimizerConfig, gradients: Tensors) -> Callable[[str, Floats], Floats]:
    """Keras' clipping of a piece of a named gradient: each by its norm, all by their common norm, or by value."""
    found = {name: cast(Floats, gradient) for name, gradient in gradients.items()}
    if limit := optimizer.get("clipnorm"):
        norms = {name: np.sqrt(np.sum(np.square(g))) for name, g in found.items()}
        return functools.partial(_clip_by_norm, norms, limit)
    if limit := optimizer.get("global_clipnorm"):
        scale = _global_scale(list(found.values()), limit)
        return lambda _, g: g * g.dtype.type(scale)
    if limit := optimizer.get("clipvalue"):
        return functools.partial(_clip_by_value, limit)
    return lambda _, g: g


def _clip_by_norm(
    norms: Mapping[str, np.floating], limit: float, name: str, gradient: Floats
) -> Floats:
    clipped: Floats = (gradient * limit) / np.maximum(norms[name], gradient.dtype.type(limit))
    return clipped


def _clip_by_value(limit: float, _: str, gradient: Floats) -> Floats:
    return np.clip(gradient, -limit, limit)


def _global_scale(gradients: Sequence[Floats], limit: float) -> float:
    kind = gradients[0].dtype.type
    squares = np.array([np.sum(np.square(g)) for g in gradients], dtype=gradients[0].dtype)
    norm = np.sqrt(np.sum(squares))
    with np.errstate(divide="ignore"):
        return float(limit * np.minimum(kind(1.0) / norm, kind(1.0 / limit)))


def _cast(like: Floats, number: float) -> np.floating:
    """A number as Keras casts it: by way of float32, even for float64 weights."""
    return like.dtype.type(np.float32(number))


def _decay(o: OptimizerConfig, step: _Step) -> None:
    decay = o.get("weight_decay")
    if decay is not None:
        shrunk = step.weight * _cast(step.weight, decay) * step.learning_rate
        step.weight[...] -= shrunk


def _sgd(o: OptimizerConfig, step: _Step) -> None:
    _decay(o, step)
    change = step.gradient * step.learning_rate
    if not step.state:
        step.weight[...] -= change
        return
    velocity, momentum = step.state[0], _cast(step.weight, o["momentum"])
    velocity[...] = -change if step.fresh else velocity * momentum - change
    step.weight[...] += velocity * momentum - change if o.get("nesterov") else velocity


def _adam(o: OptimizerConfig, step: _Step) -> None:
    _decay(o, step)
    w, g, kind, t = step.weight, step.gradient, step.weight.dtype.type, step.number
    beta_1, beta_2 = o.get("beta_1", 0.9), o.get("beta_2", 0.999)
    correction_1 = 1 - np.power(_cast(w, beta_1), kind(t))
    correction_2 = 1 - np.power(_cast(w, beta_2), kind(t))
    alpha = step.learning_rate * np.sqrt(correction_2) / correction_1
    rate_1, rate_2, square = kind(1 - beta_1), kind(1 - beta_2), np.square(g)
    first, second, *largest = step.state
    first[...] = g * rate_1 if step.fresh else first + (g - first) * rate_1
    second[...] = square * rate_2 if step.fresh else second + (square - second) * rate_2
    for most in largest:
        most[...] = second if step.fresh else np.maximum(most, second)
        second = most
    w[...] -= (first * alpha) / (np.sqrt(second) + kind(o.get("epsilon", 1e-7)))
