"""Column types, inferred once over all cells of a column, never for each shard."""

from __future__ import annotations

import numpy as np

from whisktrain.data.columns.categorical import infer_categorical
from whisktrain.data.columns.cells import (
    FALSE_WORDS,
    TRUE_WORDS,
    is_boolean,
    is_missing_among_numbers,
    shown,
)
from whisktrain.data.columns.column_type import ColumnType, DistinctCells
from whisktrain.data.columns.date_formats import infer_date
from whisktrain.data.columns.numeric import infer_numeric, infer_plain_numeric
from whisktrain.data.columns.series import Series
from whisktrain.errors import DataError

__all__ = ["NESTED", "infer_type"]

NESTED = (dict, list, tuple, set, np.ndarray)
"""Types of cells that hold several values."""


def infer_type(
    column: Series, name: str, *, decimal: str = ".", force: str | None = None
) -> ColumnType:
    """Infer what a column holds.

    Args:
        column: All its cells, shape (rows,).
        name: Its name: "id" and the like make an id likelier.
        decimal: The file's decimal mark.
        force: The kind that the caller demands: "numeric", "categorical", "boolean" or "date".

    Raises:
        DataError: The cells do not allow the demanded kind.
    """
    if force is None:
        plain = infer_plain_numeric(column, name)
        if plain is not None:
            return plain
    cells = DistinctCells.of(column)
    if not cells.values:
        return ColumnType("empty", "no values", cells.missing)
    if force is not None:
        return _forced_type(cells, column, name, decimal, force)
    if any(isinstance(value, NESTED) for value in cells.values):
        return ColumnType("nested", "objects or lists in cells", cells.missing, len(cells.values))
    return (
        _infer_boolean(cells)
        or infer_numeric(cells, column, name, decimal)
        or infer_date(cells, column)
        or infer_categorical(cells, name)
    )


def _infer_boolean(cells: DistinctCells) -> ColumnType | None:
    values = [value for value in cells.values if not is_missing_among_numbers(value)]
    if not values or not all(_is_boolean(value) for value in values):
        return None
    missing = cells.missing + cells.missing_among_numbers()
    return ColumnType("boolean", missing=missing, distinct=len({_truth(value) for value in values}))


def _is_boolean(value: object) -> bool:
    if isinstance(value, str):
        return value.strip().lower() in TRUE_WORDS | FALSE_WORDS
    return is_boolean(value)


def _truth(value: object) -> bool:
    return value.strip().lower() in TRUE_WORDS if isinstance(value, str) else bool(value)


def _forced_type(
    cells: DistinctCells, column: Series, name: str, decimal: str, force: str
) -> ColumnType:
    found = _infer_forced(cells, column, name, decimal, force)
    if found is None:
        raise DataError(
            f"The column {name!r} cannot be read as {force}: it holds {shown(cells.values[0], 40)}, for example.",
            code="bad_column_type",
            hint="Change data.types, or correct the column.",
        )
    if found.kind != force:  # numbers that count the rows are numbers, if the caller says so
        return ColumnType(
            "numeric",
            "as asked",
            found.missing,
            found.distinct,
            found.style,
            tolerant=found.tolerant,
            notices=found.notices,
        )
    return found


def _infer_forced(
    cells: DistinctCells, column: Series, name: str, decimal: str, force: str
) -> ColumnType | None:
    """The column as the demanded kind; None where the cells do not allow it."""
    if force == "categorical":
        found = infer_categorical(cells, name)
        return ColumnType(
            "categorical",
            "as asked",
            found.missing,
            found.distinct,
            numeric_keys=found.numeric_keys,
        )
    if force == "numeric":
        return infer_numeric(cells, column, name, decimal, forced=True)
    if force == "boolean":
        return _infer_boolean(cells) or _infer_binary(cells)
    return infer_date(cells, column, forced=True)


def _infer_binary(cells: DistinctCells) -> ColumnType | None:
    """The type of a column of 0 and 1 that the caller wants as booleans."""
    values = [value for value in cells.values if not is_missing_among_numbers(value)]
    if values and all(str(value).strip() in ("0", "1", "0.0", "1.0") for value in values):
        missing = cells.missing + cells.missing_among_numbers()
        return ColumnType("boolean", missing=missing, distinct=len(values))
    return None
