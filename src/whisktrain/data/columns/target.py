"""What is to be predicted: which column, classes or values, and how they become numbers."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whisktrain.data.columns.cells import (
    PLAIN,
    distinct,
    is_missing,
    is_missing_among_numbers,
    key_of,
    missing_of,
    numbers_of,
    parse_number,
)
from whisktrain.data.columns.inference import Typed, decide
from whisktrain.data.table import Table
from whisktrain.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Label", "Target", "find_target", "read_target"]

Label = int | float | bool | str

NAMES = (
    "target",
    "label",
    "labels",
    "class",
    "y",
    "outcome",
    "response",
    "species",
    "survived",
    "churn",
    "churned",
    "diagnosis",
    "variety",
    "category",
    "price",
)
"""Names that a target often has (in lower case), the likeliest first."""

MOST_INTEGER_CLASSES = 20
MOST_CLASSES = 1000


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

    task: str
    reason: str
    used: NDArray[np.bool_]
    classes: tuple[Label, ...] | None
    y: NDArray[Any]


def find_target(table: Table, wanted: str | None, usable: Sequence[str]) -> tuple[str, str]:
    """Which column is the target.

    Args:
        table: The table.
        wanted: The caller's choice.
        usable: Names of the columns that could be one: not empty, no ids, no free text.

    Returns:
        Its name, and why it was taken.

    Raises:
        DataError: There is no such column, or none that could be it.
    """
    names = table.names
    if wanted is not None:
        if wanted in names:
            return wanted, "named in the request"
        folded = [name for name in names if name.strip().casefold() == wanted.strip().casefold()]
        if len(folded) == 1:
            return folded[0], "named in the request"
        near = difflib.get_close_matches(wanted, names, n=1, cutoff=0.5)
        known = ", ".join(repr(name) for name in names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
        raise DataError(
            f"The target was {wanted!r}; expected one of the columns {known}.",
            code="no_target",
            hint=f"Did you mean {near[0]!r}?" if near else "Name one of them.",
        )
    if table.target is not None:
        return table.target, "the source says so"
    for likely in NAMES:
        for name in names:
            if likely == "y" and {"x", "z"} <= set(names):
                continue  # coordinates
            if name.strip().casefold() == likely and name in usable:
                return name, f"a column called {likely!r} is usually the target"
    if usable:
        last = usable[-1]
        return last, "it is the last column" if last == names[-1] else "it is the last column that could be one"
    raise DataError("No column can be the target: all are empty, ids or free text.", code="no_target", hint="Name the target.")


def read_target(column: pd.Series[Any], name: str, *, task: str = "auto", decimal: str = ".") -> Target:
    """Decide between classes and values, and read them.

    Args:
        column: All its cells, shape (rows,).
        name: Its name.
        task: "auto", or the caller's choice.
        decimal: The decimal mark that the file's numbers seem to have.

    Raises:
        DataError: All are missing, values are infinite or no numbers, or there is only one class.
    """
    gone = missing_of(column)
    if gone.all():
        raise DataError(f"The target {name!r} has no value in any row.", code="no_target", hint="Choose another target.")
    present = column[~gone]
    typed = decide(present, name, decimal=decimal)
    numeric = typed.kind == "numeric" or (typed.kind == "id" and _all_numbers(present, typed))
    if numeric:
        _refuse_infinite(column, name)
    if numeric and typed.tolerant and task != "classification":
        rows = np.flatnonzero(~gone)[numbers_of(present, typed.style)[1]]
        raise DataError(
            f"The target {name!r} holds numbers, but other text in row(s) {_listed(rows)}.",
            code="bad_target",
            hint="Correct them, leave them empty to drop these rows, or set data.task to 'classification'.",
        )
    reason = f"data.task is {task!r}"
    if task == "auto":
        task, reason = _task_of(present, typed, numeric)
    if task == "regression":
        if not numeric:
            typed = decide(present, name, decimal=decimal, force="numeric")
        values, bad = numbers_of(column, typed.style)
        if (bad & ~gone).any():
            raise DataError(
                f"The target {name!r} has no number in row(s) {_listed(np.flatnonzero(bad & ~gone))}.",
                code="bad_target",
                hint="Correct them, or set data.task to 'classification'.",
            )
        used = ~np.isnan(values)
        y = values[used]
        if y.size and (y == y[0]).all():
            raise _one_value(name, y[0])
        return Target("regression", reason, used, None, y)
    return _classes(column, name, typed, numeric, reason)


def _all_numbers(column: pd.Series[Any], typed: Typed) -> bool:
    values, bad = numbers_of(column, typed.style)
    return not bad.any() and not np.isnan(values).any()


def _refuse_infinite(column: pd.Series[Any], name: str) -> None:
    codes, values = distinct(column)
    infinite = np.array([_is_infinite(value) for value in values], dtype=bool)
    if infinite.any():
        rows = np.flatnonzero(infinite[codes])
        raise DataError(
            f"The target {name!r} is infinite in row(s) {_listed(rows)}; expected finite values.",
            code="infinite_target",
            hint="Correct these rows, or leave their target empty to drop them.",
        )


def _is_infinite(cell: Any) -> bool:
    if isinstance(cell, str):
        number = parse_number(cell, PLAIN)
        return number is not None and math.isinf(number)
    return isinstance(cell, (float, np.floating)) and math.isinf(cell)


def _listed(rows: NDArray[np.int64]) -> str:
    shown = ", ".join(str(int(row) + 1) for row in rows[:10])
    return shown + (f" and {len(rows) - 10} more" if len(rows) > 10 else "")


def _task_of(present: pd.Series[Any], typed: Typed, numeric: bool) -> tuple[str, str]:
    if not numeric:
        return "classification", f"the target holds {'booleans' if typed.kind == 'boolean' else 'text'}"
    numbers = numbers_of(present, typed.style)[0]
    values = np.unique(numbers[~np.isnan(numbers)])
    if not (values == np.floor(values)).all():
        return "regression", "the target holds numbers with fractions"
    if len(values) <= MOST_INTEGER_CLASSES:
        return "classification", f"the target holds {len(values)} whole numbers, at most {MOST_INTEGER_CLASSES}"
    return "regression", f"the target holds {len(values)} whole numbers, more than {MOST_INTEGER_CLASSES}"


def _one_value(name: str, value: Any) -> DataError:
    return DataError(
        f"The target {name!r} is {value!r} in every row; expected at least two different values.",
        code="one_class",
        hint="Choose another target, or add rows of another class.",
    )


def _classes(column: pd.Series[Any], name: str, typed: Typed, numeric: bool, reason: str) -> Target:
    codes, cells = distinct(column)
    spelt = numeric or typed.kind == "boolean"
    gone = [is_missing(c) or (spelt and isinstance(c, str) and is_missing_among_numbers(c)) for c in cells]
    whole = all(_is_whole_text(c) for c, g in zip(cells, gone, strict=True) if isinstance(c, str) and not g)
    labels = [None if g else _label(c, typed, numbers=numeric, whole=whole) for c, g in zip(cells, gone, strict=True)]
    used = ~np.array(gone, dtype=bool)[codes]
    distinct_labels = {(_rank(label), label): None for label in labels if label is not None}
    order = [label for _, label in sorted(distinct_labels, key=lambda pair: (pair[0], pair[1]))]
    if len(order) < 2:
        raise _one_value(name, order[0])
    if len(order) > MOST_CLASSES or (len(order) > MOST_INTEGER_CLASSES and len(order) == int(used.sum())):
        raise DataError(
            f"The target {name!r} has {len(order)} different values in {int(used.sum())} rows; expected at most {MOST_CLASSES}"
            " classes, each with several rows.",
            code="too_many_classes",
            hint="Choose another target, or set data.task to 'regression' for numbers.",
        )
    number = {(_rank(label), label): at for at, label in enumerate(order)}
    of_cell = np.array([-1 if label is None else number[_rank(label), label] for label in labels], dtype=np.int64)
    return Target("classification", reason, used, tuple(order), of_cell[codes][used])


def _rank(label: Label) -> int:
    """Booleans, numbers and text each on their own: True is not 1."""
    return 0 if isinstance(label, bool) else 2 if isinstance(label, str) else 1


def _is_whole_text(text: str) -> bool:
    digits = text.strip().removeprefix("-").removeprefix("+")
    return digits.isascii() and digits.isdecimal() and (digits == "0" or not digits.startswith("0"))


def _label(cell: Any, typed: Typed, *, numbers: bool, whole: bool) -> Label:
    """The class that a cell names, in its original type; text that spells numbers or true and false gives those."""
    if isinstance(cell, (bool, np.bool_)):
        return bool(cell)
    if isinstance(cell, (int, np.integer)):
        return int(cell)
    if isinstance(cell, (float, np.floating)):
        return float(cell)
    text = str(cell).strip()
    if typed.kind == "boolean" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if whole:
        return int(text)
    if numbers:
        number = parse_number(text, typed.style)
        return key_of(cell, numeric=False) if number is None else number
    return text
