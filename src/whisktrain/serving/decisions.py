"""From a model's outputs to decisions: pure functions on arrays, plain JSON numbers out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whisktrain.errors import DataError

__all__ = ["classify", "estimate", "shares"]

_DIGITS = 7
"""Significant digits of an answer: what float32 holds."""


def shares(outputs: NDArray[Any], classes: int) -> NDArray[np.float64]:
    """What a classifier says of each class, as shares with a sum of 1.

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
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
        raise DataError(
            f"The model's output for row {row + 1} is not finite.",
            code="output_not_finite",
            hint="Look for extreme values in the row.",
        )
    values = np.clip(values[:, :classes], 0.0, None)
    total = values.sum(axis=1, keepdims=True)
    return np.where(total > 0, values / np.where(total > 0, total, 1.0), 1.0 / classes)


def classify(certainty: NDArray[np.float64], classes: Sequence[Any], top_k: int) -> list[dict[str, Any]]:
    """Decide on a class for each row.

    Args:
        certainty: Shares, shape (rows, C).
        classes: The C original labels, in the model's order.
        top_k: How many classes to name for each row.

    Returns:
        For each row `{"class": label, "confidence": p, "top": [{"class", "probability"}, …]}`, the likeliest first; equally
        likely ones in the model's order.
    """
    labels = [plain(label) for label in classes]
    order = np.argsort(-certainty, axis=1, kind="stable")[:, : max(1, top_k)]
    found = []
    for row, ranks in zip(certainty, order, strict=True):
        top = [{"class": labels[k], "probability": number(row[k])} for k in ranks]
        found.append({"class": top[0]["class"], "confidence": top[0]["probability"], "top": top})
    return found


def estimate(values: NDArray[Any]) -> list[dict[str, Any]]:
    """A regression's decisions: `{"value": v}` for each row, v None where it is not finite.

    Args:
        values: Shape (rows,), in the target's own units.
    """
    return [{"value": number(v)} for v in np.asarray(values, dtype=np.float64).reshape(-1)]


def number(value: Any) -> float | None:
    """A number as JSON holds it, to the digits that float32 has; None where it is not finite."""
    real = float(value)
    return float(f"{real:.{_DIGITS}g}") if math.isfinite(real) else None


def plain(label: Any) -> Any:
    """A label as JSON holds it: NumPy's scalars as Python's."""
    return label.item() if isinstance(label, np.generic) else label
