"""Learning-rate schedules, equal to Keras' own, in float32.

Source of every formula: `keras.optimizers.schedules` (Keras 3); the argument names are Keras' too.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from typing import cast

import numpy as np

from whisktrain.errors import RequestError
from whisktrain.jsontypes import JsonObject
from whisktrain.spec import OptimizerConfig, ScheduleConfig

__all__ = ["SCHEDULES", "check", "check_argument", "learning_rate"]

SCHEDULES: dict[str, tuple[tuple[str, ...], JsonObject]] = {
    "ExponentialDecay": (("decay_steps", "decay_rate"), {"staircase": False}),
    "InverseTimeDecay": (("decay_steps", "decay_rate"), {"staircase": False}),
    "PolynomialDecay": (
        ("decay_steps",),
        {"end_learning_rate": 0.0001, "power": 1.0, "cycle": False},
    ),
    "CosineDecay": (("decay_steps",), {"alpha": 0.0, "warmup_target": None, "warmup_steps": 0}),
    "PiecewiseConstantDecay": (("boundaries", "values"), {}),
}
"""The schedules that are known: required arguments, and optional ones with their defaults."""


def _class_name(name: object) -> str:
    folded = str(name).replace("_", "").lower()
    return next((known for known in SCHEDULES if known.lower() in (folded, folded + "decay")), "")


def check(schedule: Mapping[str, object]) -> ScheduleConfig:
    """Bring a schedule to its full form.

    Args:
        schedule: `{"name": ..., ...}`; the name as Keras' class ("CosineDecay") or in snake case ("cosine_decay").

    Returns:
        The schedule with Keras' class name and every optional argument filled in; `initial_learning_rate` only where given.

    Raises:
        RequestError: The name or an argument is unknown, missing or out of bounds.
    """
    name = _class_name(schedule.get("name"))
    if not name:
        raise RequestError(
            f"the schedule {schedule.get('name')!r} is not known; expected one of {', '.join(SCHEDULES)}.",
            hint='Give for example {"name": "CosineDecay", "decay_steps": 1000}.',
        )
    given = {k: v for k, v in schedule.items() if k != "name"}
    _check_names(name, given)
    for key, value in given.items():
        if not (value is None and key == "warmup_target"):
            check_argument(name, key, value)
    full = cast(ScheduleConfig, {"name": name, **SCHEDULES[name][1], **given})
    if "decay_steps" in full and not full["decay_steps"] > 0:
        raise RequestError(
            f"{name} was given decay_steps {full['decay_steps']}; expected more than 0."
        )
    if name == "PiecewiseConstantDecay":
        _check_boundaries(full)
    return full


_FLAGS = frozenset({"staircase", "cycle", "nesterov", "amsgrad"})
_LISTS = frozenset({"boundaries", "values"})


def check_argument(owner: str, key: str, value: object) -> None:
    """Refuse an argument of a schedule or an optimizer that is not of its kind.

    Args:
        owner: The schedule or optimizer.
        key: The argument's name.
        value: What was given.

    Raises:
        RequestError: It is no flag, no list of numbers, or no finite number, whichever the argument is.
    """
    if key in _FLAGS:
        fits, kind = isinstance(value, bool), "true or false"
    elif key in _LISTS:
        fits, kind = isinstance(value, list) and all(map(_is_number, value)), "a list of numbers"
    else:
        fits, kind = _is_number(value), "a finite number"
    if not fits:
        raise RequestError(f"{owner} was given {key} {value!r:.60}; expected {kind}.")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _check_names(name: str, given: Mapping[str, object]) -> None:
    """Check that all required arguments of a schedule are given, and only known ones."""
    required, optional = SCHEDULES[name]
    known = {*required, *optional}
    if name != "PiecewiseConstantDecay":
        known.add("initial_learning_rate")
    if unknown := sorted(set(given) - known):
        raise RequestError(
            f"{name} has no argument {', '.join(unknown)}; expected {', '.join(sorted(known))}."
        )
    if missing := [k for k in required if k not in given]:
        raise RequestError(
            f"{name} needs {' and '.join(missing)}, which the schedule does not give.",
            hint="Add them to the schedule.",
        )


def _check_boundaries(schedule: ScheduleConfig) -> None:
    """Check that boundaries ascend and that there is one value more than boundaries."""
    boundaries, values = list(schedule["boundaries"]), schedule["values"]
    ascending = all(before < after for before, after in itertools.pairwise(boundaries))
    if not boundaries or len(values) != len(boundaries) + 1 or not ascending:
        raise RequestError(
            f"{schedule['name']} was given {len(boundaries)} boundaries and {len(values)} values; "
            "expected ascending boundaries and one value more than boundaries."
        )


def _decay(p: np.float32, s: ScheduleConfig) -> np.float32:
    return np.float32(np.floor(p)) if s["staircase"] else p


def _exponential(initial: np.float32, step: np.float32, s: ScheduleConfig) -> np.float32:
    p = _decay(step / np.float32(s["decay_steps"]), s)
    return np.float32(initial * np.power(np.float32(s["decay_rate"]), p))


def _inverse_time(initial: np.float32, step: np.float32, s: ScheduleConfig) -> np.float32:
    p = _decay(step / np.float32(s["decay_steps"]), s)
    return np.float32(initial / (np.float32(1) + np.float32(s["decay_rate"]) * p))


def _polynomial(initial: np.float32, step: np.float32, s: ScheduleConfig) -> np.float32:
    steps, end = np.float32(s["decay_steps"]), np.float32(s["end_learning_rate"])
    if s["cycle"]:
        steps = steps * (np.float32(1) if step == 0 else np.ceil(step / steps))
    else:
        step = min(step, steps)
    left = np.float32(1) - step / steps
    return np.float32((initial - end) * np.power(left, np.float32(s["power"])) + end)


def _cosine(initial: np.float32, step: np.float32, s: ScheduleConfig) -> np.float32:
    steps, top = np.float32(s["decay_steps"]), initial
    if s["warmup_target"] is not None:
        top, warmup = np.float32(s["warmup_target"]), np.float32(s["warmup_steps"])
        step = min(step, steps + warmup)
        if step < warmup:
            return np.float32((top - initial) * (step / warmup) + initial)
        step = step - warmup
    else:
        step = min(step, steps)
    cosine = np.float32(0.5) * (np.float32(1) + np.cos(np.float32(np.pi) * (step / steps)))
    alpha = float(s["alpha"])
    return np.float32(top * (np.float32(1 - alpha) * cosine + np.float32(alpha)))


def _piecewise(_: np.float32, step: np.float32, s: ScheduleConfig) -> np.float32:
    place = sum(1 for boundary in s["boundaries"] if step > boundary)
    return np.float32(s["values"][place])


_RULES: dict[str, Callable[[np.float32, np.float32, ScheduleConfig], np.float32]] = {
    "ExponentialDecay": _exponential,
    "InverseTimeDecay": _inverse_time,
    "PolynomialDecay": _polynomial,
    "CosineDecay": _cosine,
    "PiecewiseConstantDecay": _piecewise,
}


def learning_rate(optimizer: OptimizerConfig, step: int) -> np.float32:
    """The learning rate of one step.

    Args:
        optimizer: A run's optimizer, `{"learning_rate", "schedule"?, ...}`.
        step: The steps taken before, from 0 (Keras' `iterations`).

    Returns:
        The rate as Keras' float32 variable would hold it.
    """
    initial = np.float32(optimizer["learning_rate"])
    schedule = optimizer.get("schedule")
    if not schedule:
        return initial
    full = check(schedule)
    return _RULES[full["name"]](
        np.float32(full.get("initial_learning_rate", initial)), np.float32(step), full
    )
