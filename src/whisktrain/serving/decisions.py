"""From a model's outputs to decisions: pure functions on arrays, plain JSON numbers out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias, TypedDict

import numpy as np
from numpy.typing import NDArray

from whisktrain.errors import DataError
from whisktrain.spec import Label
from whisktrain.tensors import Floats

__all__ = [
    "ClassDecision",
    "ClassProbability",
    "Decision",
    "ValueDecision",
    "classify",
    "estimate",
    "shares",
]

_DIGITS = 7
"""Significant digits of an answer: what float32 holds."""

ClassProbability = TypedDict("ClassProbability", {"class": Label, "probability": float})
"""One class of a row and how likely it is."""

ClassDecision = TypedDict(
    "ClassDecision", {"class": Label, "confidence": float, "top": list[ClassProbability]}
)
"""A row's likeliest class, its probability, and the likeliest classes."""


class ValueDecision(TypedDict):
    """A row's value; None where it is not finite."""

    value: float | None


Decision: TypeAlias = ClassDecision | ValueDecision


def shares(outputs: Floats, classes: int) -> NDArray[np.float64]:
    """Normalise a classifier's outputs to shares of each class with a sum of 1.

    Args:
        outputs: Probabilities, shape (rows, units). Normalised to a sum of 1, as Keras' own cross-entropy does; units beyond
            the known classes were never trained and are left out.
        classes: Number of classes C.

    Returns:
        Shape (rows, C).

    Raises:
        DataError: The units do not fit the classes, or an output is not finite.
    """
    values = np.asarray(outputs, dtype=np.float64).reshape(len(outputs), -1)
    if values.shape[1] < classes:
        raise DataError(
            f"The model has {values.shape[1]} outputs for {classes} classes.",
            code="outputs_do_not_fit",
            hint="Train it again on this data.",
        )
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        raise DataError(
            f"The model's output for row {row + 1} is not finite.",
            code="output_not_finite",
            hint="Look for extreme values in the row.",
        )
    values = np.clip(values[:, :classes], 0.0, None)
    total = values.sum(axis=1, keepdims=True)
    divisor = np.where(total > 0, total, 1.0)
    return np.where(total > 0, values / divisor, 1.0 / classes)


def classify(
    certainty: NDArray[np.float64], classes: Sequence[Label | np.generic], top_k: int
) -> list[ClassDecision]:
    """Decide on a class for each row.

    Args:
        certainty: Shares, shape (rows, C).
        classes: The C original labels, in the model's order.
        top_k: How many classes to name for each row.

    Returns:
        A decision for each row, the likeliest classes first; equally likely ones in the model's order.
    """
    labels = [_plain(label) for label in classes]
    ranked = np.argsort(-certainty, axis=1, kind="stable")[:, : max(1, top_k)]
    decisions: list[ClassDecision] = []
    for row, ranks in zip(certainty, ranked, strict=True):
        top: list[ClassProbability] = [
            {"class": labels[k], "probability": _rounded(row[k])} for k in ranks
        ]
        likeliest = top[0]
        decisions.append(
            {"class": likeliest["class"], "confidence": likeliest["probability"], "top": top}
        )
    return decisions


def estimate(values: Floats) -> list[ValueDecision]:
    """A regression's decisions.

    Args:
        values: Shape (rows,), in the target's own units.
    """
    numbers = np.asarray(values, dtype=np.float64).reshape(-1)
    return [{"value": _rounded(number) if math.isfinite(number) else None} for number in numbers]


def _rounded(number: float) -> float:
    """A finite number to the digits that float32 has."""
    return float(f"{float(number):.{_DIGITS}g}")


def _plain(label: Label | np.generic) -> Label:
    """A label as JSON holds it: NumPy's scalars as Python's."""
    if not isinstance(label, np.generic):
        return label
    plain: Label = label.item()
    return plain
