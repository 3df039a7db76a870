"""From sums of loss and metric state to the values that are reported. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from whisktrain import metrics
from whisktrain.spec import Figures, MetricSums, Spec

__all__ = ["add_sums", "combine", "loss_of"]


def add_sums(parts: Iterable[MetricSums | None]) -> MetricSums | None:
    """Add sums of loss and metric state up, number by number, in the order given; None where there are no rows."""
    total: MetricSums | None = None
    for part in parts:
        if part is not None and part["rows"] > 0:
            total = part if total is None else _added(total, part)
    return total


def _added(a: MetricSums, b: MetricSums) -> MetricSums:
    state = {**a["state"], **b["state"]}
    for name in a["state"].keys() & b["state"].keys():
        state[name] = [x + y for x, y in zip(a["state"][name], b["state"][name], strict=True)]
    return {
        "rows": a["rows"] + b["rows"],
        "loss": a["loss"] + b["loss"],
        "divisor": a["divisor"] + b["divisor"],
        "penalty": a["penalty"] + b["penalty"],
        "state": state,
    }


def combine(spec: Spec, parts: Sequence[MetricSums | None]) -> Figures:
    """Add up what the workers sent and compute the final values, once.

    The loss is Keras': the sum of the weighted losses over their divisor, plus the regularisation, once.

    Args:
        spec: The run's plan.
        parts: The "train", "validation" or "training" sums of contributions; None and parts without rows count for nothing.

    Returns:
        `{"rows", "loss", metric, ...}`, with `"undefined": {name: reason}` where a value is None. Of regression, metrics are
        in original units and the loss is in standardised ones, as it is optimised.
    """
    present = [part for part in parts if part is not None and part["rows"] > 0]
    figures: Figures = {"rows": sum(int(part["rows"]) for part in present)}
    undefined: dict[str, str] = {}
    figures["loss"] = loss_of(spec, present)
    if figures["loss"] is None:
        undefined["loss"] = "there are no rows"
    for name in metrics.reported(spec.metrics, spec.task):
        states = [part["state"][name] for part in present if name in part["state"]]
        if present and not states:
            continue
        sums = np.sum(np.asarray(states, np.float64), axis=0) if states else np.zeros(1)
        figures[name], reason = metrics.value(name, list(sums), spec.target_scale)
        if reason:
            undefined[name] = reason
    return {**figures, "undefined": undefined} if undefined else figures


def loss_of(spec: Spec, parts: Sequence[MetricSums | None]) -> float | None:
    """The loss alone, of the parts that `combine` takes; None where there are no rows, or none that count."""
    present = [part for part in parts if part is not None and part["rows"] > 0]
    rows = sum(int(part["rows"]) for part in present)
    divisor = sum(float(part["divisor"]) for part in present)
    if rows == 0 or divisor == 0:
        return None
    loss = sum(float(part["loss"]) for part in present)
    penalty = sum(float(part["penalty"]) for part in present) / rows
    return (loss if spec.loss.get("reduction") == "sum" else loss / divisor) + penalty
