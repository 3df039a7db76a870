"""The names of metrics: which are known for a task, and which are always reported."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from whisktrain.errors import RequestError

__all__ = ["BASE", "canonical", "reported", "top_k"]

BASE: dict[str, tuple[str, ...]] = {
    "classification": ("accuracy",),
    "regression": ("mae", "mse", "r2"),
}
"""The metrics that are always reported for a task."""

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

_TOP_K = re.compile(r"top_(\d+)_accuracy")


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
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    snake = words.lower().replace("top_kcategorical", "top_k_categorical")
    aliases = _ALIASES[task]
    if snake in aliases:
        return aliases[snake]
    if task == "classification" and top_k(snake):
        return snake
    near = difflib.get_close_matches(snake, aliases, n=1)
    known = ", ".join(sorted(set(aliases.values())))
    raise RequestError(
        f"the metric {name!r} is not known for {task}; expected one of {known}.",
        hint=f"Did you mean {near[0]!r}?" if near else "",
    )


def reported(asked: Iterable[str], task: str) -> tuple[str, ...]:
    """The metrics to report, in order: the task's own, then the requested ones; canonical names, each once."""
    names = (canonical(name, task) for name in asked)
    return tuple(dict.fromkeys((*BASE[task], *names)))


def top_k(name: str) -> int | None:
    """K of "top_K_accuracy"; None of any other metric."""
    match = _TOP_K.fullmatch(name)
    return int(match[1]) if match else None
