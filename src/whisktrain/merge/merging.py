"""From a round's contributions to the next parameters: add up in shard order, divide once, update, constrain.

Gradient mode: g = (sum of the gradient sums) / (sum of their divisors), then one step of the run's optimizer; so a round equals
one step on the union of the rows. Local mode: the changes are averaged by rows, and the outer optimizer takes them as its
gradient (FedAvg: McMahan et al., arXiv:1602.05629; DiLoCo's Nesterov: Douillard et al., arXiv:2311.08105).

The layout names every tensor with its role: "trainable"; "frozen" (never changes, bit for bit); "mean" and "variance" of a
batch normalisation. Batch statistics are pooled by rows: m = sum n_k m_k / n and v = sum n_k (v_k + (m_k - m)^2) / n, which is
the union's second moment less the squared mean, and never negative.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from whisktrain.errors import Damaged
from whisktrain.merge import optimizers
from whisktrain.merge.constraints import constrain
from whisktrain.spec import Contribution, Spec
from whisktrain.tensors import Tensors

__all__ = ["Merged", "merge"]


@dataclass(frozen=True, slots=True)
class Merged:
    """The parameters that the next round starts from, and the optimizer's state that belongs to them."""

    params: Tensors
    moments: Tensors


def _tensor(part: Contribution, entry: Mapping[str, Any], like: Any) -> Any:
    found: Any = part.tensors.get(entry["name"])
    if found is None or found.shape != like.shape:
        received = "none" if found is None else f"one of shape {found.shape}"
        raise Damaged(f"a contribution was expected to hold {entry['name']} of shape {like.shape}; it holds {received}.")
    return found


def _sum(parts: Sequence[Contribution], entry: Mapping[str, Any], like: Any) -> Any:
    total = np.array(_tensor(parts[0], entry, like), dtype=like.dtype)
    for part in parts[1:]:
        total += _tensor(part, entry, like)
    return total


def _average(parts: Sequence[Contribution], shares: Sequence[float], entry: Mapping[str, Any], like: Any) -> Any:
    if len(parts) == 1:
        return _tensor(parts[0], entry, like)
    kind = like.dtype.type
    total = np.zeros_like(like)
    for part, share in zip(parts, shares, strict=True):
        total += _tensor(part, entry, like) * kind(share)
    return total


def _statistics(
    layout: Mapping[str, Any], params: Tensors, parts: Sequence[Contribution], shares: Sequence[float], moving: bool
) -> Tensors:
    """Pooled means and variances; in gradient mode (`moving`) they enter Keras' moving averages here, once."""
    entries = {entry["name"]: entry for entry in layout["tensors"]}
    pooled: Tensors = {}
    for name, entry in entries.items():
        if entry["role"] == "mean":
            pooled[name] = _average(parts, shares, entry, params[name])
    for name, entry in entries.items():
        if entry["role"] == "variance":
            like: Any = params[name]
            if len(parts) == 1:
                pooled[name] = _tensor(parts[0], entry, like)
                continue
            centre: Any = pooled[entry["mean"]]
            total = np.zeros_like(like)
            for part, share in zip(parts, shares, strict=True):
                off = _tensor(part, entries[entry["mean"]], like) - centre
                total += (_tensor(part, entry, like) + np.square(off)) * like.dtype.type(share)
            pooled[name] = total
    if not moving:
        return pooled
    after: Tensors = {}
    for name, new in pooled.items():
        kind, momentum = new.dtype.type, entries[name]["momentum"]
        old: Any = params[name]
        value: Any = new
        after[name] = old * kind(momentum) + value * kind(1.0 - momentum)
    return after


def merge(  # noqa: PLR0917 - what a merge is a function of
    spec: Spec,
    layout: Mapping[str, Any],
    round: int,  # noqa: A002 - the word of the protocol
    params: Tensors,
    moments: Tensors,
    contributions: Sequence[Contribution],
) -> Merged:
    """Merge a round.

    Args:
        spec: The run's plan: mode, optimizer, outer optimizer, loss.
        layout: `{"tensors": [{"name", "role", "constraint"?, "momentum"?, "mean"?}, ...]}`, in the model's order.
        round: The round's number from 1; the optimizer's step.
        params: The tensors that the round started from.
        moments: The optimizer's state that belongs to them; empty for round 1.
        contributions: What was merged, in ascending shard order. Those without tensors count for nothing.

    Returns:
        The next parameters (all tensors of the layout) and their state. Where nobody had a row, the same again.

    Raises:
        Damaged: A contribution lacks a tensor of the layout.
    """
    parts = [part for part in contributions if part.tensors]
    rows = [float(part.numbers["rows"]) for part in parts]
    divisor = sum(float(part.numbers["divisor"]) for part in parts)
    if not parts or divisor <= 0:
        return Merged(dict(params), dict(moments))
    trainable = [entry for entry in layout["tensors"] if entry["role"] == "trainable"]
    shares = [n / sum(rows) for n in rows]
    step: Tensors = {}
    if spec.sync == "gradient":
        divide = spec.loss.get("reduction") != "sum"
        for entry in trainable:
            total = _sum(parts, entry, params[entry["name"]])
            step[entry["name"]] = total / total.dtype.type(divisor) if divide else total
        fresh, after = optimizers.apply(spec.optimizer, round, params, moments, step)
    else:
        change = {e["name"]: _average(parts, shares, e, params[e["name"]]) for e in trainable}
        if spec.outer["name"] == "average":
            fresh, after = {name: params[name] + delta for name, delta in change.items()}, {}
        else:
            outer = {"name": "sgd", "nesterov": True, **{k: spec.outer[k] for k in ("learning_rate", "momentum")}}
            fresh, after = optimizers.apply(outer, round, params, moments, {n: np.negative(d) for n, d in change.items()})
    for entry in trainable:
        if entry.get("constraint"):
            fresh[entry["name"]] = constrain(entry["constraint"], fresh[entry["name"]])
    fresh |= _statistics(layout, params, parts, shares, moving=spec.sync == "gradient")
    return Merged({**params, **fresh}, after)
