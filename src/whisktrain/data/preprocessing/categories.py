"""The choice of the categories that become features of their own, by how often they occur. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Categories", "choose_categories", "most_features"]

FEWEST = 64
"""Features that a column of categories may always have."""

MOST = 512
"""Features that a column of categories has at most, however few the rows."""

BYTES = 64 * 1024 * 1024
"""Bytes of float32 that the categories of all columns should take together."""

RARE = 10
"""A category of fewer training rows is rare; in a table of fewer than 1000 rows, one of less than 1 %, but always one of 1."""

FEW_ROWS = 0.1
"""The largest share of a column's rows that rare categories may take with them into one feature."""


class Categories(NamedTuple):
    """A column's categories.

    Attributes:
        own: Those that have a feature of their own, in ascending order.
        rare: Those that share one, in ascending order.
    """

    own: tuple[str, ...]
    rare: tuple[str, ...]


def most_features(rows: int, columns: int) -> int:
    """The most features of a column of categories: as many as memory allows, within bounds.

    Args:
        rows: Rows of the table.
        columns: How many columns hold categories.
    """
    return int(np.clip(BYTES // max(1, 4 * rows * columns), FEWEST, MOST))


def choose_categories(
    names: Sequence[str], counts: NDArray[np.int64], rows: int, most: int
) -> Categories:
    """Choose which categories have a feature of their own.

    Rare ones share a feature where they are few rows of the column together; else only those that occur once are rare. Of more
    than `most` the most frequent are taken; of equally frequent ones the first in order.

    Args:
        names: The categories, in ascending order.
        counts: Training rows of each, shape (categories,).
        rows: All training rows.
        most: The most features.
    """
    fewest = max(2, min(RARE, rows // 100))
    if counts[counts < fewest].sum() > FEW_ROWS * counts.sum():
        fewest = 2
    kept = counts >= fewest
    places = most if kept.all() else most - 1
    if kept.sum() > places:
        frequent_first = np.argsort(-counts, kind="stable")
        kept[frequent_first[most - 1 :]] = False
    own = tuple(name for name, is_kept in zip(names, kept, strict=True) if is_kept)
    rare = tuple(name for name, is_kept in zip(names, kept, strict=True) if not is_kept)
    return Categories(own, rare)
