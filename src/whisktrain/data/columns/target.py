"""The target: classes or values, and each row's class number or value."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from whisktrain.data.columns.cells import shown
from whisktrain.data.columns.classes import MOST_INTEGER_CLASSES, one_value, read_classes
from whisktrain.data.columns.column_type import ColumnType
from whisktrain.data.columns.inference import NESTED, infer_type
from whisktrain.data.columns.numbers import PLAIN, parse_number
from whisktrain.data.columns.series import Series, factorize, missing_mask, parse_numbers
from whisktrain.errors import DataError
from whisktrain.spec import Label, Task

__all__ = ["ModelTarget", "Target", "read_target"]

MOST_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Target:
    """The target of the rows that have one.

    Attributes:
        task: "classification" or "regression".
        reason: Why that task.
        used: Which rows have a target, shape (rows of the source,).
        classes: The labels in order, in their original types; None for regression.
        y: Class numbers (int64) or values (float64), shape (used rows,).
    """

    task: Task
    reason: str
    used: NDArray[np.bool_]
    classes: tuple[Label, ...] | None
    y: NDArray[np.int64] | NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ModelTarget:
    """What a given model decides about its targets.

    Attributes:
        task: "classification" or "regression"; None where the targets decide.
        reason: Why.
        most_classes: How many classes it can tell apart, at most; more whole numbers are values.
        standardise: Whether its outputs can have any value, so that values may be standardised.
    """

    task: Task | None = None
    reason: str = ""
    most_classes: int = MOST_INTEGER_CLASSES
    standardise: bool = True


def read_target(
    column: Series,
    name: str,
    *,
    task: Task | Literal["auto"] = "auto",
    decimal: str = ".",
    model: ModelTarget | None = None,
) -> Target:
    """Choose between classes and values, and read them.

    Args:
        column: All its cells, shape (rows,).
        name: Its name.
        task: "auto", or the caller's choice.
        decimal: The file's decimal mark.
        model: What a given model decides, where the caller does not.

    Raises:
        DataError: All are missing, values are infinite or no numbers, or there is only one class.
    """
    missing = missing_mask(column)
    if missing.all():
        raise DataError(
            f"The target {name!r} has no value in any row.",
            code="no_target",
            hint="Choose another target.",
        )
    present = column[~missing]
    found = infer_type(present, name, decimal=decimal)
    if found.kind == "nested":
        raise DataError(
            f"The target {name!r} holds objects or lists, such as {_nested_example(present)}; expected one value in each row.",
            code="bad_target",
            hint="Choose another target, or give each of its values a column.",
        )
    numeric = found.kind == "numeric" or (found.kind == "id" and _all_numbers(present, found))
    _check_finite(column, name, texts=numeric)
    reason = f"data.task is {task!r}"
    if task == "auto" and model is not None and model.task is not None:
        task, reason = model.task, model.reason
    if numeric and found.tolerant and task != "classification":
        other = parse_numbers(present, found.style).invalid
        rows = np.flatnonzero(~missing)[other]
        raise DataError(
            f"The target {name!r} holds numbers, but other text in row(s) {_row_numbers(rows)}.",
            code="bad_target",
            hint="Correct them, leave them empty to drop these rows, or set data.task to 'classification'.",
        )
    if task == "auto":
        most = MOST_INTEGER_CLASSES if model is None else model.most_classes
        task, reason = _infer_task(present, found, numeric=numeric, most_classes=most)
    if task == "regression":
        if not numeric:
            found = infer_type(present, name, decimal=decimal, force="numeric")
        return _read_values(column, name, found, missing, reason)
    labels = read_classes(column, name, found, numeric=numeric)
    return Target("classification", reason, labels.used, labels.classes, labels.y)


def _all_numbers(column: Series, found: ColumnType) -> bool:
    values, invalid = parse_numbers(column, found.style)
    return not invalid.any() and not np.isnan(values).any()


def _nested_example(present: Series) -> str:
    return next(shown(cell, 40) for cell in present if isinstance(cell, NESTED))


def _check_finite(column: Series, name: str, *, texts: bool) -> None:
    """Refuse infinite values, and texts that spell one among numbers."""
    codes, values = factorize(column)
    infinite = np.array(
        [(texts or not isinstance(value, str)) and _is_infinite(value) for value in values],
        dtype=bool,
    )
    if infinite.any():
        rows = np.flatnonzero(infinite[codes])
        raise DataError(
            f"The target {name!r} is infinite in row(s) {_row_numbers(rows)}; expected finite values.",
            code="infinite_target",
            hint="Correct these rows, or leave their target empty to drop them.",
        )


def _is_infinite(cell: object) -> bool:
    if isinstance(cell, str):
        number = parse_number(cell, PLAIN)
        return number is not None and math.isinf(number)
    return isinstance(cell, (float, np.floating)) and math.isinf(cell)


def _row_numbers(rows: NDArray[np.int64]) -> str:
    """Rows as a message names them, counted from 1."""
    named = ", ".join(str(int(row) + 1) for row in rows[:MOST_SHOWN])
    return named + (f" and {len(rows) - MOST_SHOWN} more" if len(rows) > MOST_SHOWN else "")


def _infer_task(
    present: Series, found: ColumnType, *, numeric: bool, most_classes: int
) -> tuple[Task, str]:
    """The task that suits the target's cells, and why."""
    if not numeric:
        return (
            "classification",
            f"the target holds {'booleans' if found.kind == 'boolean' else 'text'}",
        )
    numbers = parse_numbers(present, found.style).values
    distinct = np.unique(numbers[~np.isnan(numbers)])
    if not (distinct == np.floor(distinct)).all():
        return "regression", "the target holds numbers with fractions"
    if len(distinct) <= most_classes:
        return (
            "classification",
            f"the target holds {len(distinct)} whole numbers, at most {most_classes}",
        )
    return (
        "regression",
        f"the target holds {len(distinct)} whole numbers, more than {most_classes}",
    )


def _read_values(
    column: Series, name: str, found: ColumnType, missing: NDArray[np.bool_], reason: str
) -> Target:
    """The values of a regression target."""
    values, invalid = parse_numbers(column, found.style)
    other = invalid & ~missing
    if other.any():
        raise DataError(
            f"The target {name!r} has no number in row(s) {_row_numbers(np.flatnonzero(other))}.",
            code="bad_target",
            hint="Correct them, or set data.task to 'classification'.",
        )
    used = ~np.isnan(values)
    y = values[used]
    if y.size and (y == y[0]).all():
        raise one_value(name, float(y[0]))
    return Target("regression", reason, used, None, y)
