"""Inference of date columns: the formats in which most cells are dates."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whisktrain.data.columns.cells import is_missing_among_numbers
from whisktrain.data.columns.column_type import TOLERATED, ColumnType, DistinctCells
from whisktrain.data.columns.dates import ISO, days_of_texts, is_date_object, parse_dates
from whisktrain.data.columns.series import Series, is_datetime

__all__ = ["infer_date"]

_DAYS = (
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%d.%m.%Y",
    "%d %b %Y",
    "%d %B %Y",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%d/%b/%Y",
    "%d. %B %Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%b %d %Y",
    "%B %d %Y",
    "%a, %d %b %Y",
    "%a %b %d %Y",
    "%d.%m.%y",
)
_MONTH_OR_DAY_FIRST = (("%m/%d/%Y", "%d/%m/%Y"), ("%m/%d/%y", "%d/%m/%y"), ("%m-%d-%Y", "%d-%m-%Y"))
_MONTHS = ("%Y-%m", "%Y/%m", "%m/%Y", "%b %Y", "%B %Y", "%b-%Y", "%B-%Y")
_TIMES = (
    "",
    " %H:%M",
    " %H:%M:%S",
    "T%H:%M:%S",
    " %I:%M %p",
    " %I:%M:%S %p",
    ", %H:%M",
    ":%H:%M:%S",
    " %H:%M:%S.%f",
)

_CANDIDATES: tuple[tuple[str, ...], ...] = (
    (ISO,),
    *((month,) for month in _MONTHS),
    *((day + time,) for time in _TIMES for day in _DAYS),
    *(
        (month_first + time, day_first + time)
        for time in _TIMES
        for month_first, day_first in _MONTH_OR_DAY_FIRST
    ),
)
"""Formats in the order in which they are tried; two of one entry are alternatives, of which the one that fits more is taken."""

_FORCED = ("%Y%m%d", ISO)
"""Formats of a column that the caller demands as dates, where no other format fits."""

_LIKE_A_DATE = re.compile(r"(?=.*\d)(?=.*[-/. ,:])[\w/.,:+\- ]{6,40}")
_SAMPLE = 40


@dataclass(frozen=True, slots=True)
class _Formats:
    """How a column writes its dates.

    Attributes:
        formats: `ISO` and formats of strftime, such that most texts follow one of them; none where there are no dates.
        remark: What was assumed where day and month could be either.
    """

    formats: tuple[str, ...] = ()
    remark: str = ""


def infer_date(cells: DistinctCells, column: Series, *, forced: bool = False) -> ColumnType | None:
    """The type of a column of dates; None where it is something else.

    Args:
        cells: The column's distinct cells.
        column: All its cells, shape (rows,).
        forced: Whether the caller demands dates, however few cells hold one.
    """
    if is_datetime(column) or all(is_date_object(value) for value in cells.values):
        return ColumnType("date", missing=cells.missing, distinct=len(cells.values), formats=(ISO,))
    texts = [text for text in cells.texts if not is_missing_among_numbers(text)]
    only_texts = len(cells.texts) == len(cells.values)
    if not texts or not only_texts:
        return None
    found = _find_formats(texts)
    if not found.formats and forced:
        found = _Formats(_FORCED, found.remark)
    if not found.formats:
        return None
    return _type_of_dates(cells, column, found, distinct=len(texts), forced=forced)


def _type_of_dates(
    cells: DistinctCells, column: Series, found: _Formats, *, distinct: int, forced: bool
) -> ColumnType | None:
    days, invalid = parse_dates(column, found.formats)
    if not forced and invalid.sum() > TOLERATED * cells.present:
        return None
    if np.isnan(days).all():
        return None
    notices = [found.remark] if found.remark else []
    if invalid.any():
        notices.append(f"{int(invalid.sum())} cell(s) are no dates and count as missing")
    return ColumnType(
        "date",
        missing=int(np.isnan(days).sum()),
        distinct=distinct,
        formats=found.formats,
        tolerant=bool(invalid.any()),
        notices=tuple(notices),
    )


def _find_formats(texts: Sequence[str]) -> _Formats:
    """The formats in which texts are dates.

    Args:
        texts: A column's distinct texts, none of them missing.
    """
    if not _look_like_dates(texts):
        return _Formats()
    unread = [text.strip() for text in texts]
    formats = []
    remark = ""
    for alternatives in _CANDIDATES:
        matches = _matches(unread, alternatives)
        if not matches:
            continue
        counts = {format_: int(matched.sum()) for format_, matched in matches.items()}
        best = max(matches, key=lambda format_: (counts[format_], format_.startswith("%m")))
        ambiguous = len(counts) == 2 and len(set(counts.values())) == 1
        if ambiguous:
            remark = f"day and month could be either; read as {best}"
        formats.append(best)
        unread = [text for text, matched in zip(unread, matches[best], strict=True) if not matched]
        if not unread:
            break
    return _Formats(tuple(formats), remark)


def _look_like_dates(texts: Sequence[str]) -> bool:
    sample = texts[:: max(1, len(texts) // _SAMPLE)][:_SAMPLE]
    like_dates = sum(_LIKE_A_DATE.fullmatch(text.strip()) is not None for text in sample)
    return like_dates >= 0.9 * len(sample)


def _matches(texts: list[str], alternatives: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    """Which texts follow each of the formats that some of a sample follow."""
    sample = texts[:1] + texts[-1:] + texts[:_SAMPLE]
    fitting = [format_ for format_ in alternatives if _follow(sample, format_).any()]
    return {format_: _follow(texts, format_) for format_ in fitting}


def _follow(texts: Sequence[str], format_: str) -> NDArray[np.bool_]:
    return ~np.isnan(days_of_texts(texts, format_))
