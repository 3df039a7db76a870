"""Rows and cells of Python, NumPy and pandas as JSON: exactly, or not at all.

A missing value (None, NaN, NaT, pandas' NA) becomes null, and a date its ISO text (in UTC where it has a zone). A row with
labels (a mapping, a series of pandas, a named tuple, a record of NumPy) becomes an object, whose columns may have any order;
any other is a list.
"""

from __future__ import annotations

import dataclasses
import datetime
import math
import numbers
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, SupportsFloat, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from whisktrain.data.table import unique_names
from whisktrain.errors import RequestError
from whisktrain.jsontypes import Json

__all__ = ["is_table", "plain_cell", "plain_row", "plain_rows", "plain_setting"]

Place: TypeAlias = "tuple[int, str] | None"
"""Where a cell stands, for messages: its row from 0 and its column."""

_MISSING = ("NAType", "NaTType")
_LONGEST_VALUE = 60
_LARGEST_BITS = 1023
"""A whole number of more bits is too large for a float64."""

_HINTS = {
    "bytes": "Give an image file's bytes as text in base64.",
    "timedelta": "Give a duration as a number, such as its total_seconds().",
    "complex": "Give its parts as two columns.",
}


def plain_rows(rows: object) -> Json:
    """Rows as JSON: one row or many, in whatever a caller has them.

    Args:
        rows: Rows, or one row: sequences, arrays, iterators, and what `plain_row` takes. No table of pandas.

    Raises:
        RequestError: A cell cannot be JSON; its row and column are named.
    """
    if _is_row(rows):
        return [plain_row(rows, 0)]
    array = _as_array(rows)
    if array is not None and array.ndim == 0:
        return plain_rows([array.item()])
    if array is not None and array.ndim > 1 and array.dtype.kind in "biuf":
        return _plain_numbers(array)
    if isinstance(rows, (str, bytes)) or not isinstance(rows, Iterable):
        raise RequestError(
            f"The rows are {type(rows).__name__}; expected objects or arrays.",
            code="bad_rows",
            hint='Such as [{"age": 31}] or [[0.1, 2]].',
        )
    given: list[object] = list(rows if array is None else array)
    if given and not any(_is_collection(row) for row in given):
        return [plain_row(given, 0)]
    return [plain_row(row, at) for at, row in enumerate(given)]


def _plain_numbers(array: NDArray[np.generic]) -> Json:
    """An array of numbers of at least two axes as nested lists; NaN as null."""
    numbers_ = array.astype(np.float64) if array.dtype.kind == "f" else array
    if array.dtype.kind == "f":
        infinite = np.argwhere(np.isinf(numbers_))
        if infinite.size:
            row, column = int(infinite[0][0]), int(infinite[0][1])
            raise _bad_cell(
                float(numbers_[tuple(infinite[0])]), (row, str(column + 1)), "is not finite"
            )
        if np.isnan(numbers_).any():
            filled = numbers_.astype(object)
            filled[np.isnan(numbers_)] = None
            return cast(Json, filled.tolist())
    return cast(Json, numbers_.tolist())


def plain_row(row: object, at: int) -> Json:
    """One row: an object where it has labels, else a list; a text (an image in base64) stays.

    Args:
        row: The row.
        at: Its number from 0.
    """
    labelled = _labelled(row)
    if labelled is not None:
        pairs = [(str(name), cell) for name, cell in labelled]
        names = [name for name, _ in pairs]
        if len(set(names)) < len(names):  # as a table with such columns has them
            names, _ = unique_names(names)
        return {
            name: plain_cell(cell, (at, name)) for name, (_, cell) in zip(names, pairs, strict=True)
        }
    cells = _sequence(row)
    if cells is None:
        return plain_cell(row, (at, "1"))
    return [plain_cell(cell, (at, str(number))) for number, cell in enumerate(cells, start=1)]


def _is_row(value: object) -> bool:
    """Whether a value is one row with labels, rather than several rows."""
    labelled = _labelled(value)
    if labelled is None:
        return False
    return not (_is_series(value) and any(_is_collection(cell) for _, cell in labelled))


def is_table(value: object) -> bool:
    """Whether a value is a table of pandas, or one that says how to become one (of Polars or Arrow)."""
    return hasattr(value, "to_pandas") or _is_pandas(value, "DataFrame")


def plain_setting(value: object) -> Json:
    """A setting of a request as JSON; what JSON cannot hold stays, for the schema to refuse."""
    if isinstance(value, Mapping):
        return {str(key): plain_setting(item) for key, item in value.items()}
    if isinstance(value, np.generic):
        return cast(Json, value.item())
    cells = sorted(value, key=str) if isinstance(value, (set, frozenset)) else _sequence(value)
    return cast(Json, value) if cells is None else [plain_setting(cell) for cell in cells]


def plain_cell(cell: object, place: Place = None) -> Json:
    """A cell as JSON.

    Args:
        cell: Its value.
        place: Where it stands.

    Raises:
        RequestError: JSON cannot hold it, as it is infinite or of another kind.
    """
    if (
        cell is None or type(cell).__name__ in _MISSING
    ):  # by name, so that pandas need not be imported
        return None
    if isinstance(cell, (bool, np.bool_)):
        return bool(cell)
    if isinstance(cell, str):
        return str.__str__(cell)
    if isinstance(cell, (datetime.date, np.datetime64)) or _is_pandas(cell, "Period"):
        return _iso_date(cell, place)
    if isinstance(cell, (numbers.Real, Decimal)) and not isinstance(cell, np.timedelta64):
        return _number(cell, place)
    return _nested(cell, place)


def _nested(cell: object, place: Place) -> Json:
    """A cell that holds several values."""
    array = _as_array(cell)
    if array is not None and array.ndim == 0:
        return plain_cell(array.item(), place)
    labelled = _labelled(cell)
    if labelled is not None:
        return {str(name): plain_cell(value, place) for name, value in labelled}
    cells = _sequence(cell)
    if cells is not None:
        return [plain_cell(value, place) for value in cells]
    if _is_pandas(cell, "Interval"):
        return str(cell)
    raise _bad_cell(cell, place, f"is {type(cell).__name__}")


def _number(cell: SupportsFloat, place: Place) -> Json:
    """A number: whole ones stay whole, the others become the nearest float64."""
    if isinstance(cell, Decimal):
        if cell.is_nan():
            return None
        if cell.is_finite() and cell.adjusted() < _LARGEST_BITS and cell == int(cell):
            return _number(int(cell), place)
    if isinstance(cell, numbers.Integral):
        whole = int(cell)
        if whole.bit_length() > _LARGEST_BITS:
            raise _bad_cell("a number", place, "is too large for a float64")
        return whole
    try:
        number = float(cell)
    except OverflowError:
        number = math.inf
    if math.isnan(number):
        return None
    if math.isinf(number):
        raise _bad_cell(cell, place, "is not finite")
    return number


def _iso_date(cell: object, place: Place) -> str | None:
    date = getattr(cell, "start_time", cell)  # of a period
    if isinstance(date, np.datetime64):
        if np.isnat(date):
            return None
        date = date.astype("datetime64[us]").item()
    if not isinstance(date, datetime.date):
        raise _bad_cell(cell, place, "is a date beyond the years 1 to 9999")
    if isinstance(date, datetime.datetime) and date.tzinfo is not None:
        return date.astimezone(datetime.UTC).isoformat()
    return date.isoformat()


def _bad_cell(cell: object, place: Place, what: str) -> RequestError:
    shown = repr(cell)
    if len(shown) > _LONGEST_VALUE:
        shown = shown[: _LONGEST_VALUE - 3] + "..."
    where = "A value" if place is None else f"Row {place[0] + 1}: the value of column {place[1]!r}"
    kind = type(cell).__name__.lower()
    hint = next((text for name, text in _HINTS.items() if name in kind), "")
    return RequestError(
        f"{where} {what} ({shown}); expected a finite number, text, true or false, a date, or nothing.",
        code="bad_cell",
        hint=hint or "Correct it, or leave it empty (None) to have it filled.",
    )


def _labelled(value: Any) -> Iterator[tuple[object, object]] | None:
    """The labels and values of a row that has labels; None where it has none."""
    if isinstance(value, Mapping) or _is_series(value):
        pairs: Iterator[tuple[object, object]] = iter(value.items())
        return pairs
    if isinstance(value, tuple):
        return zip(value._fields, value, strict=True) if hasattr(value, "_fields") else None
    if isinstance(value, np.void) and value.dtype.names:
        return ((name, value[name]) for name in value.dtype.names)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
    if callable(getattr(value, "keys", None)) and hasattr(value, "__getitem__"):  # a row of SQLite
        return ((name, value[name]) for name in value.keys())  # noqa: SIM118
    return None


def _is_collection(value: object) -> bool:
    """Whether a value is a row rather than a cell."""
    return _labelled(value) is not None or _sequence(value) is not None


def _sequence(value: object) -> Sequence[object] | None:
    """The items of a list, tuple or array without labels; None of anything else."""
    if isinstance(value, (list, tuple)):
        return value
    array = _as_array(value)
    return None if array is None or array.ndim == 0 else list(array)


def _as_array(value: object) -> NDArray[np.generic] | None:
    """An array of NumPy, or of a library whose arrays say how to become one; None of anything else."""
    if isinstance(value, np.ndarray):
        return value
    converts = hasattr(value, "__array__") and not isinstance(value, np.generic)
    return np.asarray(value) if converts and not _is_series(value) else None


def _is_series(value: object) -> bool:
    return _is_pandas(value, "Series")


def _is_pandas(value: object, name: str) -> bool:
    """Whether a value is of a class of pandas, which need not be imported for it."""
    return any(
        kind.__name__ == name and kind.__module__.partition(".")[0] == "pandas"
        for kind in type(value).__mro__
    )
