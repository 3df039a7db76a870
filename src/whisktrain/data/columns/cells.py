"""The meaning of one cell: missing, a number, true or false, a category.

Each cell is read on its own: the same cell gives the same result in any batch, so a row becomes the same features alone and
among others.
"""

from __future__ import annotations

import math
import re

import numpy as np

from whisktrain.data.columns.numbers import PLAIN, NumberStyle, parse_number

__all__ = [
    "FALSE_WORDS",
    "MISSING_WORDS",
    "TRUE_WORDS",
    "cell_boolean",
    "cell_category",
    "cell_number",
    "is_boolean",
    "is_missing",
    "is_missing_among_numbers",
    "is_missing_text",
    "shown",
]

MISSING_WORDS = (
    "na",
    "n/a",
    "#n/a",
    "#na",
    "<na>",
    "nan",
    "-nan",
    "null",
    "nul",
    "#null!",
    "#value!",
    "#ref!",
    "#div/0!",
    "1.#qnan",
)
"""Spellings of a missing value in files of text, which cannot say it otherwise (in lower case)."""

MISSING_AMONG_NUMBERS = frozenset(MISSING_WORDS) | frozenset(
    ("none", "nil", "?", "-", "--", ".", "..", "*", "missing", "unknown", "n.a.", "n.d.", "nd")
)
"""Spellings of a missing value among numbers, dates or booleans, whatever the file."""

TRUE_WORDS = frozenset(("true", "yes", "y", "t", "on"))
FALSE_WORDS = frozenset(("false", "no", "n", "f", "off"))

_WHOLE = re.compile(r"[+-]?\d+")


def is_missing(cell: object) -> bool:
    """Whether a cell holds no value: it is null, NaN or blank."""
    if cell is None:
        return True
    if isinstance(cell, str):
        return not cell.strip()
    if isinstance(cell, float) and math.isnan(cell):
        return True
    return type(cell).__name__ in (
        "NAType",
        "NaTType",
    )  # by name, so that pandas need not be imported


def is_missing_text(cell: str) -> bool:
    """Whether a cell of a file of text is blank, or spells a missing value."""
    text = cell.strip().lower()
    return not text or text in MISSING_WORDS


def is_missing_among_numbers(cell: object) -> bool:
    """Whether a cell is a text that means a missing value where the other cells are numbers, dates or booleans."""
    return isinstance(cell, str) and cell.strip().lower() in MISSING_AMONG_NUMBERS


def is_boolean(cell: object) -> bool:
    """Whether a cell is a boolean of Python or NumPy."""
    return isinstance(cell, (bool, np.bool_))


def cell_number(cell: object, style: NumberStyle) -> float:
    """The number in a cell; NaN where it holds none."""
    if isinstance(cell, str):
        number = parse_number(cell, style)
        return math.nan if number is None else number
    if isinstance(cell, (bool, int, float, np.number, np.bool_)):
        try:
            return float(cell)
        except OverflowError:
            return math.inf
    return math.nan


def cell_boolean(cell: object) -> float:
    """1 for true, 0 for false; NaN where a cell is neither."""
    if isinstance(cell, str):
        word = cell.strip().lower()
        if word in TRUE_WORDS or word == "1":
            return 1.0
        return 0.0 if word in FALSE_WORDS or word == "0" else math.nan
    if isinstance(cell, (bool, int, float, np.number, np.bool_)) and cell in (0, 1):
        return float(cell)
    return math.nan


def cell_category(cell: object, *, numeric: bool) -> str:
    """The category that a cell names.

    Args:
        cell: A value that is not missing.
        numeric: Whether the categories are numbers, so that 1, 1.0, "1" and "1.0" are one category.

    Returns:
        The category's name; the same for a whole number given as text, integer or float.
    """
    if isinstance(cell, str):
        text = cell.strip()
        number = parse_number(text, PLAIN) if numeric else None
        if number is None:
            return text
        return str(int(text)) if _WHOLE.fullmatch(text) else _number_name(number)
    if isinstance(cell, (bool, np.bool_)):
        return "true" if cell else "false"
    if isinstance(cell, (int, np.integer)):
        return str(int(cell))
    if isinstance(cell, (float, np.floating)):
        return _number_name(float(cell))
    return str(cell)


def _number_name(number: float) -> str:
    return str(int(number)) if number.is_integer() else repr(number)


def shown(cell: object, most: int) -> str:
    """A cell as a message shows it, in at most `most` characters."""
    text = repr(cell)
    return text if len(text) <= most else text[: most - 3] + "..."
