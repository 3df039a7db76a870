"""Dealing prepared rows out to N shards, and saying where that makes them unequal."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from whisktrain.data.shards.splits import by_group, contiguous, strata_of, stratified
from whisktrain.data.shards.storage import Dealt
from whisktrain.errors import DataError
from whisktrain.request import ShardsRequest

__all__ = ["deal"]


def deal(
    x: NDArray[np.float32],
    y: NDArray[Any],
    numbers: NDArray[np.int64],
    held_out: NDArray[np.bool_],
    *,
    task: str,
    how: ShardsRequest,
    groups: list[str] | None,
    workers: int,
    may_reduce: bool,
    seed: int,
) -> tuple[Dealt, int, list[str]]:
    """Give each row its shard or validation slice.

    Args:
        x: Features, shape (rows, *x_shape).
        y: Targets, shape (rows,).
        numbers: The rows' numbers in the source, shape (rows,).
        held_out: Which rows validate, shape (rows,).
        task: "classification" or "regression".
        how: How training rows are spread.
        groups: Each row's group, where shards go by a column.
        workers: How many shards are wanted.
        may_reduce: Whether there may be fewer of them.
        seed: The request's seed.

    Returns:
        The rows with their places, the number of shards, and warnings in sentences.

    Raises:
        DataError: There are fewer rows, or groups, than shards.
    """
    training = np.flatnonzero(~held_out)
    shards, warnings = workers, []
    own = None if groups is None else [groups[row] for row in training]
    for count, what in (
        (len(training), "training rows"),
        (len(set(own)) if own is not None else len(training), "groups of rows"),
    ):
        if count >= shards:
            continue
        if not may_reduce or not count:
            raise DataError(
                f"{workers} workers were asked for, but there are only {count} {what}; expected at least one for each.",
                code="too_many_workers",
                hint=f"Ask for at most {count} workers, or leave the number to 'auto'." if count else "",
            )
        warnings.append(f"There are only {count} {what}, so {count} workers instead of {shards}.")
        shards = count
    strata = strata_of(y, task)
    if own is not None:
        places = by_group(own, shards)
    elif how.how == "contiguous":
        places = contiguous(len(training), shards)
    else:
        places = stratified(strata[training], shards, seed, "shards")
    shard = np.full(len(y), -1, dtype=np.int64)
    shard[training] = places
    slice_ = np.full(len(y), -1, dtype=np.int64)
    slice_[held_out] = stratified(strata[held_out], shards, seed, "slices")
    if how.how != "stratified":
        warnings += _skew(y[training], places, shards, task)
    return Dealt(x, y, numbers, shard, slice_), shards, warnings


def _skew(y: NDArray[Any], places: NDArray[np.int64], shards: int, task: str) -> list[str]:
    """Say where shards differ much in size or in their targets."""
    warnings = []
    sizes = np.bincount(places, minlength=shards)
    if sizes.max() > 1.5 * sizes.min():
        warnings.append(f"The shards differ in size: {int(sizes.min())} to {int(sizes.max())} rows.")
    if task == "classification":
        table = np.zeros((shards, int(y.max()) + 1))
        np.add.at(table, (places, y), 1)
        # Total variation distance between a shard's classes and all rows'.
        distance = 0.5 * np.abs(table / table.sum(axis=1, keepdims=True) - table.sum(axis=0) / table.sum()).sum(axis=1)
    else:
        means = np.array([y[places == k].mean() for k in range(shards)])
        distance = np.abs(means - y.mean()) / (2 * (float(y.std()) or 1.0))
    skewed = np.flatnonzero(distance > 0.2)
    if skewed.size:
        worst = int(np.argmax(distance))
        warnings.append(
            f"The targets of {skewed.size} of {shards} shards differ much from those of all rows (most in shard {worst}); "
            "stratified shards would not."
        )
    return warnings
