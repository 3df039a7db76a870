"""Metrics as sums that add up across workers: state from predictions, and the value from the summed state.

An average of results is wrong for AUC, F1 or R2; a sum of states is right for all of them. Learners make states, the rounds add
them up, and `value` is computed once, at the end.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from whisktrain.errors import RequestError

__all__ = ["BASE", "canonical", "state", "value"]

BASE: dict[str, tuple[str, ...]] = {"classification": ("accuracy",), "regression": ("mae", "mse", "r2")}
"""What is always reported for a task."""

_ALIASES: dict[str, dict[str, str]] = {
    "classification": {
        "accuracy": "accuracy",
        "acc": "accuracy",
        "binary_accuracy": "accuracy",
        "categorical_accuracy": "accuracy",
        "sparse_categorical_accuracy": "accuracy",
        "top_k_categorical_accuracy": "top_5_accuracy",
        "sparse_top_k_categorical_accuracy": "top_5_accuracy",
        "precision": "precision",
        "recall": "recall",
        "f1": "f1",
        "f1_score": "f1",
        "auc": "auc",
    },
    "regression": {
        "mae": "mae",
        "mean_absolute_error": "mae",
        "mse": "mse",
        "mean_squared_error": "mse",
        "rmse": "rmse",
        "root_mean_squared_error": "rmse",
        "r2": "r2",
        "r2_score": "r2",
    },
}

_THRESHOLDS = 200
_TOP = re.compile(r"top_(\d+)_accuracy")


def canonical(name: str, task: str) -> str:
    """The name under which a metric is computed and reported.

    Args:
        name: As the caller or Keras calls it: "acc", "SparseCategoricalAccuracy", "top_3_accuracy", …
        task: "classification" or "regression".

    Returns:
        For classification "accuracy", "top_K_accuracy", "precision", "recall", "f1" (of class 1 of two, else averaged over the
        classes) or "auc" (two classes); for regression "mae", "mse", "rmse" or "r2".

    Raises:
        RequestError: The metric is not known for this task.
    """
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().replace("top_kcategorical", "top_k_categorical")
    aliases = _ALIASES[task]
    if snake in aliases:
        return aliases[snake]
    if task == "classification" and (match := _TOP.fullmatch(snake)) and int(match[1]) > 0:
        return snake
    near = difflib.get_close_matches(snake, aliases, n=1)
    known = ", ".join(sorted(set(aliases.values())))
    raise RequestError(
        f"the metric {name!r} is not known for {task}; expected one of {known}.",
        hint=f"Did you mean {near[0]!r}?" if near else "",
    )


def _confusion(y: Any, guess: Any, classes: int) -> list[float]:
    hit = y == guess
    counts = (np.bincount(values, minlength=classes) for values in (y[hit], guess, y))
    return [float(n) for part in counts for n in part[:classes]]


def _buckets(y: Any, score: Any) -> list[float]:
    """Positives and negatives by the bucket of their score, as `keras.metrics.AUC` with evenly spread thresholds counts."""
    place = np.maximum(np.ceil(np.clip(score, 0.0, 1.0) * (_THRESHOLDS - 1)).astype(np.int64) - 1, 0)
    counts = (np.bincount(place[y == label], minlength=_THRESHOLDS) for label in (1, 0))
    return [float(n) for part in counts for n in part]


def state(name: str, y: Any, p: Any) -> list[float]:
    """What one worker knows of a metric.

    Args:
        name: A canonical name.
        y: Class numbers, shape (n,), or target values, shape (n,).
        p: Probabilities (or scores), shape (n, classes), or predicted values, shape (n,).

    Returns:
        Numbers that add up over disjoint rows.
    """
    if name in ("mae", "mse", "rmse", "r2"):
        wanted, got = np.asarray(y, np.float64), np.asarray(p, np.float64)
        off = got - wanted
        if name == "mae":
            return [float(len(off)), float(np.abs(off).sum())]
        if name == "r2":
            return [float(len(off)), float(np.square(off).sum()), float(wanted.sum()), float(np.square(wanted).sum())]
        return [float(len(off)), float(np.square(off).sum())]
    if name == "auc":
        return _buckets(y, p[:, 1]) if p.shape[1] == 2 else []
    if match := _TOP.fullmatch(name):
        own = np.take_along_axis(p, y[:, None], axis=1)
        above = (p > own).sum(axis=1)
        return [float(len(y)), float((above < int(match[1])).sum())]
    guess = p.argmax(axis=1)
    if name == "accuracy":
        return [float(len(y)), float((guess == y).sum())]
    return _confusion(y, guess, p.shape[1])


def _auc(sums: Any) -> tuple[float | None, str]:
    positives, negatives = sums[:_THRESHOLDS], sums[_THRESHOLDS:]
    if positives.sum() == 0 or negatives.sum() == 0:
        return None, "AUC needs rows of both classes"
    true, false = positives[::-1].cumsum()[::-1], negatives[::-1].cumsum()[::-1]
    recall, fall = true / positives.sum(), false / negatives.sum()
    return float(((fall[:-1] - fall[1:]) * (recall[:-1] + recall[1:]) / 2.0).sum()), ""


def _by_class(name: str, sums: Any) -> tuple[float | None, str]:
    hits, guessed, actual = sums.reshape(3, -1)
    chosen = slice(1, 2) if hits.size == 2 else actual + guessed > 0
    below = {"precision": guessed, "recall": actual, "f1": (guessed + actual) / 2}[name][chosen]
    if hits.size == 2 and below.sum() == 0:
        absent = {"precision": "no row was predicted as", "recall": "no row is of", "f1": "no row is or was predicted as"}[name]
        return None, f"{absent} the second class"
    # a class that never occurs here on one side counts as 0, as scikit-learn counts it
    quotients = np.divide(hits[chosen], below, out=np.zeros(below.shape), where=below > 0)
    return float(quotients.mean()), ""


def value(name: str, sums: Sequence[float], scale: float = 1.0) -> tuple[float | None, str]:
    """The metric itself.

    Args:
        name: A canonical name.
        sums: The states of all workers, added up.
        scale: Regression: how many original units one standardised unit is.

    Returns:
        The value, in original units, and an empty reason; or None and why it is undefined.
    """
    total = np.asarray(sums, np.float64)
    if total.size == 0:
        return None, "AUC is defined for two classes"
    if total.sum() == 0 or (name not in ("precision", "recall", "f1", "auc") and total[0] == 0):
        return None, "there are no rows"
    if name == "auc":
        return _auc(total)
    if name in ("precision", "recall", "f1"):
        return _by_class(name, total)
    mean = float(total[1] / total[0])
    if name == "mae":
        return mean * scale, ""
    if name == "mse":
        return mean * scale**2, ""
    if name == "rmse":
        return mean**0.5 * scale, ""
    if name == "r2":
        spread = float(total[3] - total[2] ** 2 / total[0])
        if total[0] < 2 or spread <= 1e-12 * float(total[3]):
            return None, "R2 needs at least two different targets"
        return float(1.0 - total[1] / spread), ""
    return mean, ""
