"""What kind of column it is: decided once, over all its cells, never per shard."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from whisktrain.data.columns.cells import (
    CODE,
    EXACT,
    FALSE_WORDS,
    PLAIN,
    TRUE_WORDS,
    NumberStyle,
    distinct,
    has_codes,
    holds_objects,
    is_date,
    is_missing,
    is_missing_among_numbers,
    numbers_of,
    parse_number,
    plain_numbers,
)
from whisktrain.data.columns.dates import ISO, dates_of, find_formats
from whisktrain.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Kind", "Typed", "decide"]

Kind = Literal["numeric", "categorical", "boolean", "date", "text", "id", "nested", "empty"]

TOLERATED = 0.05
"""So large a share of a column's values may be something else before it is no column of numbers or dates any more."""

_STYLES = {
    ".": (".", ".,", ",", ",.", ". ", ", ", ".'"),
    ",": (",", ",.", ".", ".,", ", ", ". ", ".'"),
}
"""The order in which styles are tried (decimal mark, then what separates thousands), by the file's decimal mark."""

_CODE = re.compile(CODE, re.ASCII)
_LONG = re.compile(r"[+-]?\d{16,}", re.ASCII)
_SIGNS = re.compile(r"[$€£¥₹%]|USD|EUR|GBP|CHF|JPY")
_ID_NAME = re.compile(
    r"(?:^|[^a-z])(?:id|ids|uuid|guid|key|idx|index|no|nr|num|number|row|rownames|rownumber|serial|ssn|isbn|hash)(?:$|[^a-z])"
)


@dataclass(frozen=True, slots=True)
class Typed:
    """A column's kind, and how its cells are to be read.

    Attributes:
        kind: "numeric", "categorical", "boolean" and "date" can be used; "text" (free text), "id", "nested" and "empty" not.
        reason: Why, in a few words, where that is not plain.
        missing: Cells without a value.
        distinct: Distinct values.
        style: How numbers are written.
        formats: How dates are written.
        numeric_keys: Whether categories are numbers, so that 1 and "1.0" are the same.
        tolerant: Whether some cells were something else and count as missing.
        otherwise: What a column that cannot be used would be, if it has to be kept.
        notices: What to tell, in sentences without the column's name.
    """

    kind: Kind
    reason: str = ""
    missing: int = 0
    distinct: int = 0
    style: NumberStyle = PLAIN
    formats: tuple[str, ...] = ()
    numeric_keys: bool = False
    tolerant: bool = False
    otherwise: Literal["numeric", "categorical"] = "categorical"
    notices: tuple[str, ...] = field(default=())


@dataclass(slots=True)
class _Cells:
    """A column's distinct values that are not missing, with how often each occurs."""

    values: list[Any]
    counts: NDArray[np.int64]
    missing: int

    @property
    def present(self) -> int:
        return int(self.counts.sum())

    def share(self, wanted: Sequence[bool]) -> float:
        return float(self.counts[np.array(wanted, dtype=bool)].sum()) / max(1, self.present)


def decide(column: pd.Series[Any], name: str, *, decimal: str = ".", force: str | None = None) -> Typed:
    """Decide what a column holds.

    Args:
        column: All its cells, shape (rows,).
        name: Its name: "id" and the like make an id likelier.
        decimal: The decimal mark that the file's numbers seem to have.
        force: The kind that the caller demands.

    Raises:
        DataError: The cells do not allow the demanded kind.
    """
    if force is None and (quick := _quick(column, name)) is not None:
        return quick
    codes, values = distinct(column)
    counts = np.bincount(codes, minlength=len(values))
    gone = np.array([is_missing(v) for v in values], dtype=bool)
    cells = _Cells([v for v, g in zip(values, gone, strict=True) if not g], counts[~gone], int(counts[gone].sum()))
    if not cells.values:
        return Typed("empty", "no values", cells.missing)
    if force is not None:
        return _forced(cells, column, name, decimal, force)
    if any(isinstance(v, (dict, list, tuple, set, np.ndarray)) for v in cells.values):
        return Typed("nested", "objects or lists in cells", cells.missing, len(cells.values))
    return _boolean(cells) or _numeric(cells, column, name, decimal) or _date(cells, column) or _categories(cells, name)


def _boolean(cells: _Cells) -> Typed | None:
    words = [v for v in cells.values if not (isinstance(v, str) and is_missing_among_numbers(v))]
    if words and all(isinstance(v, (bool, np.bool_)) or (isinstance(v, str) and _is_word(v)) for v in words):
        extra = _extra_missing(cells)
        return Typed("boolean", missing=cells.missing + extra, distinct=len({_truth(v) for v in words}))
    return None


def _is_word(text: str) -> bool:
    return text.strip().lower() in TRUE_WORDS | FALSE_WORDS


def _truth(value: Any) -> bool:
    return value.strip().lower() in TRUE_WORDS if isinstance(value, str) else bool(value)


def _extra_missing(cells: _Cells) -> int:
    return int(
        sum(c for v, c in zip(cells.values, cells.counts, strict=True) if isinstance(v, str) and is_missing_among_numbers(v))
    )


def _quick(column: pd.Series[Any], name: str) -> Typed | None:
    """The quick way for numbers, and for text that is plain numbers throughout."""
    if not holds_objects(column):
        if is_date(column) or column.dtype.kind == "b":
            return None
        if column.dtype.kind in "iu" and max(abs(int(column.min())), abs(int(column.max()))) > EXACT:
            return None
        numbers, bad = numbers_of(column, PLAIN)
        notices = (f"{int(bad.sum())} infinite cell(s) count as missing",) if bad.any() else ()
        return _numbers(numbers, name, PLAIN, bool(bad.any()), notices)
    numbers_found = plain_numbers(column)
    if numbers_found is None or np.nanmax(np.abs(numbers_found)) >= EXACT:
        return None
    if has_codes(column):
        return None
    return _numbers(numbers_found, name, PLAIN, False, ())


def _numeric(cells: _Cells, column: pd.Series[Any], name: str, decimal: str, *, forced: bool = False) -> Typed | None:
    """A column of numbers, maybe with a few strangers; None where it is something else."""
    if is_date(column):
        return None
    texts = [v.strip() for v in cells.values if isinstance(v, str)]
    if not forced:
        if any(_CODE.fullmatch(t) for t in texts) and cells.share([_reads(v, PLAIN) for v in cells.values]) >= 0.5:
            return _codes(cells, name, "codes with leading zeros")
        if any(_LONG.fullmatch(t) and abs(int(t)) > EXACT for t in texts) or any(
            isinstance(v, (int, np.integer)) and abs(int(v)) > EXACT for v in cells.values
        ):
            return _codes(cells, name, "whole numbers beyond 2^53")
        if any(isinstance(v, (bool, np.bool_)) for v in cells.values):
            return None
    best, style = 0.0, PLAIN
    for letters in _STYLES[decimal]:
        candidate = NumberStyle(letters[0], letters[1:])
        sample = cells.values[:: max(1, len(cells.values) // 200)]
        if sum(_reads(v, candidate) or _gap(v) for v in sample) < 0.5 * len(sample) and not forced:
            continue
        share = cells.share([_reads(v, candidate) or _gap(v) for v in cells.values])
        if share > best:
            best, style = share, candidate
        if share == 1.0:
            break
    readable = [_reads(v, style) for v in cells.values]
    tolerated = TOLERATED if cells.present >= 20 else 0.0
    if not any(readable) or (best < 1 - tolerated and not forced):
        return None
    notices = []
    numbers, bad = numbers_of(column, style)
    if bad.any():
        strangers = [v for v, r in zip(cells.values, readable, strict=True) if not r and not _gap(v)]
        shown = f", such as {_shown(strangers[0])}" if strangers else ""
        notices.append(f"{int(bad.sum())} cell(s) are no finite numbers and count as missing{shown}")
    if texts and style != PLAIN:
        comma = "a decimal comma" if style.decimal == "," else "a decimal point"
        notices.append(f"read with {comma}" + (f" and {style.group!r} between thousands" if style.group else ""))
    if any(r and isinstance(v, str) and _SIGNS.search(v) for v, r in zip(cells.values, readable, strict=True)):
        notices.append("signs of currency or per cent were left out")
    return _numbers(numbers, name, style, bool(bad.any()), tuple(notices))


def _reads(value: Any, style: NumberStyle) -> bool:
    if isinstance(value, str):
        return parse_number(value, style) is not None
    return isinstance(value, (bool, int, float, np.number, np.bool_))


def _gap(value: Any) -> bool:
    return isinstance(value, str) and is_missing_among_numbers(value)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _numbers(numbers: NDArray[np.float64], name: str, style: NumberStyle, tolerant: bool, notices: tuple[str, ...]) -> Typed:
    """A numeric column, or one that only counts or names the rows."""
    present = numbers[~np.isnan(numbers)]
    missing, count = len(numbers) - len(present), len(np.unique(present))
    if not count:
        return Typed("empty", "no values", missing)
    kind: Kind = "numeric"
    reason = ""
    if len(present) >= 10 and (present == np.floor(present)).all():
        restarts = np.concatenate([present[:1], present[1:][np.diff(present) != 1]])
        counts = (np.diff(present) == 1).mean() >= 0.95 and np.isin(restarts, (0, 1)).mean() >= 0.5
        if counts and count >= 0.3 * len(present):  # not the hours of many days
            kind, reason = "id", "counts the rows"
        elif _ID_NAME.search(_words(name)) and count > 0.9 * len(present):
            kind, reason = "id", "named like an id, and nearly every row has its own"
    return Typed(kind, reason, missing, count, style, tolerant=tolerant, otherwise="numeric", notices=notices)


def _words(name: str) -> str:
    """The name in lower case, with camel case taken apart."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


def _date(cells: _Cells, column: pd.Series[Any], *, forced: bool = False) -> Typed | None:
    if is_date(column):
        return Typed("date", missing=cells.missing, distinct=len(cells.values), formats=(ISO,))
    if all(hasattr(v, "year") for v in cells.values):
        return Typed("date", missing=cells.missing, distinct=len(cells.values), formats=(ISO,))
    texts = [v for v in cells.values if isinstance(v, str) and not is_missing_among_numbers(v)]
    if not texts or sum(isinstance(v, str) for v in cells.values) < len(cells.values):
        return None
    formats, remark = find_formats(texts)
    if not formats and forced:
        formats = ["%Y%m%d", ISO]
    if not formats:
        return None
    days, bad = dates_of(column, formats)
    if not forced and bad.sum() > TOLERATED * cells.present:
        return None
    if np.isnan(days).all():
        return None
    notices = [remark] if remark else []
    if bad.any():
        notices.append(f"{int(bad.sum())} cell(s) are no dates and count as missing")
    return Typed(
        "date",
        missing=int(np.isnan(days).sum()),
        distinct=len(texts),
        formats=tuple(formats),
        tolerant=bool(bad.any()),
        notices=tuple(notices),
    )


def _codes(cells: _Cells, name: str, what: str) -> Typed:
    """Numbers that are no quantities: kept as text, exactly."""
    typed = _categories(cells, name)
    return Typed(typed.kind, typed.reason, typed.missing, typed.distinct, notices=(f"{what}: kept as text",))


def _categories(cells: _Cells, name: str) -> Typed:
    """A column of categories, of free text, or of ids."""
    texts = [str(v).strip() for v in cells.values]
    count, present = len(set(texts)), cells.present
    numeric = all(parse_number(t, PLAIN) is not None and not _CODE.fullmatch(t) for t in texts)
    base = Typed("categorical", missing=cells.missing, distinct=count, numeric_keys=numeric)
    words = float(np.average([len(t.split()) for t in texts], weights=cells.counts))
    length = float(np.average([len(t) for t in texts], weights=cells.counts))
    sentences = cells.share([t.endswith((".", "!", "?")) for t in texts])
    if count > 5 and (words >= 3 or length > 60) and (count > 0.2 * present or count > 100):
        return replace(base, kind="text", reason="free text")
    if count > 1 and words >= 4 and sentences >= 0.5:
        return replace(base, kind="text", reason="free text, in sentences")
    if count == present and present >= 10:
        return replace(base, kind="id", reason="every row has its own value")
    if count > 20 and count > 0.5 * present:
        return replace(base, kind="id", reason="most rows have their own value")
    if count > 20 and count > 0.05 * present and _ID_NAME.search(_words(name)):
        return replace(base, kind="id", reason="named like an id, with many values")
    return base


def _forced(cells: _Cells, column: pd.Series[Any], name: str, decimal: str, force: str) -> Typed:
    found: Typed | None
    if force == "categorical":
        free = _categories(cells, name)
        found = Typed("categorical", "as asked", free.missing, free.distinct, numeric_keys=free.numeric_keys)
    elif force == "numeric":
        found = _numeric(cells, column, name, decimal, forced=True)
    elif force == "boolean":
        found = _boolean(cells) or (
            Typed("boolean", missing=cells.missing, distinct=len(cells.values))
            if all(str(v).strip() in ("0", "1", "0.0", "1.0") for v in cells.values)
            else None
        )
    else:
        found = _date(cells, column, forced=True)
    if found is None:
        raise DataError(
            f"The column {name!r} cannot be read as {force}: it holds {_shown(cells.values[0])}, for example.",
            code="bad_column_type",
            hint="Change data.types, or correct the column.",
        )
    if found.kind != force:  # a demanded number that counts rows is a number all the same
        found = Typed(
            "numeric", "as asked", found.missing, found.distinct, found.style, tolerant=found.tolerant, notices=found.notices
        )
    return found
