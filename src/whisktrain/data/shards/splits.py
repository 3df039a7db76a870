"""The validation split, and the shard of each row: seeded, stratified, of nearly equal size. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from whisktrain import seeds

__all__ = ["by_group", "contiguous", "strata_of", "stratified", "validation_rows"]

BINS = 10
"""Quantile bins that a regression target is stratified by."""


def strata_of(y: NDArray[np.generic], task: str) -> NDArray[np.int64]:
    """Assign each row its stratum: its class, or the tenth of the rows (by order of target) that it is in.

    Args:
        y: Class numbers or values, shape (rows,).
        task: "classification" or "regression".

    Returns:
        Whole numbers, shape (rows,).
    """
    if task == "classification":
        return y.astype(np.int64)
    order = np.argsort(y, kind="stable")
    strata = np.empty(len(y), dtype=np.int64)
    bins = min(BINS, max(1, len(y) // 2))
    strata[order] = np.arange(len(y)) * bins // max(1, len(y))
    return strata


def validation_rows(strata: NDArray[np.int64], share: float, seed: int) -> NDArray[np.bool_]:
    """Draw validation rows from each stratum in proportion to its size.

    The number of rows of each stratum is found by largest remainders (equal ones in a drawn order), so that their sum is the
    share of all rows, rounded. The last row of a stratum always stays in training.

    Args:
        strata: Each row's stratum, shape (rows,).
        share: The share of rows to validate on, 0 to 0.9.
        seed: The request's seed.

    Returns:
        Which rows validate, shape (rows,).
    """
    kinds, counts = np.unique(strata, return_counts=True)
    total = int(np.floor(share * len(strata) + 0.5))
    held_out = np.zeros(len(strata), dtype=bool)
    for kind, number in zip(kinds, _largest_remainders(counts, share, total, seed), strict=True):
        rows = np.flatnonzero(strata == kind)
        drawn = seeds.generator(seed, "validation", int(kind)).permutation(len(rows))[:number]
        held_out[rows[drawn]] = True
    return held_out


def _largest_remainders(
    counts: NDArray[np.int64], share: float, total: int, seed: int
) -> NDArray[np.int64]:
    """A share of each count in whole numbers whose sum is `total`, each below its count; shape (counts,)."""
    exact = share * counts
    numbers: NDArray[np.int64] = np.floor(exact).astype(
        np.int64
    )  # below the count, as the share is at most 0.9
    order = seeds.generator(seed, "seats").permutation(len(counts))
    while numbers.sum() < total and (numbers < counts - 1).any():
        remainders = np.where(numbers < counts - 1, exact - numbers, -np.inf)[order]
        numbers[order[int(np.argmax(remainders))]] += 1
    return numbers


def stratified(
    strata: NDArray[np.int64], shards: int, seed: int, purpose: str
) -> NDArray[np.int64]:
    """Spread rows so that shards differ by at most one row, and by at most one row of each stratum.

    Args:
        strata: Each row's stratum, shape (rows,).
        shards: How many shards.
        seed: The request's seed.
        purpose: What is drawn, in a word.

    Returns:
        Each row's shard, shape (rows,).
    """
    drawn = [np.empty(0, dtype=np.int64)]
    for kind in np.unique(strata):
        rows = np.flatnonzero(strata == kind)
        order = seeds.generator(seed, purpose, int(kind)).permutation(len(rows))
        drawn.append(rows[order])
    shard = np.empty(len(strata), dtype=np.int64)
    shard[np.concatenate(drawn)] = np.arange(len(strata)) % shards
    return shard


def contiguous(rows: int, shards: int) -> NDArray[np.int64]:
    """Cut rows, in their order, into shards that differ by at most one row.

    Returns:
        Each row's shard, shape (rows,).
    """
    sizes = [len(part) for part in np.array_split(np.arange(rows), shards)]
    return np.repeat(np.arange(shards), sizes)


def by_group(groups: Sequence[str], shards: int) -> NDArray[np.int64]:
    """Keep rows of one group together: the largest group first, each to the shard that has fewest rows.

    Args:
        groups: Each row's group, shape (rows,).
        shards: How many shards, at most the number of groups.

    Returns:
        Each row's shard, shape (rows,).
    """
    names, group, counts = np.unique(
        np.asarray(groups, dtype=str), return_inverse=True, return_counts=True
    )
    of_group = np.empty(len(names), dtype=np.int64)
    sizes = np.zeros(shards, dtype=np.int64)
    largest_first = sorted(range(len(names)), key=lambda at: (-int(counts[at]), at))
    for at in largest_first:
        smallest_shard = int(np.argmin(sizes))
        of_group[at] = smallest_shard
        sizes[smallest_shard] += counts[at]
    found: NDArray[np.int64] = of_group[group]
    return found
