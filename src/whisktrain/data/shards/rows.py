"""Rows of a data set: split into training and validation, and spread over shards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ShardedRows", "SplitRows"]


@dataclass(frozen=True, slots=True)
class SplitRows:
    """Rows split into training and validation.

    Attributes:
        x: Features, float32 of shape (rows, *x_shape).
        y: Targets: class numbers (int64) or standardised values (float32), shape (rows,).
        numbers: Each row's number in the source, from 0, shape (rows,).
        held_out: Which rows validate, shape (rows,).
        groups: Each row's group, where shards go by a column.
    """

    x: NDArray[np.float32]
    y: NDArray[np.int64] | NDArray[np.float32]
    numbers: NDArray[np.int64]
    held_out: NDArray[np.bool_]
    groups: list[str] | None = None


@dataclass(frozen=True, slots=True)
class ShardedRows:
    """Rows, and the shard or validation slice of each.

    Attributes:
        rows: The rows.
        shard: Each training row's shard, -1 for validation rows, shape (rows,).
        slice_: Each validation row's slice, -1 for training rows, shape (rows,).
        shards: The number of shards.
        warnings: What the user should know, in sentences.
    """

    rows: SplitRows
    shard: NDArray[np.int64]
    slice_: NDArray[np.int64]
    shards: int
    warnings: tuple[str, ...] = ()
