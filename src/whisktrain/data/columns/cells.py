"""What one cell says: missing, a number, a yes or a no. Pure rules, each cell on its own.

A column is a pandas series of text, of numbers, of booleans, of dates, or of Python objects (JSON). Whatever the rest of a
batch looks like, the same cell gives the same result, so one row and the same row in a batch become the same features.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CODE",
    "EXACT",
    "FALSE_WORDS",
    "PLAIN",
    "TRUE_WORDS",
    "NumberStyle",
    "booleans_of",
    "distinct",
    "has_codes",
    "holds_objects",
    "is_date",
    "is_missing",
    "is_missing_among_numbers",
    "key_of",
    "missing_of",
    "numbers_of",
    "parse_number",
    "plain_numbers",
]

EXACT = 2**53
"""Beyond it a float64 no longer holds every whole number."""

MISSING = frozenset(
    ("", "na", "n/a", "#n/a", "#na", "<na>", "nan", "-nan", "null", "nul", "#null!", "#value!", "#ref!", "#div/0!", "1.#qnan")
)
"""Spellings that always mean: no value (in lower case)."""

CODE = r"^[+-]?0\d+$"
"""A number with leading zeros."""

MISSING_AMONG_NUMBERS = frozenset(("none", "nil", "?", "-", "--", ".", "..", "*", "missing", "unknown", "n.a.", "n.d.", "nd"))
"""Spellings that mean it among numbers, dates or booleans; in a text column they are values like others."""

TRUE_WORDS = frozenset(("true", "yes", "y", "t", "on"))
FALSE_WORDS = frozenset(("false", "no", "n", "f", "off"))


def is_missing(cell: Any) -> bool:
    """Whether a cell holds no value."""
    if cell is None:
        return True
    if isinstance(cell, str):
        return cell.strip().lower() in MISSING
    return (isinstance(cell, float) and math.isnan(cell)) or type(cell).__name__ in ("NAType", "NaTType")


def is_missing_among_numbers(text: str) -> bool:
    """Whether a text means: no value, in a column whose other cells are numbers, dates or booleans."""
    return text.strip().lower() in MISSING_AMONG_NUMBERS


class NumberStyle(NamedTuple):
    """How a column writes its numbers.

    Attributes:
        decimal: The decimal mark, "." or ",".
        group: What separates thousands: "", ",", ".", " " (any blank) or "'".
    """

    decimal: str = "."
    group: str = ""


PLAIN = NumberStyle()
"""As computers write numbers: a decimal point, nothing between thousands."""


@lru_cache(maxsize=32)
def _pattern(style: NumberStyle) -> re.Pattern[str]:
    mark = re.escape(style.decimal)
    fraction = rf"(?:{mark}\d*)?"
    whole = r"\d+"
    if style.group:
        group = r"[ \u00a0\u2009\u202f]" if style.group == " " else re.escape(style.group)
        whole = rf"(?:\d{{1,3}}(?:{group}\d{{3}})+|\d+)"
    return re.compile(rf"[+-]?(?:{whole}{fraction}|{mark}\d+)(?:[eE][+-]?\d+)?", re.ASCII)


_INFINITE = re.compile(r"([+-]?)(?:inf|infinity|1\.#inf)", re.IGNORECASE)
_MONEY = re.compile(r"^(?:[$€£¥₹]|USD|EUR|GBP|CHF|JPY)\s*|\s*(?:[$€£¥₹%]|USD|EUR|GBP|CHF|JPY)$")
_BLANKS = re.compile(r"[ \u00a0\u2009\u202f]")


def parse_number(text: str, style: NumberStyle) -> float | None:
    """The number that a text says; None where it says none.

    Currency signs and per cent signs are left out ("12 %" is 12), "(5)" is -5 as accountants write it.
    """
    text = text.strip().replace("\u2212", "-")
    if not _pattern(style).fullmatch(text):
        infinite = _INFINITE.fullmatch(text)
        if infinite:
            return -math.inf if infinite[1] == "-" else math.inf
        sign = ""
        if text.startswith("(") and text.endswith(")"):
            sign, text = "-", text[1:-1].strip()
        elif text[:1] in ("-", "+"):
            sign, text = text[0], text[1:].strip()
        text = sign + _MONEY.sub("", _MONEY.sub("", text))
        if not _pattern(style).fullmatch(text):
            return None
    if style.group:
        text = _BLANKS.sub("", text) if style.group == " " else text.replace(style.group, "")
    return float(text.replace(",", ".") if style.decimal == "," else text)


def missing_of(column: pd.Series[Any]) -> NDArray[np.bool_]:
    """Which cells of a column hold no value, shape (rows,)."""
    if not holds_objects(column):
        return np.asarray(column.isna(), dtype=bool)
    codes, values = distinct(column)
    return np.array([is_missing(value) for value in values], dtype=bool)[codes]


def numbers_of(column: pd.Series[Any], style: NumberStyle) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """A column as numbers.

    Returns:
        The numbers, NaN where there is none, and which cells hold something that is no (finite) number; each (rows,).
    """
    if holds_objects(column):
        numbers = plain_numbers(column) if style == PLAIN else None
        if numbers is not None:
            return numbers, np.zeros(len(column), bool)
        codes, values = distinct(column)
        parsed = np.array([_number(value, style) for value in values], dtype=np.float64)
        numbers, bad = parsed[codes], _strangers(parsed, values)[codes]
    elif is_date(column):
        return np.full(len(column), np.nan), ~missing_of(column)
    else:
        numbers, bad = column.to_numpy(dtype=np.float64, na_value=np.nan), np.zeros(len(column), bool)
    infinite = np.isinf(numbers)
    return np.where(infinite, np.nan, numbers), bad | infinite


def booleans_of(column: pd.Series[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """A column as 0 and 1.

    Returns:
        1 for yes, 0 for no, NaN where there is neither, and which cells hold something else; each (rows,).
    """
    codes, values = distinct(column)
    parsed = np.array([_boolean(value) for value in values], dtype=np.float64)
    return parsed[codes], _strangers(parsed, values)[codes]


def key_of(cell: Any, *, numeric: bool) -> str:
    """The category that a cell names.

    Args:
        cell: Some value that is not missing.
        numeric: Whether the categories are numbers, so that 1, 1.0, "1" and "1.0" are one category.

    Returns:
        The category's text; the same for a whole number whether it came as text, integer or float.
    """
    if isinstance(cell, str):
        text = cell.strip()
        number = parse_number(text, PLAIN) if numeric else None
        return text if number is None else _number_key(text, number)
    if isinstance(cell, (bool, np.bool_)):
        return "true" if cell else "false"
    if isinstance(cell, (int, np.integer)):
        return str(int(cell))
    if isinstance(cell, (float, np.floating)):
        return _number_key("", float(cell))
    return str(cell)


def _number_key(text: str, number: float) -> str:
    if re.fullmatch(r"[+-]?\d+", text):
        return str(int(text))
    return str(int(number)) if number.is_integer() else repr(number)


def _number(cell: Any, style: NumberStyle) -> float:
    """NaN for what is no number."""
    if isinstance(cell, str):
        number = parse_number(cell, style)
        return math.nan if number is None else number
    if isinstance(cell, (bool, int, float, np.number, np.bool_)):
        try:
            return float(cell)
        except OverflowError:
            return math.inf
    return math.nan


def _boolean(cell: Any) -> float:
    if isinstance(cell, str):
        word = cell.strip().lower()
        if word in TRUE_WORDS or word == "1":
            return 1.0
        return 0.0 if word in FALSE_WORDS or word == "0" else math.nan
    if isinstance(cell, (bool, int, float, np.number, np.bool_)) and cell in (0, 1):
        return float(cell)
    return math.nan


def _strangers(parsed: NDArray[np.float64], values: list[Any]) -> NDArray[np.bool_]:
    """Which distinct cells are neither understood nor a spelling of: missing."""
    none = [is_missing(v) or (isinstance(v, str) and is_missing_among_numbers(v)) for v in values]
    return np.asarray(np.isnan(parsed) & ~np.array(none, dtype=bool), dtype=bool)


def holds_objects(column: pd.Series[Any]) -> bool:
    """Whether the cells are texts or Python objects, not NumPy numbers or dates."""
    import pandas as pd

    return bool(pd.api.types.is_object_dtype(column.dtype) or pd.api.types.is_string_dtype(column.dtype))


def is_date(column: pd.Series[Any]) -> bool:
    """Whether the cells are dates already."""
    import pandas as pd

    return bool(pd.api.types.is_datetime64_any_dtype(column.dtype))


def distinct(column: pd.Series[Any]) -> tuple[NDArray[np.int64], list[Any]]:
    """Codes and distinct cells; True, 1 and 1.0 are distinct here."""
    import pandas as pd

    if pd.api.types.is_object_dtype(column.dtype):
        order: dict[tuple[type, Any], int] = {}
        values: list[Any] = []
        codes = np.empty(len(column), dtype=np.int64)
        for at, cell in enumerate(column.array):
            key = (type(cell), cell if cell.__hash__ is not None else repr(cell))
            code = order.get(key)
            if code is None:
                code = order[key] = len(values)
                values.append(cell)
            codes[at] = code
        return codes, values
    found, uniques = pd.factorize(column, use_na_sentinel=False)
    return found.astype(np.int64), [None if value is pd.NA else value for value in list(uniques)]


def has_codes(column: pd.Series[Any]) -> bool:
    """Whether a column of text has numbers with leading zeros in it, which are codes rather than quantities."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = pa.array(column, type=pa.large_string(), from_pandas=True)
    return bool(pc.any(pc.match_substring_regex(texts, CODE)).as_py())


def plain_numbers(column: pd.Series[Any]) -> NDArray[np.float64] | None:
    """The quick way for text that is plain numbers throughout; None where it is not."""
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
    # Arrow does not take a leading plus; both Arrow and Python round to the nearest float64.
    numbers = pc.cast(pc.replace_substring_regex(texts, r"^\+", ""), pa.float64())
    return np.asarray(numbers.to_numpy(zero_copy_only=False), dtype=np.float64)
