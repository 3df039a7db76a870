"""Validation on the latest rows: whether a table's rows have an order of time, and where it is cut. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["is_in_order", "latest_rows"]

MOSTLY = 0.9
"""The share of rows with a time, and of steps in one direction, from which rows are in order of time."""

FEWEST_MOMENTS = 5


def is_in_order(times: NDArray[np.float64]) -> bool:
    """Whether rows stand in order of time, forwards or backwards; each of several series may begin anew.

    Args:
        times: Each row's time, NaN where it has none, shape (rows,).
    """
    known = times[~np.isnan(times)]
    if len(known) < MOSTLY * len(times) or len(np.unique(known)) < FEWEST_MOMENTS:
        return False
    steps = np.diff(known)
    return bool(max((steps >= 0).mean(), (steps <= 0).mean()) >= MOSTLY)


def latest_rows(times: NDArray[np.float64], share: float) -> NDArray[np.bool_] | None:
    """The latest rows, such that rows of one moment stay together.

    Args:
        times: Each row's time, NaN where it has none: such rows are never among the latest. Shape (rows,).
        share: The share of rows to choose, above 0.

    Returns:
        Which rows are chosen, shape (rows,): as many as the share says, or as few more or less as the moments allow; None where
        all rows have one moment.
    """
    moments, counts = np.unique(times[~np.isnan(times)], return_counts=True)
    if len(moments) < 2:
        return None
    rows_from = np.cumsum(counts[::-1])[::-1][1:]
    nearest = int(np.argmin(np.abs(rows_from - share * len(times))))
    with np.errstate(invalid="ignore"):
        return np.asarray(times >= moments[1 + nearest], dtype=bool)
