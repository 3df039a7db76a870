"""Sharding: prepared rows spread over N shards, with a warning where that makes the shards unequal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whisktrain.data.shards.rows import ShardedRows, SplitRows
from whisktrain.data.shards.splits import by_group, contiguous, strata_of, stratified
from whisktrain.errors import DataError
from whisktrain.request import ShardsRequest
from whisktrain.spec import Task

__all__ = ["ShardingPlan", "shard_rows"]

MOST_UNEQUAL = 1.5
"""The ratio of the largest shard to the smallest from which the user is warned."""

MOST_SKEWED = 0.2
"""The distance of a shard's targets from those of all rows from which the user is warned."""


@dataclass(frozen=True, slots=True)
class ShardingPlan:
    """How rows are to be spread.

    Attributes:
        task: "classification" or "regression".
        how: How training rows are spread.
        workers: How many shards are asked for.
        may_reduce: Whether there may be fewer of them.
        seed: The request's seed.
    """

    task: Task
    how: ShardsRequest
    workers: int
    may_reduce: bool
    seed: int


def shard_rows(rows: SplitRows, plan: ShardingPlan) -> ShardedRows:
    """Assign each row its shard or validation slice.

    Raises:
        DataError: There are fewer rows, or groups, than shards.
    """
    training = np.flatnonzero(~rows.held_out)
    groups = None if rows.groups is None else [rows.groups[row] for row in training]
    shards, warnings = _number_of_shards(plan, len(training), groups)
    strata = strata_of(rows.y, plan.task)
    if groups is not None:
        own = by_group(groups, shards)
    elif plan.how.how == "contiguous":
        own = contiguous(len(training), shards)
    else:
        own = stratified(strata[training], shards, plan.seed, "shards")
    shard = np.full(len(rows.y), -1, dtype=np.int64)
    shard[training] = own
    slice_ = np.full(len(rows.y), -1, dtype=np.int64)
    slice_[rows.held_out] = stratified(strata[rows.held_out], shards, plan.seed, "slices")
    if plan.how.how != "stratified":
        warnings += _inequality(rows.y[training], own, shards, plan.task)
    return ShardedRows(rows, shard, slice_, shards, tuple(warnings))


def _number_of_shards(
    plan: ShardingPlan, rows: int, groups: Sequence[str] | None
) -> tuple[int, list[str]]:
    """The number of shards, at most one for each training row and each group; and warnings."""
    shards = plan.workers
    warnings = []
    units = rows if groups is None else len(set(groups))
    for count, what in ((rows, "training rows"), (units, "groups of rows")):
        if count >= shards:
            continue
        if not plan.may_reduce or not count:
            raise DataError(
                f"{plan.workers} workers were asked for, but there are only {count} {what}; expected at least one for each.",
                code="too_many_workers",
                hint=f"Ask for at most {count} workers, or leave the number to 'auto'."
                if count
                else "",
            )
        warnings.append(f"There are only {count} {what}, so {count} workers instead of {shards}.")
        shards = count
    return shards, warnings


def _inequality(
    y: NDArray[np.generic], shard: NDArray[np.int64], shards: int, task: Task
) -> list[str]:
    """Warn where shards differ much in size or in their targets.

    Args:
        y: Targets of the training rows, shape (rows,).
        shard: Each row's shard, shape (rows,).
        shards: How many shards.
        task: "classification" or "regression".
    """
    warnings = []
    sizes = np.bincount(shard, minlength=shards)
    if sizes.max() > MOST_UNEQUAL * sizes.min():
        warnings.append(
            f"The shards differ in size: {int(sizes.min())} to {int(sizes.max())} rows."
        )
    if task == "classification":
        distance = _class_distance(y.astype(np.int64), shard, shards)
    else:
        distance = _mean_distance(y.astype(np.float32), shard, shards)
    skewed = np.flatnonzero(distance > MOST_SKEWED)
    if skewed.size:
        worst = int(np.argmax(distance))
        warnings.append(
            f"The targets of {skewed.size} of {shards} shards differ much from those of all rows (most in shard {worst}); "
            "stratified shards would not."
        )
    return warnings


def _class_distance(
    y: NDArray[np.int64], shard: NDArray[np.int64], shards: int
) -> NDArray[np.float64]:
    """Total variation distance between each shard's classes and all rows', shape (shards,)."""
    counts = np.zeros((shards, int(y.max()) + 1))
    np.add.at(counts, (shard, y), 1)
    of_shard = counts / counts.sum(axis=1, keepdims=True)
    of_all = counts.sum(axis=0) / counts.sum()
    distance: NDArray[np.float64] = 0.5 * np.abs(of_shard - of_all).sum(axis=1)
    return distance


def _mean_distance(
    y: NDArray[np.float32], shard: NDArray[np.int64], shards: int
) -> NDArray[np.float64]:
    """Distance of each shard's mean from all rows', in units of two standard deviations, shape (shards,)."""
    means = np.array([y[shard == k].mean() for k in range(shards)])
    deviation = float(y.std()) or 1.0
    distance: NDArray[np.float64] = np.abs(means - y.mean()) / (2 * deviation)
    return distance
