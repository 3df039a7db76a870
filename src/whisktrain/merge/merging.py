"""From a round's contributions to the next parameters: add up in shard order, divide once, update, constrain.

Gradient mode: g = (sum of the gradient sums) / (sum of their divisors), then one step of the run's optimizer; so a round equals
one step on the union of the rows. Local mode: the changes are averaged by rows, and the outer optimizer takes them as its
gradient (FedAvg: McMahan et al., arXiv:1602.05629; DiLoCo's Nesterov: Douillard et al., arXiv:2311.08105).

The layout names every tensor with its role: "trainable"; "frozen" (never changes, bit for bit); "mean" and "variance" of a
batch normalisation. Batch statistics are pooled by rows: m = sum n_k m_k / n and v = sum n_k (v_k + (m_k - m)^2) / n, which is
the union's second moment less the squared mean, and never negative.

Local mode pools too, so that the merged model normalises by the spread of all rows, and one local step gives what gradient mode
gives. A worker sends its moving averages after K steps, which hold d = momentum^K of where the round started and 1 - d of its
own batches: what these contributed, M_k = (m_k - d m_0) / (1 - d), is what is compared between workers. With shares s_k of the
rows: m = sum s_k m_k and v = sum s_k v_k + sum s_k (1 - d_k) (M_k - M)^2, M the mean of the M_k by s_k (1 - d_k).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from whisktrain.errors import Damaged
from whisktrain.merge import optimizers
from whisktrain.merge.constraints import constrain
from whisktrain.spec import Contribution, Layout, OptimizerConfig, Role, Spec
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
    """Merge a round, in place: beside what is given, no memory is needed for a second copy of a large tensor.

    Args:
        spec: The run's plan: mode, optimizer, outer optimizer, loss.
        layout: The model's tensors, in the model's order.
        round: The round's number from 1; the optimizer's step.
        params: The tensors that the round started from; they become the next ones.
        optimizer_state: The optimizer's state that belongs to them; empty for round 1. It becomes the next one.
        contributions: What is merged, in ascending shard order; their tensors are used up. Those without tensors count for
            nothing.

    Returns:
        The next parameters (all tensors of the layout) and their state. Where no shard had a row, the same again.

    Raises:
        Damaged: A contribution lacks a tensor of the layout; nothing was changed.
    """
    parts = [part for part in contributions if part.tensors]
    divisor = sum(float(part.numbers["divisor"]) for part in parts)
    if not parts or divisor <= 0:
        return Merged(params, optimizer_state)
    _check(layout, params, parts)
    trainable = {
        entry["name"]: entry for entry in layout["tensors"] if entry["role"] == "trainable"
    }
    shares = _shares(parts)
    if spec.sync == "gradient":
        statistics = _pooled_statistics(layout, params, parts, shares)
        statistics = _moving_averages(layout, params, statistics)
        mean = None if spec.loss.get("reduction") == "sum" else divisor
        gradients: Tensors = {
            name: _sum(parts, name, params[name].dtype, mean) for name in trainable
        }
        optimizers.apply(spec.optimizer, round, params, optimizer_state, gradients)
    else:
        statistics = _pooled_moving_averages(spec, layout, params, parts, shares)
        changes: Tensors = {name: _average_change(parts, name, shares) for name in trainable}
        _outer_step(spec, round, params, optimizer_state, changes)
    for name, entry in trainable.items():
        if entry.get("constraint"):
            params[name] = constrain(entry["constraint"], _floats(params, name))
    return Merged(params | statistics, optimizer_state)


def _check(layout: Layout, params: Tensors, parts: Sequence[Contribution]) -> None:
    """Check that each contribution has each tensor, of the shape of the weight that it belongs to."""
    for part in parts:
        for entry in layout["tensors"]:
            if entry["role"] == "frozen":
                continue
            found, shape = part.tensors.get(entry["name"]), params[entry["name"]].shape
            if found is None or found.shape != shape:
                received = "none" if found is None else f"one of shape {found.shape}"
                raise Damaged(
                    f"a contribution was expected to hold {entry['name']} of shape {shape}; it holds {received}."
                )


def _shares(parts: Sequence[Contribution]) -> list[float]:
    """Each contribution's share of the rows."""
    rows = [float(part.numbers["rows"]) for part in parts]
    return [n / sum(rows) for n in rows]


def _outer_step(
    spec: Spec, round_: int, params: Tensors, optimizer_state: Tensors, changes: Tensors
) -> None:
    """Local mode: apply the average change of each trainable weight by the outer optimizer, in place."""
    if spec.outer["name"] == "average":
        for name, change in changes.items():
            weight = params[name] = optimizers.writable(params[name])
            np.add(_floats(params, name), change, out=weight)
        return
    outer: OptimizerConfig = {
        "name": "sgd",
        "nesterov": True,
        "learning_rate": spec.outer["learning_rate"],
        "momentum": spec.outer["momentum"],
    }
    for change in changes.values():
        np.negative(change, out=change)
    optimizers.apply(outer, round_, params, optimizer_state, changes)


def _pooled_statistics(
    layout: Layout, params: Tensors, parts: Sequence[Contribution], shares: Sequence[float]
) -> Tensors:
    """Means and variances of batch normalisations, pooled over the contributions by rows."""
    entries = {entry["name"]: entry for entry in layout["tensors"]}
    pooled = _averages(layout, params, parts, shares, "mean")
    for name, entry in entries.items():
        if entry["role"] == "variance":
            pooled[name] = _pooled_variance(
                [_floats(part.tensors, name) for part in parts],
                [_floats(part.tensors, entry["mean"]) for part in parts],
                shares,
                _floats(pooled, entry["mean"]),
            )
    return pooled


def _pooled_variance(
    variances: Sequence[Floats], means: Sequence[Floats], shares: Sequence[float], centre: Floats
) -> Floats:
    """The pooled variance around the pooled mean `centre`."""
    if len(variances) == 1:
        return variances[0]
    total = np.zeros_like(centre)
    for variance, mean, share in zip(variances, means, shares, strict=True):
        total += (variance + np.square(mean - centre)) * centre.dtype.type(share)
    return total


def _averages(
    layout: Layout,
    params: Tensors,
    parts: Sequence[Contribution],
    shares: Sequence[float],
    role: Role,
) -> Tensors:
    """The averages by rows of all tensors with a role."""
    averages: Tensors = {}
    for entry in layout["tensors"]:
        if entry["role"] == role:
            name = entry["name"]
            average = np.empty_like(_floats(params, name))
            _average([_floats(part.tensors, name) for part in parts], shares, average)
            averages[name] = average
    return averages


def _pooled_moving_averages(
    spec: Spec,
    layout: Layout,
    params: Tensors,
    parts: Sequence[Contribution],
    shares: Sequence[float],
) -> Tensors:
    """Local mode: the workers' moving means and variances, pooled; of one worker, its own."""
    pooled = _averages(layout, params, parts, shares, "mean")
    pooled |= _averages(layout, params, parts, shares, "variance")
    if len(parts) == 1:
        return pooled
    for entry in layout["tensors"]:
        if entry["role"] == "variance":
            kept = [entry["momentum"] ** _steps(spec, part) for part in parts]
            weights = [share * (1.0 - k) for share, k in zip(shares, kept, strict=True)]
            own = _own_means(entry["mean"], params, parts, kept)
            variance = _floats(pooled, entry["name"])
            pooled[entry["name"]] = variance + _spread(own, weights).astype(variance.dtype)
    return pooled


def _own_means(
    name: str, params: Tensors, parts: Sequence[Contribution], kept: Sequence[float]
) -> list[NDArray[np.float64]]:
    """The mean of each worker's own batches: its moving mean without what was kept of where the round started."""
    start = params[name].astype(np.float64)
    return [
        (_floats(part.tensors, name) - k * start) / (1.0 - k) if k < 1.0 else start
        for part, k in zip(parts, kept, strict=True)
    ]


def _steps(spec: Spec, part: Contribution) -> int:
    """The local steps of a contribution: full batches, and the rest of the epoch."""
    return -(-part.numbers["rows"] // spec.batch) if spec.batch else 1


def _spread(means: Sequence[NDArray[np.float64]], weights: Sequence[float]) -> NDArray[np.float64]:
    """The weighted sum of the squared distances from the weighted mean; 0 without weight."""
    total = sum(weights)
    spread = np.zeros_like(means[0])
    if total <= 0.0:
        return spread
    centre = np.zeros_like(means[0])
    for mean, weight in zip(means, weights, strict=True):
        centre += mean * (weight / total)
    for mean, weight in zip(means, weights, strict=True):
        spread += np.square(mean - centre) * weight
    return spread


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


def _sum(
    parts: Sequence[Contribution], name: str, dtype: np.dtype[np.generic], divisor: float | None
) -> Floats:
    """The gradient of a weight on the union of the rows, in the first contribution's memory; the others' is given back."""
    first = parts[0].tensors.pop(name).astype(dtype, copy=False)
    total = cast(Floats, optimizers.writable(first))
    for part in parts[1:]:
        total += cast(Floats, part.tensors.pop(name))
    if divisor is not None:
        total /= total.dtype.type(divisor)
    return total


def _average_change(parts: Sequence[Contribution], name: str, shares: Sequence[float]) -> Floats:
    """The average change of a weight, in the first contribution's memory."""
    changes = [cast(Floats, part.tensors.pop(name)) for part in parts]
    average = cast(Floats, optimizers.writable(changes[0]))
    _average(changes, shares, average)
    return average


def _average(values: Sequence[Floats], shares: Sequence[float], average: Floats) -> None:
    """Write the average by rows; `average` may be one of the values. One value alone stays as it is, bit for bit."""
    flat, out, kind = [v.reshape(-1) for v in values], average.reshape(-1), average.dtype.type
    for piece in optimizers.pieces(average.size):
        total = flat[0][piece]
        if len(values) > 1:
            total = np.zeros_like(out[piece])
            for value, share in zip(flat, shares, strict=True):
                total += value[piece] * kind(share)
        out[piece] = total


def _floats(tensors: Mapping[str, np.ndarray], name: str) -> Floats:
    return cast(Floats, tensors[name])
