"""Dates as people write them: which formats a column has, and the days that they mean."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whisktrain.data.columns.cells import distinct, holds_objects, is_date, is_missing, is_missing_among_numbers

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ISO", "PARTS", "dates_of", "find_formats", "part_of"]

ISO = "ISO8601"

PARTS = ("days", "month", "day", "weekday", "hour")
"""The numbers that a date becomes: days since 1970-01-01 (with their fraction), month 1-12, day 1-31, weekday 0 (Monday) - 6,
hour 0-23."""

_DAYS = (
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%d.%m.%Y",
    "%d-%m-%Y",
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
_MONTH_FIRST = ("%m/%d/%Y", "%m/%d/%y", "%m-%d-%Y")
_DAY_FIRST = ("%d/%m/%Y", "%d/%m/%y", "%d-%m-%Y")
_TIMES = ("", " %H:%M", " %H:%M:%S", "T%H:%M:%S", " %I:%M %p", " %I:%M:%S %p", ", %H:%M", ":%H:%M:%S", " %H:%M:%S.%f")

_ISO = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)?\s?(?:Z|[+-]\d{2}:?\d{2})?")
_LIKELY = re.compile(r"(?=.*\d)(?=.*[-/. ,:])[\w/.,:+\- ]{6,40}")
_SAMPLE = 40


def find_formats(texts: list[str]) -> tuple[list[str], str]:
    """The formats in which a column writes its dates.

    Args:
        texts: Its distinct texts, none of them missing.

    Returns:
        Formats (`ISO8601` or strftime's), such that most texts follow one of them; none where the column holds no dates.
        And a remark where day and month could be either.
    """
    sample = texts[:: max(1, len(texts) // _SAMPLE)][:_SAMPLE]
    if sum(_LIKELY.fullmatch(text.strip()) is not None for text in sample) < 0.9 * len(sample):
        return [], ""
    rest, formats, remark = [text.strip() for text in texts], [], ""
    for candidates in (
        (ISO,),
        *((day + time,) for time in _TIMES for day in _DAYS if not day.startswith("%d-%m")),
        *((m + time, d + time) for time in _TIMES for m, d in zip(_MONTH_FIRST, _DAY_FIRST, strict=True)),
    ):
        matched = {f: _matches(rest, f) for f in candidates if _matches(rest[:1] + rest[-1:] + rest[:_SAMPLE], f).any()}
        if not matched:
            continue
        best = max(matched, key=lambda f: (int(matched[f].sum()), f.startswith("%m")))
        if len(matched) == 2 and len({int(m.sum()) for m in matched.values()}) == 1:
            remark = f"day and month could be either; read as {best}"
        formats.append(best)
        rest = [text for text, done in zip(rest, matched[best], strict=True) if not done]
        if not rest:
            break
    return formats, remark


def dates_of(column: pd.Series[Any], formats: list[str]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """A column as days since 1970-01-01 (UTC where zones are given), with their fraction.

    Returns:
        The days, NaN where there is no date, and which cells hold something else; each (rows,).
    """
    if is_date(column):
        days = _days(column)
        return days, np.zeros(len(column), bool)
    if not holds_objects(column):
        return np.full(len(column), np.nan), ~np.asarray(column.isna(), dtype=bool)
    codes, values = distinct(column)
    days = np.full(len(values), np.nan)
    texts = [at for at, value in enumerate(values) if isinstance(value, str)]
    for format_ in [*formats, *([] if ISO in formats else [ISO])]:
        left = [at for at in texts if np.isnan(days[at])]
        days[left] = _days(_parsed([values[at].strip() for at in left], format_))
    for at, value in enumerate(values):
        if hasattr(value, "year") and not isinstance(value, str) and not is_missing(value):
            days[at] = _days(_parsed([value.isoformat()], ISO))[0]
    none = [is_missing(v) or (isinstance(v, str) and is_missing_among_numbers(v)) for v in values]
    return days[codes], (np.isnan(days) & ~np.array(none, dtype=bool))[codes]


def part_of(days: NDArray[np.float64], part: str) -> NDArray[np.float64]:
    """One of `PARTS` of dates given as days since 1970-01-01; NaN stays NaN."""
    if part == "days":
        return days
    known = ~np.isnan(days)
    whole = np.where(known, np.floor(days), 0).astype("datetime64[D]")
    months = whole.astype("datetime64[M]")
    found: NDArray[Any]
    if part == "month":
        found = months.astype(np.int64) % 12 + 1
    elif part == "day":
        found = (whole - months.astype("datetime64[D]")).astype(np.int64) + 1
    elif part == "weekday":
        found = (whole.astype(np.int64) + 3) % 7  # 1970-01-01 was a Thursday
    else:
        found = np.floor(np.round((days - np.floor(days)) * 86400) / 3600)
    return np.where(known, found, np.nan)


def _matches(texts: list[str], format_: str) -> NDArray[np.bool_]:
    return ~np.isnan(_days(_parsed(texts, format_)))


def _parsed(texts: list[str], format_: str) -> pd.Series[Any]:
    import pandas as pd

    if format_ == ISO:
        texts = [text if _ISO.fullmatch(text) else "" for text in texts]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pd.Series(pd.to_datetime(pd.Series(texts, dtype=object), format=format_, errors="coerce", utc=True))


def _days(dates: pd.Series[Any]) -> NDArray[np.float64]:
    """Days since 1970-01-01; exact to the microsecond."""
    import pandas as pd

    naive = dates.dt.tz_convert("UTC").dt.tz_localize(None) if dates.dt.tz is not None else dates
    micros = naive.astype("datetime64[us]")
    return np.where(pd.isna(micros), np.nan, micros.to_numpy().astype(np.int64) / 86_400e6)
