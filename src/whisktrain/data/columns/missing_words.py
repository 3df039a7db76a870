"""Words that mean a missing value, such as NA in a CSV: the cells that hold one become cells without a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whisktrain.data.columns.cells import is_boolean
from whisktrain.data.columns.numbers import PLAIN, parse_number
from whisktrain.data.columns.series import Series, factorize, holds_objects, parse_plain_numbers

__all__ = ["MarkedColumn", "without_words"]


@dataclass(frozen=True, slots=True)
class MarkedColumn:
    """A column in which cells that hold a word for a missing value hold none.

    Attributes:
        cells: The column, shape (rows,).
        count: How many cells held such a word.
        example: One of these words; "" where there was none.
    """

    cells: Series
    count: int = 0
    example: str = ""


def without_words(column: Series, words: Sequence[str]) -> MarkedColumn:
    """Empty the cells that hold one of the words, but for case and blanks around it; numbers are compared as numbers.

    Args:
        column: The cells, shape (rows,).
        words: The words.
    """
    import pandas as pd

    if not words:
        return MarkedColumn(column)
    if pd.api.types.is_object_dtype(column.dtype):
        held = _held_by_objects(column, words)
    elif holds_objects(column):
        held = _held_by_texts(column, words)
    elif column.dtype.kind in "iuf":
        held = np.isin(column.to_numpy(dtype=np.float64, na_value=np.nan), _numbers(words))
    else:
        return MarkedColumn(column)
    if not held.any():
        return MarkedColumn(column)
    cells = column.to_numpy(dtype=object).copy()
    example = str(cells[int(np.argmax(held))]).strip()
    cells[held] = None
    emptied = pd.Series(cells, index=column.index, dtype=object)
    if holds_objects(column) and not pd.api.types.is_object_dtype(column.dtype):
        emptied = emptied.astype(column.dtype)
    return MarkedColumn(emptied, int(held.sum()), example)


def _numbers(words: Sequence[str]) -> list[float]:
    """The words that are numbers."""
    return [number for word in words if (number := parse_number(word, PLAIN)) is not None]


def _held_by_objects(column: Series, words: Sequence[str]) -> NDArray[np.bool_]:
    codes, values = factorize(column)
    texts = frozenset(word.strip().lower() for word in words)
    numbers = frozenset(_numbers(words))

    def holds(value: object) -> bool:
        if isinstance(value, str):
            return value.strip().lower() in texts
        is_number = isinstance(value, (int, float, np.number)) and not is_boolean(value)
        return is_number and value in numbers

    return np.array([holds(value) for value in values], dtype=bool)[codes]


def _held_by_texts(column: Series, words: Sequence[str]) -> NDArray[np.bool_]:
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = pa.array(column, type=pa.large_string(), from_pandas=True)
    folded = pc.utf8_lower(pc.utf8_trim_whitespace(texts))
    known = pa.array([word.strip().lower() for word in words], type=pa.large_string())
    held = pc.is_in(folded, value_set=known)
    found = np.asarray(held.to_numpy(zero_copy_only=False), dtype=bool)
    numbers = _numbers(words)
    values = parse_plain_numbers(column) if numbers else None
    return found if values is None else found | np.isin(values, numbers)
