"""Metrics as sums that add up across workers: state from predictions, and the value from the summed state.

An average of results is wrong for AUC, F1 or R2; a sum of states is right for all of them. Learners make states, the rounds add
them up, and `value` is computed once, at the end.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from whisktrain.metrics.formulas import STATES, VALUES, MetricValue, quotient, top_k_state
from whisktrain.metrics.names import BASE, canonical, reported, top_k
from whisktrain.tensors import Floats, Tensor

__all__ = ["BASE", "MetricValue", "canonical", "reported", "state", "value"]


def state(name: str, y: Tensor, predicted: Floats) -> list[float]:
    """Compute one worker's state of a metric.

    Args:
        name: A canonical name.
        y: Class numbers, shape (n,), or target values, shape (n,).
        predicted: Probabilities (or scores), shape (n, classes), or predicted values, shape (n,).

    Returns:
        Numbers that add up over disjoint rows.
    """
    k = top_k(name)
    if k is not None:
        return top_k_state(y, predicted, k)
    return STATES[name](y, predicted)


def value(name: str, sums: Sequence[float], scale: float = 1.0) -> MetricValue:
    """Compute the metric itself.

    Args:
        name: A canonical name.
        sums: The states of all workers, added up.
        scale: Regression: how many original units one standardised unit is.

    Returns:
        The value, in original units, and an empty reason; or None and why it is undefined.
    """
    total = np.asarray(sums, np.float64)
    if total.size == 0:
        return MetricValue(None, "AUC is defined for two classes")
    if total.sum() == 0:
        return MetricValue(None, "there are no rows")
    return VALUES.get(name, quotient)(total, scale)
