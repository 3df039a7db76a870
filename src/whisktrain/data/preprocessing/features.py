"""Fitted columns to features, for any rows in the same way.

The features come in three blocks: numbers (numeric columns and the parts of dates) that are imputed and scaled, then flags
(booleans, and whether a value was missing) as 0 and 1, then one-hot encoded categories.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from whisktrain.data.columns.dates import date_part
from whisktrain.data.columns.series import Series
from whisktrain.data.preprocessing.column_encoder import ColumnEncoder
from whisktrain.data.preprocessing.estimators import OneHotEncoding, Transformer
from whisktrain.errors import DataError

__all__ = ["CellsOf", "Features"]

CellsOf: TypeAlias = Callable[[str], Series]
"""Gives a column's cells, shape (rows,), by its name."""


@dataclass(slots=True)
class _Blocks:
    """Features of some rows before scaling and one-hot encoding, each of shape (rows,)."""

    numbers: list[NDArray[np.float64]] = field(default_factory=list)
    flags: list[NDArray[np.float64]] = field(default_factory=list)
    codes: list[NDArray[np.int64]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def add(self, column: ColumnEncoder, cells: Series) -> None:
        """Add the features of one column."""
        if column.kind == "categorical":
            codes, notices = column.codes(cells)
            self.codes.append(codes)
        else:
            values, notices = column.values(cells)
            self._add_values(column, values)
        self.notices += notices

    def _add_values(self, column: ColumnEncoder, values: NDArray[np.float64]) -> None:
        missing = np.isnan(values)
        block = self.flags if column.kind == "boolean" else self.numbers
        found = [date_part(values, part) for part in column.parts] if column.parts else [values]
        for own, fill in zip(found, column.fill, strict=True):
            block.append(np.where(missing, fill, own))
        if column.flag:
            self.flags.append(missing.astype(np.float64))


@dataclass(frozen=True, slots=True)
class Features:
    """Fitted columns and scikit-learn's fitted estimators.

    Attributes:
        columns: The columns used, in the table's order.
        scaler: A fitted scaler of the numbers, or None.
        encoder: A fitted one-hot encoder of the categories' numbers, or None.
        names: The features' names, in order.
    """

    columns: tuple[ColumnEncoder, ...]
    scaler: Transformer | None
    encoder: OneHotEncoding | None
    names: tuple[str, ...] = ()

    def transform(self, cells_of: CellsOf, rows: int) -> tuple[NDArray[np.float32], list[str]]:
        """Turn rows into features.

        Args:
            cells_of: Gives a column's cells.
            rows: How many rows there are.

        Returns:
            Features of shape (rows, features), and notices in sentences.

        Raises:
            DataError: A cell is not what its column holds, or its feature is no finite float32.
        """
        blocks = _Blocks()
        for column in self.columns:
            blocks.add(column, cells_of(column.name))
        x = self._assemble(blocks, rows)
        self._check_finite(x)
        return x, blocks.notices

    def _assemble(self, blocks: _Blocks, rows: int) -> NDArray[np.float32]:
        x = np.empty((rows, len(self.names)), dtype=np.float32)
        flags_from = len(blocks.numbers)
        codes_from = flags_from + len(blocks.flags)
        with np.errstate(over="ignore", invalid="ignore"):
            if blocks.numbers:
                numbers = np.column_stack(blocks.numbers)
                x[:, :flags_from] = (
                    numbers if self.scaler is None else self.scaler.transform(numbers)
                )
            for at, flag in enumerate(blocks.flags, start=flags_from):
                x[:, at] = flag
            if self.encoder is not None:
                x[:, codes_from:] = self.encoder.transform(np.column_stack(blocks.codes))
        return x

    def _check_finite(self, x: NDArray[np.float32]) -> None:
        if np.isfinite(x).all():
            return
        row, at = (int(i) for i in np.argwhere(~np.isfinite(x))[0])
        raise DataError(
            f"Row {row + 1} has a value for {self.names[at]!r} that is too large for a float32.",
            code="value_too_large",
            hint="Correct the value, use data.scale 'standard', or drop the column.",
        )
