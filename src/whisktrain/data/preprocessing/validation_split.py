"""The validation split of a table: its latest rows where it has an order of time, else rows drawn at random."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from whisktrain.data.columns.column_names import folded
from whisktrain.data.columns.column_type import ColumnType
from whisktrain.data.columns.inference import infer_type
from whisktrain.data.columns.target import Target
from whisktrain.data.dataset import SplitReport
from whisktrain.data.preprocessing.column_encoder import ColumnEncoder
from whisktrain.data.shards.splits import strata_of, validation_rows
from whisktrain.data.shards.time_order import is_in_order, latest_rows
from whisktrain.data.table import Table
from whisktrain.errors import DataError
from whisktrain.request import DataRequest

__all__ = ["Split", "random_split", "split_table"]

MOST_UNLIKE = 2.0
"""How many times more or fewer rows than asked for may validate where rows are split by time without being asked."""

NUMBERED = ("year", "yr", "date", "datetime", "timestamp", "epoch", "unixtime", "unix_time")
"""Names (in lower case) of columns whose numbers are times where they are in order. Not "time", which may be a duration."""

MOST_SHOWN = 5
_EXPLAINED = "data.split 'random' or 'time:COLUMN' says otherwise"


class Split(NamedTuple):
    """Which rows validate, and why.

    Attributes:
        held_out: Which of the rows that have a target validate, shape (used rows,).
        report: The rule.
        notices: What the user should know, in sentences.
    """

    held_out: NDArray[np.bool_]
    report: SplitReport
    notices: list[str]


class _Times(NamedTuple):
    """A column of times: its name, and the time of each row that has a target, NaN where it has none."""

    name: str
    values: NDArray[np.float64]
    is_date: bool


def random_split(target: Target, share: float, seed: int, reason: str) -> Split:
    """Rows drawn at random, from each class or tenth of the values.

    Args:
        target: The target.
        share: The share of rows to validate on.
        seed: The request's seed.
        reason: Why at random.
    """
    held_out = validation_rows(strata_of(target.y, target.task), share, seed)
    if not held_out.any():
        return Split(held_out, {"how": "none", "column": None, "reason": "no rows validate"}, [])
    return Split(held_out, {"how": "random", "column": None, "reason": reason}, [])


def split_table(
    table: Table,
    inferred: Mapping[str, ColumnType],
    target: Target,
    request: DataRequest,
    seed: int,
) -> Split:
    """Choose the validation rows of a table.

    Args:
        table: The rows.
        inferred: The type of each column but the target that the request does not drop.
        target: The target.
        request: The request's section `data`.
        seed: The request's seed.

    Raises:
        DataError: A split by time is asked for, and there are no times.
    """
    how, _, named = request.split.partition(":")
    share = request.validation
    if not share:
        return random_split(target, share, seed, "")
    if named:
        return _split_by(_named_times(table, inferred, named, target), target, share)
    types = _with_dropped(table, inferred, request.drop)
    dates = [
        _times(table, name, found, target) for name, found in types.items() if found.kind == "date"
    ]
    if not dates:
        dates = [times for times in _numbered(table, types, target) if is_in_order(times.values)]
    ordered = [times for times in dates if is_in_order(times.values)]
    if how == "random":
        split = random_split(target, share, seed, "data.split is 'random'")
        return split._replace(notices=[_asked_at_random(ordered[0])]) if ordered else split
    if how == "time":
        if not dates:
            raise DataError(
                "A split by time was asked for, but no column holds dates.",
                code="no_time",
                hint="Name the column of times: data.split 'time:COLUMN'.",
            )
        return _split_by((ordered or dates)[0], target, share)
    if not dates:
        return random_split(target, share, seed, "no column holds dates")
    why_not = "its rows are in no order of it"
    for times in ordered:
        held_out = latest_rows(times.values, share)
        if held_out is None or not _is_near(float(held_out.mean()), share):
            why_not = "too many rows have the same moment"
        elif _unknown_classes(target, held_out).any():
            why_not = "some classes are among its latest rows only"
        else:
            return _split_by(times, target, share)
    names = ", ".join(repr(times.name) for times in dates[:MOST_SHOWN])
    split = random_split(target, share, seed, f"there are dates in {names}, but {why_not}")
    notice = (
        f"VALIDATION ROWS ARE DRAWN AT RANDOM though there are dates in {names}: {why_not}. If the model is to answer for later"
        f" rows than it was trained on, its scores are too good; data.split 'time' validates on the latest rows."
    )
    return split._replace(notices=[notice])


def _asked_at_random(times: _Times) -> str:
    return (
        f"Validation rows are drawn at random, as asked, though the rows are in order of {times.name!r}: "
        "the scores say nothing of later rows."
    )


def _split_by(times: _Times, target: Target, share: float) -> Split:
    """The latest rows by a column of times."""
    held_out = latest_rows(times.values, share)
    if held_out is None:
        raise DataError(
            f"All rows have the same moment in {times.name!r}; a split by time needs two.",
            code="no_time",
            hint="Name another column, or set data.split to 'random'.",
        )
    notices = []
    first = _moment(float(times.values[held_out].min()), is_date=times.is_date)
    unknown = _unknown_classes(target, held_out)
    if unknown.any():
        held_out = held_out & ~unknown
        notices.append(
            f"{int(unknown.sum())} of the latest row(s) are of classes that no earlier row has; they stay in training."
        )
    if not held_out.any():
        raise DataError(
            f"Every class of the latest rows by {times.name!r} is new there, so that none can validate.",
            code="no_time",
            hint="Set data.split to 'random'.",
        )
    missing = int(np.isnan(times.values).sum())
    if missing:
        notices.append(f"{missing} row(s) without a value in {times.name!r} stay in training.")
    count, rows = int(held_out.sum()), len(held_out)
    reason = f"the latest {count} of {rows} rows by {times.name!r}, from {first} on"
    notices.insert(0, f"Validation by time: {reason}; {_EXPLAINED}.")
    return Split(held_out, {"how": "time", "column": times.name, "reason": reason}, notices)


def _is_near(found: float, share: float) -> bool:
    return share / MOST_UNLIKE <= found <= min(share * MOST_UNLIKE, 0.9)


def _unknown_classes(target: Target, held_out: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which rows validate though training has none of their class, shape (used rows,)."""
    if target.classes is None:
        return np.zeros(len(held_out), dtype=bool)
    return held_out & ~np.isin(target.y, np.unique(target.y[~held_out]))


def _with_dropped(
    table: Table, inferred: Mapping[str, ColumnType], dropped: Sequence[str]
) -> dict[str, ColumnType]:
    """The types of the dropped columns too: leaving a column out does not change the order of the rows."""
    return {
        name: inferred[name] if name in inferred else infer_type(table.column(name), name)
        for name in table.names
        if name in inferred or name in dropped
    }


def _numbered(table: Table, types: Mapping[str, ColumnType], target: Target) -> Iterator[_Times]:
    """The columns of numbers that are called after a time, such as a year."""
    for name, found in types.items():
        if found.kind == "numeric" and folded(name) in NUMBERED:
            yield _times(table, name, found, target)


def _named_times(
    table: Table, inferred: Mapping[str, ColumnType], named: str, target: Target
) -> _Times:
    """The times in the column that the request names: dates or numbers."""
    found = inferred.get(named)
    if found is None or found.kind not in ("date", "numeric"):
        found = infer_type(table.column(named), named, decimal=table.decimal)
        if found.kind != "date":
            found = infer_type(table.column(named), named, decimal=table.decimal, force="numeric")
    return _times(table, named, found, target)


def _times(table: Table, name: str, found: ColumnType, target: Target) -> _Times:
    cells = table.column(name)[target.used]
    is_date = found.kind == "date"
    return _Times(name, ColumnEncoder.of(name, found).values(cells).values, is_date)


def _moment(value: float, *, is_date: bool) -> str:
    """A time as a message shows it."""
    if not is_date:
        return f"{value:g}"
    moment = np.datetime64(0, "s") + np.timedelta64(round(value * 86_400), "s")
    return str(moment).removesuffix("T00:00:00")
