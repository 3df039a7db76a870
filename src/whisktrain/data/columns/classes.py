"""The classes of a classification target: labels in their original types, in order, and each row's class number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whisktrain.data.columns.cells import cell_category, is_missing, is_missing_among_numbers
from whisktrain.data.columns.column_type import ColumnType
from whisktrain.data.columns.numbers import LONGEST, parse_number
from whisktrain.data.columns.series import Series, factorize
from whisktrain.errors import DataError
from whisktrain.spec import Label

__all__ = ["MOST_INTEGER_CLASSES", "Classes", "one_value", "read_classes"]

MOST_INTEGER_CLASSES = 20
"""More distinct whole numbers are values rather than classes."""

MOST_CLASSES = 1000


@dataclass(frozen=True, slots=True)
class Classes:
    """A target of classes.

    Attributes:
        used: Which rows have a class, shape (rows,).
        classes: The labels, in order.
        y: The class number of each row that has one (int64), shape (used rows,).
    """

    used: NDArray[np.bool_]
    classes: tuple[Label, ...]
    y: NDArray[np.int64]


def read_classes(column: Series, name: str, found: ColumnType, *, numeric: bool) -> Classes:
    """Read a column as classes.

    Args:
        column: All its cells, shape (rows,).
        name: Its name.
        found: The column's type.
        numeric: Whether it holds numbers.

    Raises:
        DataError: There is one class only, or there are too many.
    """
    codes, cells = factorize(column)
    with_spellings = numeric or found.kind == "boolean"
    absent = [
        is_missing(cell) or (with_spellings and is_missing_among_numbers(cell)) for cell in cells
    ]
    present = [cell for cell, is_absent in zip(cells, absent, strict=True) if not is_absent]
    texts = [cell for cell in present if isinstance(cell, str)]
    integers = bool(texts) and all(_is_integer_text(text) for text in texts)
    labels = [_label(cell, found, numeric=numeric, integers=integers) for cell in present]
    used = ~np.array(absent, dtype=bool)[codes]
    classes = _in_order(labels)
    if len(classes) < 2:
        raise one_value(name, classes[0])
    _check_number_of_classes(name, len(classes), int(used.sum()))
    number_of = {_key(label): number for number, label in enumerate(classes)}
    class_of_cell = np.full(len(cells), -1, dtype=np.int64)
    class_of_cell[~np.array(absent, dtype=bool)] = [number_of[_key(label)] for label in labels]
    return Classes(used, tuple(classes), class_of_cell[codes][used])


def one_value(name: str, value: Label) -> DataError:
    """The error of a target that is the same in every row."""
    return DataError(
        f"The target {name!r} is {value!r} in every row; expected at least two different values.",
        code="one_class",
        hint="Choose another target, or add rows of another class.",
    )


def _check_number_of_classes(name: str, classes: int, rows: int) -> None:
    each_row_its_own = classes > MOST_INTEGER_CLASSES and classes == rows
    if classes > MOST_CLASSES or each_row_its_own:
        raise DataError(
            f"The target {name!r} has {classes} different values in {rows} rows; expected at most {MOST_CLASSES}"
            " classes, each with several rows.",
            code="too_many_classes",
            hint="Choose another target, or set data.task to 'regression' for numbers.",
        )


def _in_order(labels: Sequence[Label]) -> list[Label]:
    """The distinct labels, in ascending order."""
    distinct = dict.fromkeys(_key(label) for label in labels)
    return [label for _, label in sorted(distinct)]


def _key(label: Label) -> tuple[int, Label]:
    """A label's place in the order: booleans, numbers and text each on their own, so that True is not 1."""
    if isinstance(label, bool):
        return 0, label
    return (2 if isinstance(label, str) else 1), label


def _is_integer_text(text: str) -> bool:
    digits = text.strip().removeprefix("-").removeprefix("+")
    if len(digits) > LONGEST:
        return False
    return digits.isascii() and digits.isdecimal() and (digits == "0" or not digits.startswith("0"))


def _label(cell: object, found: ColumnType, *, numeric: bool, integers: bool) -> Label:
    """The class that a cell names, in its original type; text that spells numbers or true and false gives those.

    Args:
        cell: A cell that is not missing.
        found: The column's type.
        numeric: Whether the column holds numbers.
        integers: Whether all its texts are whole numbers.
    """
    if isinstance(cell, (bool, np.bool_)):
        return bool(cell)
    if isinstance(cell, (int, np.integer)):
        return int(cell)
    if isinstance(cell, (float, np.floating)):
        return float(cell)
    if not isinstance(cell, str):
        return str(cell)
    return _text_label(cell.strip(), found, numeric=numeric, integers=integers)


def _text_label(text: str, found: ColumnType, *, numeric: bool, integers: bool) -> Label:
    if found.kind == "boolean" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if integers:
        return int(text)
    if numeric:
        number = parse_number(text, found.style)
        return cell_category(text, numeric=False) if number is None else number
    return text
