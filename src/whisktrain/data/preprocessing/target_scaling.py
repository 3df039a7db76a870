"""Regression targets standardised by the training rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from whisktrain.data.columns.target import Target
from whisktrain.data.preprocessing.fit import LARGEST
from whisktrain.errors import DataError

__all__ = ["ScaledTarget", "scale_target"]


class ScaledTarget(NamedTuple):
    """Targets as the model sees them.

    Attributes:
        y: Class numbers (int64) or standardised values (float32), shape (rows,).
        mean: Regression: mean of the training rows' targets; else 0.
        scale: Regression: their standard deviation; else 1.
    """

    y: NDArray[np.int64] | NDArray[np.float32]
    mean: float
    scale: float


def scale_target(target: Target, held_out: NDArray[np.bool_], *, standardise: bool) -> ScaledTarget:
    """Standardise a regression target by its mean and standard deviation on training rows; classes stay.

    Args:
        target: The target.
        held_out: Which of its rows validate, shape (rows,).
        standardise: Whether to; otherwise values stay as they are.

    Raises:
        DataError: A value is too large.
    """
    if target.classes is not None:
        return ScaledTarget(target.y.astype(np.int64), 0.0, 1.0)
    largest = float(np.abs(target.y).max())
    if largest > LARGEST:
        raise DataError(
            f"The target has values up to {largest:.3g}; expected at most 1e150 in size.",
            code="value_too_large",
        )
    training = target.y[~held_out]
    mean, scale = 0.0, 1.0
    if standardise:
        mean, scale = float(training.mean()), float(training.std()) or 1.0
    with np.errstate(over="ignore"):
        y = ((target.y - mean) / scale).astype(np.float32)
    finite = np.isfinite(y)
    if not finite.all():
        at = int(np.argmin(finite))
        row = int(np.flatnonzero(target.used)[at])
        raise DataError(
            f"The target of row {row + 1} is too far from the others ({target.y[at]:.3g}) for a float32.",
            code="value_too_large",
            hint="Correct the row, or leave its target empty to drop it.",
        )
    return ScaledTarget(y, mean, scale)
