"""The state and the value of every metric."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from whisktrain.tensors import Floats, Tensor

__all__ = ["STATES", "VALUES", "MetricValue", "quotient", "top_k_state"]

Sums: TypeAlias = NDArray[np.float64]

_THRESHOLDS = 200
_LEAST_SPREAD = 1e-12
"""Share of the targets' sum of squares below which their variance is nothing but rounding."""


class MetricValue(NamedTuple):
    """A metric's value.

    Attributes:
        value: The value; None where it is undefined.
        reason: Why it is undefined; empty otherwise.
    """

    value: float | None
    reason: str = ""


_NO_ROWS = MetricValue(None, "there are no rows")


# Classification: y are class numbers, shape (n,); scores are probabilities of all classes, shape (n, classes).


def top_k_state(y: Tensor, scores: Floats, k: int) -> list[float]:
    """Rows, and rows in which fewer than k classes score higher than the true one."""
    labels = y.astype(np.int64, copy=False)
    true_scores = np.take_along_axis(scores, labels[:, None], axis=1)
    higher = (scores > true_scores).sum(axis=1)
    hits = higher < k
    return [float(len(y)), float(hits.sum())]


def _accuracy_state(y: Tensor, scores: Floats) -> list[float]:
    """Rows, and rows whose likeliest class is the true one."""
    guess = scores.argmax(axis=1)
    hits = guess == y
    return [float(len(y)), float(hits.sum())]


def quotient(sums: Sums, _: float = 1.0) -> MetricValue:
    """The second number over the first: accuracy and top_K_accuracy, and the mean error of a regression."""
    if sums[0] == 0:
        return _NO_ROWS
    return MetricValue(float(sums[1] / sums[0]))


def _by_class_state(y: Tensor, scores: Floats) -> list[float]:
    """Hits, guesses and rows of each class."""
    classes = scores.shape[1]
    guess = scores.argmax(axis=1)
    labels = y.astype(np.int64, copy=False)
    hits = labels[labels == guess]
    return [*_counts(hits, classes), *_counts(guess, classes), *_counts(labels, classes)]


def _counts(values: NDArray[np.int64], length: int) -> list[float]:
    counts = np.bincount(values, minlength=length)
    return [float(count) for count in counts[:length]]


def _precision(sums: Sums, _: float) -> MetricValue:
    hits, guessed, actual = sums.reshape(3, -1)
    return _over_classes(
        hits, guessed, actual + guessed > 0, "no row was predicted as the second class"
    )


def _recall(sums: Sums, _: float) -> MetricValue:
    hits, guessed, actual = sums.reshape(3, -1)
    return _over_classes(hits, actual, actual + guessed > 0, "no row is of the second class")


def _f1(sums: Sums, _: float) -> MetricValue:
    hits, guessed, actual = sums.reshape(3, -1)
    mean = (guessed + actual) / 2
    return _over_classes(
        hits, mean, actual + guessed > 0, "no row is or was predicted as the second class"
    )


def _over_classes(hits: Sums, below: Sums, occurs: NDArray[np.bool], absent: str) -> MetricValue:
    """Quotients of class 1 of two classes, else averaged over the classes that occur."""
    if hits.size == 2:
        if below[1] == 0:
            return MetricValue(None, absent)
        return MetricValue(float(hits[1] / below[1]))
    hits, below = hits[occurs], below[occurs]
    # a class that never occurs on one side counts as 0, as scikit-learn counts it
    quotients = np.divide(hits, below, out=np.zeros(below.shape), where=below > 0)
    return MetricValue(float(quotients.mean()))


def _auc_state(y: Tensor, scores: Floats) -> list[float]:
    """Positives and negatives by the bucket of their score, as `keras.metrics.AUC` with evenly spread thresholds counts."""
    if scores.shape[1] != 2:
        return []
    score = np.clip(scores[:, 1], 0.0, 1.0)
    thresholds_below = np.ceil(score * (_THRESHOLDS - 1)).astype(np.int64)
    buckets = np.maximum(thresholds_below - 1, 0)
    positives = _counts(buckets[y == 1], _THRESHOLDS)
    negatives = _counts(buckets[y == 0], _THRESHOLDS)
    return [*positives, *negatives]


def _auc(sums: Sums, _: float) -> MetricValue:
    """The area under the ROC curve, by the trapezoidal rule over the thresholds."""
    positives, negatives = sums[:_THRESHOLDS], sums[_THRESHOLDS:]
    if positives.sum() == 0 or negatives.sum() == 0:
        return MetricValue(None, "AUC needs rows of both classes")
    recall = _cumulated_from_above(positives) / positives.sum()
    fall_out = _cumulated_from_above(negatives) / negatives.sum()
    widths = fall_out[:-1] - fall_out[1:]
    areas = widths * (recall[:-1] + recall[1:]) / 2.0
    return MetricValue(float(areas.sum()))


def _cumulated_from_above(counts: Sums) -> Sums:
    """How many rows score at or above each threshold."""
    return counts[::-1].cumsum()[::-1]


# Regression: y and predicted are values, shape (n,); a metric is in original units, `scale` of them to a standardised one.


def _errors(y: Tensor, predicted: Floats) -> Sums:
    values = np.asarray(y, np.float64)
    return np.asarray(predicted, np.float64) - values


def _absolute_state(y: Tensor, predicted: Floats) -> list[float]:
    """Rows, and the sum of absolute errors."""
    errors = np.abs(_errors(y, predicted))
    return [float(len(errors)), float(errors.sum())]


def _squared_state(y: Tensor, predicted: Floats) -> list[float]:
    """Rows, and the sum of squared errors."""
    squares = np.square(_errors(y, predicted))
    return [float(len(squares)), float(squares.sum())]


def _r2_state(y: Tensor, predicted: Floats) -> list[float]:
    """Rows, the sum of squared errors, and the sums of the targets and of their squares."""
    values = np.asarray(y, np.float64)
    squares = np.square(values)
    return [*_squared_state(y, predicted), float(values.sum()), float(squares.sum())]


def _mae(sums: Sums, scale: float) -> MetricValue:
    mean = quotient(sums).value
    return _NO_ROWS if mean is None else MetricValue(mean * scale)


def _mse(sums: Sums, scale: float) -> MetricValue:
    mean = quotient(sums).value
    return _NO_ROWS if mean is None else MetricValue(mean * scale**2)


def _rmse(sums: Sums, scale: float) -> MetricValue:
    mean = quotient(sums).value
    return _NO_ROWS if mean is None else MetricValue(mean**0.5 * scale)


def _r2(sums: Sums, _: float) -> MetricValue:
    rows, squared_errors, total, squares = sums
    if rows == 0:
        return _NO_ROWS
    spread = float(squares - total**2 / rows)
    if rows < 2 or spread <= _LEAST_SPREAD * float(squares):
        return MetricValue(None, "R2 needs at least two different targets")
    return MetricValue(float(1.0 - squared_errors / spread))


STATES: dict[str, Callable[[Tensor, Floats], list[float]]] = {
    "accuracy": _accuracy_state,
    "precision": _by_class_state,
    "recall": _by_class_state,
    "f1": _by_class_state,
    "auc": _auc_state,
    "mae": _absolute_state,
    "mse": _squared_state,
    "rmse": _squared_state,
    "r2": _r2_state,
}
"""From targets and predictions to each metric's state; `top_k_state` is that of top_K_accuracy."""

VALUES: dict[str, Callable[[Sums, float], MetricValue]] = {
    "accuracy": quotient,
    "precision": _precision,
    "recall": _recall,
    "f1": _f1,
    "auc": _auc,
    "mae": _mae,
    "mse": _mse,
    "rmse": _rmse,
    "r2": _r2,
}
"""From the summed state and the scale to each metric's value; `quotient` is that of top_K_accuracy."""
