"""Which rows validate, and which shard holds which row: seeded, stratified, of nearly equal size. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from whisktrain import seeds

__all__ = ["by_group", "contiguous", "strata_of", "stratified", "validation_rows"]

BINS = 10
"""Quantile bins that a regression target is stratified by."""


def strata_of(y: NDArray[np.generic], task: str) -> NDArray[np.int64]:
    """The stratum of each row: its class, or the tenth of the rows (by order of target) that it is in.

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
    strata[order] = np.arange(len(y)) * min(BINS, max(1, len(y) // 2)) // max(1, len(y))
    return strata


def validation_rows(strata: NDArray[np.int64], share: float, seed: int) -> NDArray[np.bool_]:
    """Draw validation rows from each stratum in proportion to its size.

    The seats are given by largest remainders (equal ones in a drawn order), so that their sum is the share of all rows,
    rounded. The last row of a stratum always stays in training.

    Args:
        strata: Each row's stratum, shape (rows,).
        share: The share of rows to validate on, 0 to 0.9.
        seed: The request's seed.

    Returns:
        Which rows validate, shape (rows,).
    """
    chosen = np.zeros(len(strata), dtype=bool)
    kinds, counts = np.unique(strata, return_counts=True)
    total = int(np.floor(share * len(strata) + 0.5))
    exact = share * counts
    seats = np.floor(exact).astype(np.int64)  # below the count, as the share is at most 0.9
    drawn_order = seeds.generator(seed, "seats").permutation(len(kinds))
    while seats.sum() < total and (seats < counts - 1).any():
        rest = np.where(seats < counts - 1, exact - seats, -np.inf)[drawn_order]
        seats[drawn_order[int(np.argmax(rest))]] += 1
    for kind, number in zip(kinds, seats, strict=True):
        rows = np.flatnonzero(strata == kind)
        drawn = seeds.generator(seed, "validation", int(kind)).permutation(len(rows))[:number]
        chosen[rows[drawn]] = True
    return chosen


def stratified(strata: NDArray[np.int64], shards: int, seed: int, purpose: str) -> NDArray[np.int64]:
    """Deal rows out so that shards differ by at most one row, and by at most one row of each stratum.

    Args:
        strata: Each row's stratum, shape (rows,).
        shards: How many shards.
        seed: The request's seed.
        purpose: What is dealt, in a word.

    Returns:
        Each row's shard, shape (rows,).
    """
    dealt = np.concatenate(
        [
            rows[seeds.generator(seed, purpose, int(kind)).permutation(len(rows))]
            for kind in np.unique(strata)
            for rows in [np.flatnonzero(strata == kind)]
        ]
        or [np.empty(0, dtype=np.int64)]
    )
    shard = np.empty(len(strata), dtype=np.int64)
    shard[dealt] = np.arange(len(strata)) % shards
    return shard


def contiguous(rows: int, shards: int) -> NDArray[np.int64]:
    """Cut rows, in their order, into shards that differ by at most one row.

    Returns:
        Each row's shard, shape (rows,).
    """
    return np.repeat(np.arange(shards), [len(part) for part in np.array_split(np.arange(rows), shards)])


def by_group(groups: Sequence[str], shards: int) -> NDArray[np.int64]:
    """Keep rows of one group together: the largest group first, each to the shard that has fewest rows.

    Args:
        groups: Each row's group, shape (rows,).
        shards: How many shards, at most the number of groups.

    Returns:
        Each row's shard, shape (rows,).
    """
    names, group, counts = np.unique(np.asarray(groups, dtype=str), return_inverse=True, return_counts=True)
    of_group = np.empty(len(names), dtype=np.int64)
    sizes = np.zeros(shards, dtype=np.int64)
    for at in sorted(range(len(names)), key=lambda at: (-int(counts[at]), at)):
        of_group[at] = int(np.argmin(sizes))
        sizes[of_group[at]] += counts[at]
    return of_group[group]
