"""Whole columns: which cells are missing, and cells as numbers or booleans.

A column is a pandas series of text, of numbers, of booleans, of dates, or of Python objects (from JSON). Text and objects are
parsed once for each distinct cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from whisktrain.data.columns.cells import (
    cell_boolean,
    cell_number,
    is_missing,
    is_missing_among_numbers,
)
from whisktrain.data.columns.numbers import LEADING_ZEROS, LONGEST, PLAIN, NumberStyle

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ParsedColumn",
    "Series",
    "factorize",
    "has_leading_zeros",
    "holds_objects",
    "is_datetime",
    "missing_mask",
    "parse_booleans",
    "parse_numbers",
    "parse_plain_numbers",
    "unreadable",
]

Series: TypeAlias = "pd.Series[Any]"
"""A column's cells, of any pandas type, shape (rows,)."""


class ParsedColumn(NamedTuple):
    """A column's cells as numbers.

    Attributes:
        values: The numbers, NaN where there is none, shape (rows,).
        invalid: Which cells hold something else than such a (finite) value, shape (rows,).
    """

    values: NDArray[np.float64]
    invalid: NDArray[np.bool_]


def holds_objects(column: Series) -> bool:
    """Whether the cells are texts or Python objects, not NumPy numbers or dates."""
    import pandas as pd

    return bool(
        pd.api.types.is_object_dtype(column.dtype) or pd.api.types.is_string_dtype(column.dtype)
    )


def is_datetime(column: Series) -> bool:
    """Whether the cells are dates already."""
    import pandas as pd

    return bool(pd.api.types.is_datetime64_any_dtype(column.dtype))


def factorize(column: Series) -> tuple[NDArray[np.int64], list[object]]:
    """Each cell's number among the distinct cells, and these; True, 1 and 1.0 are distinct here."""
    import pandas as pd

    if pd.api.types.is_object_dtype(column.dtype):
        return _factorize_objects(column)
    codes, uniques = pd.factorize(column, use_na_sentinel=False)
    return codes.astype(np.int64), [None if value is pd.NA else value for value in list(uniques)]


def _factorize_objects(column: Series) -> tuple[NDArray[np.int64], list[object]]:
    code_of: dict[tuple[type, object], int] = {}
    values: list[object] = []
    codes = np.empty(len(column), dtype=np.int64)
    for at, cell in enumerate(column.array):
        key = (type(cell), cell if cell.__hash__ is not None else repr(cell))
        code = code_of.get(key)
        if code is None:
            code = code_of[key] = len(values)
            values.append(cell)
        codes[at] = code
    return codes, values


def missing_mask(column: Series) -> NDArray[np.bool_]:
    """Which cells of a column hold no value, shape (rows,)."""
    if not holds_objects(column):
        return np.asarray(column.isna(), dtype=bool)
    codes, values = factorize(column)
    return np.array([is_missing(value) for value in values], dtype=bool)[codes]


def parse_numbers(column: Series, style: NumberStyle) -> ParsedColumn:
    """Read a column as numbers; infinite ones count as invalid, and -0.0 is 0.0, as cells are told apart by value."""
    if holds_objects(column):
        plain = parse_plain_numbers(column) if style == PLAIN else None
        if plain is not None:
            return ParsedColumn(plain + 0.0, np.zeros(len(column), bool))
        codes, cells = factorize(column)
        parsed = np.array([cell_number(cell, style) for cell in cells], dtype=np.float64)
        numbers = parsed[codes]
        invalid = unreadable(parsed, cells)[codes]
    elif is_datetime(column):
        return ParsedColumn(np.full(len(column), np.nan), ~missing_mask(column))
    else:
        numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
        invalid = np.zeros(len(column), bool)
    infinite = np.isinf(numbers)
    return ParsedColumn(np.where(infinite, np.nan, numbers) + 0.0, invalid | infinite)


def parse_booleans(column: Series) -> ParsedColumn:
    """Read a column as booleans: 1 for true, 0 for false."""
    codes, cells = factorize(column)
    parsed = np.array([cell_boolean(cell) for cell in cells], dtype=np.float64)
    return ParsedColumn(parsed[codes], unreadable(parsed, cells)[codes])


def unreadable(parsed: NDArray[np.float64], cells: Sequence[object]) -> NDArray[np.bool_]:
    """Which of the distinct cells were not parsed (NaN) though they are no spelling of a missing value."""
    missing = np.array(
        [is_missing(cell) or is_missing_among_numbers(cell) for cell in cells], dtype=bool
    )
    return np.asarray(np.isnan(parsed) & ~missing, dtype=bool)


def has_leading_zeros(column: Series) -> bool:
    """Whether a column of text has numbers with leading zeros in it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = pa.array(column, type=pa.large_string(), from_pandas=True)
    return bool(pc.any(pc.match_substring_regex(texts, LEADING_ZEROS)).as_py())


def parse_plain_numbers(column: Series) -> NDArray[np.float64] | None:
    """Read text that is plain numbers throughout with Arrow, which is fast; None where it is not."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    if pd.api.types.is_object_dtype(column.dtype):
        return None
    texts = pa.array(column, type=pa.large_string(), from_pandas=True)
    texts = pc.if_else(pc.equal(texts, ""), None, texts)
    plain = pc.match_substring_regex(texts, r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?$")
    if texts.null_count == len(texts) or not pc.all(plain).as_py():
        return None
    if pc.max(pc.binary_length(texts)).as_py() > LONGEST:
        return None
    # Arrow does not take a leading plus; both Arrow and Python round to the nearest float64.
    unsigned = pc.replace_substring_regex(texts, r"^\+", "")
    numbers = pc.cast(unsigned, pa.float64())
    return np.asarray(numbers.to_numpy(zero_copy_only=False), dtype=np.float64)
