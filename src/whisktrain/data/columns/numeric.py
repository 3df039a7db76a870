"""Inference of numeric columns: the number style, numbers that are codes, and numbers that only count or name the rows."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from whisktrain.data.columns.categorical import infer_categorical
from whisktrain.data.columns.cells import is_boolean, is_missing_among_numbers, shown
from whisktrain.data.columns.column_type import (
    TOLERATED,
    ColumnType,
    DistinctCells,
    Kind,
    has_id_name,
)
from whisktrain.data.columns.numbers import (
    EXACT,
    LEADING_ZEROS,
    LONGEST,
    PLAIN,
    NumberStyle,
    parse_number,
)
from whisktrain.data.columns.series import (
    Series,
    has_leading_zeros,
    holds_objects,
    is_datetime,
    parse_numbers,
    parse_plain_numbers,
)

__all__ = ["infer_numeric", "infer_plain_numeric"]

_STYLES = {
    ".": (".", ".,", ",", ",.", ". ", ", ", ".'"),
    ",": (",", ",.", ".", ".,", ", ", ". ", ".'"),
}
"""Styles (decimal mark, then thousands separator) in the order in which they are tried, by the file's decimal mark."""

_SAMPLE = 200
_FEWEST_TO_TOLERATE = 20
_FEWEST_FOR_IDS = 10

_LEADING_ZEROS = re.compile(LEADING_ZEROS, re.ASCII)
_LONG = re.compile(r"[+-]?\d{16,}", re.ASCII)
_SIGNS = re.compile(r"[$€£¥₹%]|USD|EUR|GBP|CHF|JPY")


def infer_plain_numeric(column: Series, name: str) -> ColumnType | None:
    """The type of a column of NumPy numbers, or of text that is plain numbers throughout; None where it is neither.

    Such columns are the most frequent: their distinct cells need not be looked at one by one.
    """
    if holds_objects(column):
        return _infer_plain_text(column, name)
    if is_datetime(column) or column.dtype.kind == "b":
        return None
    if column.dtype.kind in "iu":
        largest = max(abs(int(column.min())), abs(int(column.max())))
        if largest > EXACT:
            return None
    numbers, infinite = parse_numbers(column, PLAIN)
    found = bool(infinite.any())
    notices = (f"{int(infinite.sum())} infinite cell(s) count as missing",) if found else ()
    return _type_of_numbers(numbers, name, tolerant=found, notices=notices)


def _infer_plain_text(column: Series, name: str) -> ColumnType | None:
    numbers = parse_plain_numbers(column)
    if numbers is None or np.nanmax(np.abs(numbers)) >= EXACT or has_leading_zeros(column):
        return None
    return _type_of_numbers(numbers, name)


def infer_numeric(
    cells: DistinctCells, column: Series, name: str, decimal: str, *, forced: bool = False
) -> ColumnType | None:
    """The type of a column of numbers, maybe with a few other cells; None where it is something else.

    Args:
        cells: The column's distinct cells.
        column: All its cells, shape (rows,).
        name: Its name.
        decimal: The file's decimal mark.
        forced: Whether the caller demands numbers, however few cells hold one.
    """
    if is_datetime(column):
        return None
    if not forced:
        codes = _infer_codes(cells, name)
        if codes is not None:
            return codes
        if any(is_boolean(value) for value in cells.values):
            return None
    style, share = _find_style(cells, decimal, forced=forced)
    tolerated = TOLERATED if cells.present >= _FEWEST_TO_TOLERATE else 0.0
    readable = [_is_number(value, style) for value in cells.values]
    if not any(readable) or (share < 1 - tolerated and not forced):
        return None
    numbers, invalid = parse_numbers(column, style)
    notices = _numeric_notices(cells, style, readable, int(invalid.sum()))
    return _type_of_numbers(numbers, name, style, tolerant=bool(invalid.any()), notices=notices)


def _infer_codes(cells: DistinctCells, name: str) -> ColumnType | None:
    """The type of a column whose numbers a float64 would change: they are kept as text."""
    texts = [text.strip() for text in cells.texts]
    if any(_LEADING_ZEROS.fullmatch(text) for text in texts) and _mostly_numbers(cells):
        return _text_type(cells, name, "codes with leading zeros")
    if any(_is_large_text(text) for text in texts) or any(
        _is_large_integer(value) for value in cells.values
    ):
        return _text_type(cells, name, "whole numbers beyond 2^53")
    return None


def _mostly_numbers(cells: DistinctCells) -> bool:
    return cells.share(_is_number(value, PLAIN) for value in cells.values) >= 0.5


def _is_large_text(text: str) -> bool:
    if _LONG.fullmatch(text) is None:
        return False
    return len(text) > LONGEST or abs(int(text)) > EXACT


def _is_large_integer(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and abs(int(value)) > EXACT


def _text_type(cells: DistinctCells, name: str, what: str) -> ColumnType:
    found = infer_categorical(cells, name)
    return ColumnType(
        found.kind, found.reason, found.missing, found.distinct, notices=(f"{what}: kept as text",)
    )


def _find_style(cells: DistinctCells, decimal: str, *, forced: bool) -> tuple[NumberStyle, float]:
    """The style in which most cells are numbers (or missing), and the share of those cells."""
    best, best_share = PLAIN, 0.0
    sample = cells.values[:: max(1, len(cells.values) // _SAMPLE)]
    for marks in _STYLES[decimal]:
        style = NumberStyle(marks[0], marks[1:])
        fits_sample = sum(_fits(value, style) for value in sample) >= 0.5 * len(sample)
        if not fits_sample and not forced:
            continue
        share = cells.share(_fits(value, style) for value in cells.values)
        if share > best_share:
            best, best_share = style, share
        if share == 1.0:
            break
    return best, best_share


def _fits(value: object, style: NumberStyle) -> bool:
    return _is_number(value, style) or is_missing_among_numbers(value)


def _is_number(value: object, style: NumberStyle) -> bool:
    if isinstance(value, str):
        return parse_number(value, style) is not None
    return isinstance(value, (bool, int, float, np.number, np.bool_))


def _numeric_notices(
    cells: DistinctCells, style: NumberStyle, readable: list[bool], invalid: int
) -> tuple[str, ...]:
    """What the user should know about a numeric column: cells that are no numbers, and how the others were read."""
    notices = []
    pairs = list(zip(cells.values, readable, strict=True))
    if invalid:
        others = [
            value for value, is_read in pairs if not is_read and not is_missing_among_numbers(value)
        ]
        example = f", such as {shown(others[0], 40)}" if others else ""
        notices.append(f"{invalid} cell(s) are no finite numbers and count as missing{example}")
    if cells.texts and style != PLAIN:
        mark = "a decimal comma" if style.decimal == "," else "a decimal point"
        group = f" and {style.group!r} between thousands" if style.group else ""
        notices.append(f"read with {mark}{group}")
    if any(is_read and isinstance(value, str) and _SIGNS.search(value) for value, is_read in pairs):
        notices.append("signs of currency or per cent were left out")
    return tuple(notices)


def _type_of_numbers(
    numbers: NDArray[np.float64],
    name: str,
    style: NumberStyle = PLAIN,
    *,
    tolerant: bool = False,
    notices: tuple[str, ...] = (),
) -> ColumnType:
    """The type of a numeric column, or of an id that only counts or names the rows."""
    present = numbers[~np.isnan(numbers)]
    missing = len(numbers) - len(present)
    distinct = len(np.unique(present))
    if not distinct:
        return ColumnType("empty", "no values", missing)
    reason = _id_reason(present, distinct, name)
    kind: Kind = "id" if reason else "numeric"
    return ColumnType(
        kind,
        reason,
        missing,
        distinct,
        style,
        tolerant=tolerant,
        fallback="numeric",
        notices=notices,
    )


def _id_reason(present: NDArray[np.float64], distinct: int, name: str) -> str:
    """Why numbers are an id; empty where they are quantities."""
    if len(present) < _FEWEST_FOR_IDS or not (present == np.floor(present)).all():
        return ""
    if _counts_up(present) and distinct >= 0.3 * len(present):  # not the hours of many days
        return "counts the rows"
    if has_id_name(name) and distinct > 0.9 * len(present):
        return "named like an id, and nearly every row has its own"
    return ""


def _counts_up(present: NDArray[np.float64]) -> bool:
    """Whether nearly every number is the one before plus one, and most of the others start again at 0 or 1."""
    steps = np.diff(present)
    starts = np.concatenate([present[:1], present[1:][steps != 1]])
    counting = (steps == 1).mean() >= 0.95
    restarting = np.isin(starts, (0, 1)).mean() >= 0.5
    return bool(counting and restarting)
