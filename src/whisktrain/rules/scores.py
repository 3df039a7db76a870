"""From sums of loss and metric state to the values that are reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from whisktrain import metrics
from whisktrain.spec import Spec

__all__ = ["combine", "names"]


def names(spec: Spec) -> tuple[str, ...]:
    """The metrics to report, in order: the task's own, then the requested ones (canonical names)."""
    asked = (metrics.canonical(name, spec.task) for name in spec.metrics)
    return tuple(dict.fromkeys((*metrics.BASE[spec.task], *asked)))


def combine(spec: Spec, parts: Sequence[Mapping[str, Any] | None]) -> dict[str, Any]:
    """Add up what the workers sent and compute the final values, once.

    The loss is Keras': the sum of the weighted losses over their divisor, plus the regularisation, once.

    Args:
        spec: The run's plan.
        parts: The "train", "validation" or "training" parts of contributions: `{"rows", "loss", "divisor", "penalty",
            "state": {metric: sums}}`; None and parts without rows count for nothing.

    Returns:
        `{"rows": int, "loss": float | None, metric: float | None, ...}`, with `"undefined": {name: reason}` where a value is
        None. Of regression, metrics are in original units and the loss is in standardised ones, as it is optimised.
    """
    present = [part for part in parts if part is not None and part["rows"] > 0]
    rows = sum(int(part["rows"]) for part in present)
    result: dict[str, Any] = {"rows": rows}
    undefined: dict[str, str] = {}
    divisor = sum(float(part["divisor"]) for part in present)
    summed = sum(float(part["loss"]) for part in present)
    if rows == 0 or divisor == 0:
        result["loss"], undefined["loss"] = None, "there are no rows"
    else:
        penalty = sum(float(part["penalty"]) for part in present) / rows
        result["loss"] = (summed if spec.loss.get("reduction") == "sum" else summed / divisor) + penalty
    for name in names(spec):
        states = [part["state"][name] for part in present if name in part["state"]]
        if not states and rows > 0:
            continue
        sums = np.sum(np.asarray(states, np.float64), axis=0) if states else [0.0]
        result[name], reason = metrics.value(name, list(sums), spec.target_scale)
        if reason:
            undefined[name] = reason
    if undefined:
        result["undefined"] = undefined
    return result
