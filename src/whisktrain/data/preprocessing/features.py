"""Columns to features: fitted on training rows only, applied to any rows in the same way.

The features come in three blocks: numbers (numeric columns and the parts of dates) that are filled and scaled, then flags
(booleans, and whether a value was missing) as 0 and 1, then one column for each category.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whisktrain.data.columns.cells import PLAIN, NumberStyle, booleans_of, distinct, key_of, missing_of, numbers_of
from whisktrain.data.columns.dates import PARTS, dates_of, part_of
from whisktrain.data.columns.inference import Typed
from whisktrain.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Column", "Features", "fit"]

FLAG_FROM = 0.05
"""So large a share of a column's training values must be missing for "is missing" to be a feature."""

MAX_CATEGORIES = 64
"""Features that one categorical column becomes at most; the rarest categories share one."""

Cells = Callable[[str], "pd.Series[Any]"]
"""Where a column's cells come from: its name to a series, shape (rows,)."""


@dataclass(frozen=True, slots=True)
class Column:
    """How one column becomes features.

    Attributes:
        name: Its name.
        kind: "numeric", "boolean", "date" or "categorical".
        fill: What a missing value becomes: a number, or a category's number.
        flag: Whether "is missing" is a feature of its own.
        tolerant: Whether cells of another kind count as missing, as some did in training.
        style: How numbers are written.
        formats: How dates are written.
        parts: Which parts of dates are used.
        categories: The training rows' categories, in order; the last may be the missing ones (`missing_category`).
        missing_category: Whether missing values are a category of their own.
        numeric_keys: Whether categories are numbers, so that 1 and "1.0" are the same.
    """

    name: str
    kind: str
    fill: tuple[float, ...] = ()
    flag: bool = False
    tolerant: bool = False
    style: NumberStyle = PLAIN
    formats: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    missing_category: bool = False
    numeric_keys: bool = False

    def to_json(self) -> dict[str, Any]:
        """The column as a JSON object."""
        return {
            "name": self.name,
            "kind": self.kind,
            "fill": list(self.fill),
            "flag": self.flag,
            "tolerant": self.tolerant,
            "style": [self.style.decimal, self.style.group],
            "formats": list(self.formats),
            "parts": list(self.parts),
            "categories": list(self.categories),
            "missing_category": self.missing_category,
            "numeric_keys": self.numeric_keys,
        }

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Column:
        """The column that `to_json` wrote."""
        known: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in record.items()}
        return cls(**{**known, "style": NumberStyle(*record["style"])})


@dataclass(frozen=True, slots=True)
class Features:
    """Fitted columns and scikit-learn's fitted estimators.

    Attributes:
        columns: The columns used, in the table's order.
        scaler: A fitted scaler of the numbers, or None.
        encoder: A fitted one-hot encoder of the categories' numbers, or None.
        names: The features' names, in order.
    """

    columns: tuple[Column, ...]
    scaler: Any
    encoder: Any
    names: tuple[str, ...] = field(default=())

    def transform(self, cells: Cells, rows: int) -> tuple[NDArray[np.float32], list[str]]:
        """Rows as features.

        Args:
            cells: Where a column's cells come from.
            rows: How many rows there are.

        Returns:
            Features of shape (rows, features), and notices in sentences.

        Raises:
            DataError: A cell is not what its column holds, or its feature is no finite float32.
        """
        numbers: list[NDArray[np.float64]] = []
        flags: list[NDArray[np.float64]] = []
        codes: list[NDArray[np.int64]] = []
        notices: list[str] = []
        for column in self.columns:
            if column.kind == "categorical":
                found, remarks = _codes(column, cells(column.name))
                codes.append(found)
            else:
                values, remarks = _values(column, cells(column.name))
                gone = np.isnan(values)
                for part, fill in zip(column.parts or ("",), column.fill, strict=True):
                    filled = np.where(gone, fill, part_of(values, part) if part else values)
                    (flags if column.kind == "boolean" else numbers).append(filled)
                if column.flag:
                    flags.append(gone.astype(np.float64))
            notices += remarks
        x = np.empty((rows, len(self.names)), dtype=np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            if numbers:
                block = np.column_stack(numbers)
                x[:, : len(numbers)] = block if self.scaler is None else self.scaler.transform(block)
            for at, flag in enumerate(flags, start=len(numbers)):
                x[:, at] = flag
            if codes:
                x[:, len(numbers) + len(flags) :] = self.encoder.transform(np.column_stack(codes))
        if not np.isfinite(x).all():
            row, at = (int(i) for i in np.argwhere(~np.isfinite(x))[0])
            raise DataError(
                f"Row {row + 1} has a value for {self.names[at]!r} that is too large for a float32.",
                code="value_too_large",
                hint="Correct the value, use data.scale 'standard', or drop the column.",
            )
        return x, notices


def fit(columns: Sequence[tuple[str, Typed]], cells: Cells, scale: str) -> Features:
    """Learn from training rows how columns become features.

    Args:
        columns: Names and kinds of the columns to use.
        cells: Where a column's training cells come from, each of shape (rows,).
        scale: "standard", "minmax" or "none", for the numbers.

    Returns:
        The fitted features. Columns that are constant on the training rows are left out.
    """
    fitted: list[Column] = []
    numbers: list[tuple[str, NDArray[np.float64]]] = []
    flags: list[tuple[str, NDArray[np.float64]]] = []
    codes: list[NDArray[np.int64]] = []
    for name, typed in columns:
        base = Column(
            name, typed.kind, style=typed.style, formats=typed.formats, tolerant=typed.tolerant, numeric_keys=typed.numeric_keys
        )
        own = cells(name)
        if typed.kind == "categorical":
            column = _fit_categories(base, own)
            if column is not None:
                fitted.append(column)
                codes.append(_codes(column, own)[0])
            continue
        values, _ = _values(base, own)
        gone = np.isnan(values)
        parts = {part: part_of(values, part) for part in PARTS} if base.kind == "date" else {"": values}
        varied = {part: found for part, found in parts.items() if np.unique(found[~gone]).size > 1}
        if not varied:
            continue
        titled = [(f"{name}: {part}" if part else name, found) for part, found in varied.items()]
        (flags if base.kind == "boolean" else numbers).extend(titled)
        flag = bool(gone.mean() >= FLAG_FROM)
        fitted.append(replace(base, flag=flag, parts=tuple(varied) if base.kind == "date" else ()))

    filled = _fills([v for _, v in numbers], "median")
    marked = _fills([v for _, v in flags], "most_frequent")
    of_numbers, of_flags = iter(filled), iter(marked)
    done = [
        c
        if c.kind == "categorical"
        else replace(c, fill=tuple(next(of_flags if c.kind == "boolean" else of_numbers) for _ in c.parts or ("",)))
        for c in fitted
    ]
    blocks = [np.where(np.isnan(v), fill, v) for (_, v), fill in zip(numbers, filled, strict=True)]
    scaler = _fit_scaler(blocks, [title for title, _ in numbers], scale)
    encoder = _fit_encoder(codes)
    flag_names = [
        title
        for c in done
        for title in ([c.name] if c.kind == "boolean" else []) + ([f"{c.name} is missing"] if c.flag else [])
    ]
    one_hot = _one_hot_names([c for c in done if c.kind == "categorical"], encoder)
    return Features(tuple(done), scaler, encoder, (*(title for title, _ in numbers), *flag_names, *one_hot))


def _fills(blocks: list[NDArray[np.float64]], strategy: str) -> list[float]:
    """What missing values of each block become."""
    if not blocks:
        return []
    from sklearn.impute import SimpleImputer

    imputer = SimpleImputer(strategy=strategy).fit(np.column_stack(blocks))
    return [float(value) for value in imputer.statistics_]


def _fit_categories(column: Column, cells: pd.Series[Any]) -> Column | None:
    """The categories of these rows; None where there is only one."""
    gone = missing_of(cells)
    keys = _keys(column, cells)
    present, counts = np.unique(keys[~gone].astype(str), return_counts=True)
    if present.size < 2:
        return None
    missing = bool(gone.any())
    fill = float(present.size if missing else int(np.argmax(counts)))
    return replace(column, fill=(fill,), categories=tuple(str(p) for p in present), missing_category=missing)


def _fit_scaler(blocks: list[NDArray[np.float64]], names: list[str], scale: str) -> Any:
    if scale == "none" or not blocks:
        return None
    from sklearn.preprocessing import MinMaxScaler, StandardScaler

    for name, block in zip(names, blocks, strict=True):
        largest = float(np.abs(block).max())
        if largest > 1e150:  # its square, and so the variance, would overflow
            raise DataError(
                f"The column {name!r} has values up to {largest:.3g}; expected at most 1e150 in size.",
                code="value_too_large",
                hint="Correct the column, or drop it with data.drop.",
            )
    scaler = StandardScaler() if scale == "standard" else MinMaxScaler()
    return scaler.fit(np.column_stack(blocks))


def _fit_encoder(codes: list[NDArray[np.int64]]) -> Any:
    """A one-hot encoder: rare categories share one feature, and an unknown one counts as rare, else as none."""
    if not codes:
        return None
    from sklearn.preprocessing import OneHotEncoder

    rows = len(codes[0])
    encoder = OneHotEncoder(
        min_frequency=max(2, min(10, rows // 100)),
        max_categories=MAX_CATEGORIES,
        handle_unknown="infrequent_if_exist",
        sparse_output=False,
    )
    return encoder.fit(np.column_stack(codes))


def _one_hot_names(columns: list[Column], encoder: Any) -> list[str]:
    names = []
    for column, known, rare in zip(
        columns, encoder.categories_ if encoder else [], encoder.infrequent_categories_ if encoder else [], strict=True
    ):
        titles = [*column.categories, "(missing)"]
        uncommon = set() if rare is None else {int(code) for code in rare}
        names += [f"{column.name}={titles[int(code)]}" for code in known if int(code) not in uncommon]
        if uncommon:
            names.append(f"{column.name}=(other)")
    return names


def _values(column: Column, cells: pd.Series[Any]) -> tuple[NDArray[np.float64], list[str]]:
    """A column's cells as numbers, NaN where missing."""
    if column.kind == "numeric":
        values, bad = numbers_of(cells, column.style)
    elif column.kind == "boolean":
        values, bad = booleans_of(cells)
    else:
        values, bad = dates_of(cells, list(column.formats))
    if not bad.any():
        return values, []
    row = int(np.argmax(bad))
    shown = repr(cells.iloc[row])
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    if column.tolerant:
        return values, [f"{int(bad.sum())} cell(s) of {column.name!r} count as missing, such as {shown} in row {row + 1}."]
    expected = {"numeric": "a number", "boolean": "true or false", "date": "a date"}[column.kind]
    style = " with a decimal comma" if column.kind == "numeric" and column.style.decimal == "," else ""
    raise DataError(
        f"Row {row + 1} has {shown} in the column {column.name!r}; expected {expected}{style}.",
        code="bad_cell",
        hint="Correct the value, or leave it empty to have it filled.",
    )


def _keys(column: Column, cells: pd.Series[Any]) -> NDArray[Any]:
    codes, values = distinct(cells)
    return np.array([key_of(value, numeric=column.numeric_keys) for value in values], dtype=object)[codes]


def _codes(column: Column, cells: pd.Series[Any]) -> tuple[NDArray[np.int64], list[str]]:
    """A column's cells as numbers of categories; -1 for unknown ones."""
    order = {key: at for at, key in enumerate(column.categories)}
    known = np.array([order.get(key, -1) for key in _keys(column, cells)], dtype=np.int64)
    gone = missing_of(cells)
    strange = (known < 0) & ~gone
    codes = np.where(gone, int(column.fill[0]), known)
    if not strange.any():
        return codes, []
    row = int(np.argmax(strange))
    shown = repr(cells.iloc[row])[:60]
    return codes, [
        f"{int(strange.sum())} cell(s) of {column.name!r} hold a category that training did not see, such as {shown} in row"
        f" {row + 1}; they count as rare, or as none of the known."
    ]
