"""Dates: cells as days since 1970-01-01, and the parts of a date that become features."""

from __future__ import annotations

import datetime
import re
import warnings
from collections.abc import Sequence
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

from whisktrain.data.columns.cells import is_missing
from whisktrain.data.columns.series import (
    ParsedColumn,
    Series,
    factorize,
    holds_objects,
    is_datetime,
    unreadable,
)

__all__ = ["ISO", "PARTS", "date_part", "days_of_texts", "is_date_object", "parse_dates"]

ISO = "ISO8601"

PARTS = ("days", "month", "day", "weekday", "hour")
"""The numbers that a date becomes: days since 1970-01-01 (with their fraction), month 1-12, day 1-31, weekday 0 (Monday) - 6,
hour 0-23."""

_ISO = re.compile(
    r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)?\s?(?:Z|[+-]\d{2}:?\d{2})?"
)
_MICROSECONDS_OF_A_DAY = 86_400e6
_SECONDS_OF_A_DAY = 86_400
_THURSDAY = 3
"""The weekday of 1970-01-01."""


def is_date_object(cell: object) -> TypeGuard[datetime.date]:
    """Whether a cell is a date of the standard library or of pandas."""
    return isinstance(cell, datetime.date)


def parse_dates(column: Series, formats: Sequence[str]) -> ParsedColumn:
    """Read a column as dates.

    Args:
        column: The cells, shape (rows,).
        formats: `ISO` and formats of strftime, tried in this order; ISO dates are always read.

    Returns:
        Days since 1970-01-01 (in UTC where zones are given), with their fraction.
    """
    if is_datetime(column):
        return ParsedColumn(_days(column), np.zeros(len(column), bool))
    if not holds_objects(column):
        return ParsedColumn(np.full(len(column), np.nan), ~np.asarray(column.isna(), dtype=bool))
    codes, cells = factorize(column)
    tried = [*formats] if ISO in formats else [*formats, ISO]
    days = _days_of_texts_among(cells, tried)
    for at, cell in enumerate(cells):
        if is_date_object(cell) and not is_missing(cell):
            days[at] = days_of_texts([cell.isoformat()], ISO)[0]
    return ParsedColumn(days[codes], unreadable(days, cells)[codes])


def _days_of_texts_among(cells: Sequence[object], formats: Sequence[str]) -> NDArray[np.float64]:
    """The days that the texts among the cells mean, each by the first format that it follows; NaN elsewhere."""
    days = np.full(len(cells), np.nan)
    texts = {at: cell.strip() for at, cell in enumerate(cells) if isinstance(cell, str)}
    for format_ in formats:
        unread = [at for at in texts if np.isnan(days[at])]
        days[unread] = days_of_texts([texts[at] for at in unread], format_)
    return days


def days_of_texts(texts: Sequence[str], format_: str) -> NDArray[np.float64]:
    """The days that texts in one format mean; NaN where a text does not follow it."""
    import pandas as pd

    if format_ == ISO:
        texts = [text if _ISO.fullmatch(text) else "" for text in texts]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dates = pd.to_datetime(
            pd.Series(texts, dtype=object), format=format_, errors="coerce", utc=True
        )
    return _days(pd.Series(dates))


def _days(dates: Series) -> NDArray[np.float64]:
    """Days since 1970-01-01; exact to the microsecond."""
    import pandas as pd

    in_utc = dates.dt.tz_convert("UTC").dt.tz_localize(None) if dates.dt.tz is not None else dates
    moments = in_utc.astype("datetime64[us]")
    microseconds = moments.to_numpy().astype(np.int64)
    return np.where(pd.isna(moments), np.nan, microseconds / _MICROSECONDS_OF_A_DAY)


def date_part(days: NDArray[np.float64], part: str) -> NDArray[np.float64]:
    """One of `PARTS` of dates given as days since 1970-01-01; NaN stays NaN."""
    if part == "days":
        return days
    known = ~np.isnan(days)
    dates = np.where(known, np.floor(days), 0).astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    found: NDArray[np.generic]
    if part == "month":
        found = months.astype(np.int64) % 12 + 1
    elif part == "day":
        found = (dates - months.astype("datetime64[D]")).astype(np.int64) + 1
    elif part == "weekday":
        found = (dates.astype(np.int64) + _THURSDAY) % 7
    else:
        seconds = np.round((days - np.floor(days)) * _SECONDS_OF_A_DAY)
        found = np.floor(seconds / 3600)
    return np.where(known, found, np.nan)
