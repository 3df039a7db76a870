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
from typing import cast

import numpy as np

from whisktrain.errors import Damaged
from whisktrain.merge import optimizers
from whisktrain.merge.constraints import constrain
from whisktrain.spec import Contribution, Layout, OptimizerConfig, Spec, TensorEntry
from whisktrain.tensors import Floats, Tensors

__all__ = ["Merged", "merge"]


@dataclass(frozen=True, slots=True)
class Merged:
    """The result of a merge.

    Attributes:
        params: The parameters that the next round starts from.
        optimizer_state: The optimizer's state that belongs to them.
    """

    params: Tensors
    optimizer_state: Tensors


def merge(  # noqa: PLR0917 - what a merge is a function of
    spec: Spec,
    layout: Layout,
    round: int,  # noqa: A002 - the word of the protocol
    params: Tensors,
    optimizer_state: Tensors,
    contributions: Sequence[Contribution],
) -> Merged:
    """Merge a round.

    Args:
        spec: The run's plan: mode, optimizer, outer optimizer, loss.
        layout: The model's tensors, in the model's order.
        round: The round's number from 1; the optimizer's step.
        params: The tensors that the round started from.
        optimizer_state: The optimizer's state that belongs to them; empty for round 1.
        contributions: What is merged, in ascending shard order. Those without tensors count for nothing.

    Returns:
        The next parameters (all tensors of the layout) and their state. Where no shard had a row, the same again.

    Raises:
        Damaged: A contribution lacks a tensor of the layout.
    """
    parts = [part for part in contributions if part.tensors]
    divisor = sum(float(part.numbers["divisor"]) for part in parts)
    if not parts or divisor <= 0:
        return Merged(dict(params), dict(optimizer_state))
    trainable = [entry for entry in layout["tensors"] if entry["role"] == "trainable"]
    shares = _shares(parts)
    if spec.sync == "gradient":
        gradients = _gradients(spec, trainable, params, parts, divisor)
        fresh, after = optimizers.apply(spec.optimizer, round, params, optimizer_state, gradients)
    else:
        fresh, after = _outer_step(spec, round, trainable, params, optimizer_state, parts, shares)
    for entry in trainable:
        if entry.get("constraint"):
            fresh[entry["name"]] = constrain(entry["constraint"], _floats(fresh, entry["name"]))
    statistics = _pooled_statistics(layout, params, parts, shares)
    fresh |= _moving_averages(layout, params, statistics) if spec.sync == "gradient" else statistics
    return Merged({**params, **fresh}, after)


def _shares(parts: Sequence[Contribution]) -> list[float]:
    """Each contribution's share of the rows."""
    rows = [float(part.numbers["rows"]) for part in parts]
    return [n / sum(rows) for n in rows]


def _gradients(
    spec: Spec,
    trainable: Sequence[TensorEntry],
    params: Tensors,
    parts: Sequence[Contribution],
    divisor: float,
) -> Tensors:
    """The gradient of each trainable weight on the union of the rows."""
    gradients: Tensors = {}
    for entry in trainable:
        total = _sum(parts, entry, _floats(params, entry["name"]))
        summed = spec.loss.get("reduction") == "sum"
        gradients[entry["name"]] = total if summed else total / total.dtype.type(divisor)
    return gradients


def _outer_step(  # noqa: PLR0917
    spec: Spec,
    round_: int,
    trainable: Sequence[TensorEntry],
    params: Tensors,
    optimizer_state: Tensors,
    parts: Sequence[Contribution],
    shares: Sequence[float],
) -> tuple[Tensors, Tensors]:
    """Local mode: apply the average change of each trainable weight by the outer optimizer."""
    changes = {e["name"]: _average(parts, shares, e, _floats(params, e["name"])) for e in trainable}
    if spec.outer["name"] == "average":
        return {name: _floats(params, name) + change for name, change in changes.items()}, {}
    outer: OptimizerConfig = {
        "name": "sgd",
        "nesterov": True,
        "learning_rate": spec.outer["learning_rate"],
        "momentum": spec.outer["momentum"],
    }
    gradients: Tensors = {name: np.negative(change) for name, change in changes.items()}
    return optimizers.apply(outer, round_, params, optimizer_state, gradients)


def _pooled_statistics(
    layout: Layout, params: Tensors, parts: Sequence[Contribution], shares: Sequence[float]
) -> Tensors:
    """Means and variances of batch normalisations, pooled over the contributions by rows."""
    entries = {entry["name"]: entry for entry in layout["tensors"]}
    pooled: Tensors = {}
    for name, entry in entries.items():
        if entry["role"] == "mean":
            pooled[name] = _average(parts, shares, entry, _floats(params, name))
    for name, entry in entries.items():
        if entry["role"] == "variance":
            mean = entries[entry["mean"]]
            centre = _floats(pooled, mean["name"])
            pooled[name] = _pooled_variance(parts, shares, entry, mean, centre)
    return pooled


def _pooled_variance(
    parts: Sequence[Contribution],
    shares: Sequence[float],
    entry: TensorEntry,
    mean: TensorEntry,
    centre: Floats,
) -> Floats:
    """The pooled variance around the pooled mean `centre`."""
    if len(parts) == 1:
        return _tensor(parts[0], entry, centre)
    total = np.zeros_like(centre)
    for part, share in zip(parts, shares, strict=True):
        offset = _tensor(part, mean, centre) - centre
        total += (_tensor(part, entry, centre) + np.square(offset)) * centre.dtype.type(share)
    return total


def _moving_averages(layout: Layout, params: Tensors, statistics: Tensors) -> Tensors:
    """Keras' moving averages after one step with the batch statistics."""
    momentum_of = {
        e["name"]: e["momentum"] for e in layout["tensors"] if e["role"] in ("mean", "variance")
    }
    after: Tensors = {}
    for name in statistics:
        old, new = _floats(params, name), _floats(statistics, name)
        kind, momentum = new.dtype.type, momentum_of[name]
        after[name] = old * kind(momentum) + new * kind(1.0 - momentum)
    return after


def _sum(parts: Sequence[Contribution], entry: TensorEntry, like: Floats) -> Floats:
    total = np.array(_tensor(parts[0], entry, like), dtype=like.dtype)
    for part in parts[1:]:
        total += _tensor(part, entry, like)
    return total


def _average(
    parts: Sequence[Contribution], shares: Sequence[float], entry: TensorEntry, like: Floats
) -> Floats:
    if len(parts) == 1:
        return _tensor(parts[0], entry, like)
    kind = like.dtype.type
    total = np.zeros_like(like)
    for part, share in zip(parts, shares, strict=True):
        total += _tensor(part, entry, like) * kind(share)
    return total


def _tensor(part: Contribution, entry: TensorEntry, like: Floats) -> Floats:
    """A contribution's tensor, which must have the shape of the weight that it belongs to."""
    found = part.tensors.get(entry["name"])
    if found is None or found.shape != like.shape:
        received = "none" if found is None else f"one of shape {found.shape}"
        raise Damaged(
            f"a contribution was expected to hold {entry['name']} of shape {like.shape}; it holds {received}."
        )
    return cast(Floats, found)


def _floats(tensors: Mapping[str, np.ndarray], name: str) -> Floats:
    return cast(Floats, tensors[name])
