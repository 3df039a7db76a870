"""Fitting of the features: imputation, scaling and one-hot encoding, learned from training rows only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from whisktrain.data.columns.column_type import ColumnType
from whisktrain.data.columns.dates import PARTS, date_part
from whisktrain.data.columns.series import Series, missing_mask
from whisktrain.data.preprocessing.categories import choose_categories, most_features
from whisktrain.data.preprocessing.column_encoder import ColumnEncoder, category_names
from whisktrain.data.preprocessing.estimators import OneHotEncoding, Transformer
from whisktrain.data.preprocessing.features import CellsOf, Features
from whisktrain.errors import DataError

__all__ = ["Scale", "fit"]

Scale = Literal["standard", "minmax", "none"]

FLAG_FROM = 0.05
"""The share of missing training values from which "is missing" is a feature."""

LARGEST = 1e150
"""The square of a larger number, and so the variance, would overflow."""


@dataclass(slots=True)
class _Block:
    """Features of one kind on the training rows, with NaN for missing values.

    Attributes:
        strategy: How scikit-learn's `SimpleImputer` fills them.
        names: The features' names.
        values: The features, each of shape (rows,).
    """

    strategy: Literal["median", "most_frequent"]
    names: list[str] = field(default_factory=list)
    values: list[NDArray[np.float64]] = field(default_factory=list)

    def fills(self) -> list[float]:
        """What a missing value of each feature becomes."""
        if not self.values:
            return []
        from sklearn.impute import SimpleImputer

        imputer = SimpleImputer(strategy=self.strategy).fit(np.column_stack(self.values))
        return [float(value) for value in imputer.statistics_]

    def imputed(self, fills: Sequence[float]) -> list[NDArray[np.float64]]:
        """The features with each missing value filled."""
        pairs = zip(self.values, fills, strict=True)
        return [np.where(np.isnan(values), fill, values) for values, fill in pairs]


def fit(columns: Sequence[tuple[str, ColumnType]], cells_of: CellsOf, scale: Scale) -> Features:
    """Learn from training rows how columns become features.

    Args:
        columns: Names and types of the columns to use.
        cells_of: Gives a column's training cells, shape (rows,).
        scale: How numbers are scaled.

    Returns:
        The fitted features. Columns that are constant on the training rows are left out.
    """
    numbers, flags = _Block("median"), _Block("most_frequent")
    codes: list[NDArray[np.int64]] = []
    encoders: list[ColumnEncoder] = []
    categorical = sum(found.kind == "categorical" for _, found in columns)
    for name, found in columns:
        cells = cells_of(name)
        most = most_features(len(cells), max(1, categorical))
        unfitted = ColumnEncoder.of(name, found)
        encoder = None
        if found.kind != "categorical":
            encoder = _fit_values(unfitted, cells, flags if found.kind == "boolean" else numbers)
        if encoder is None and found.kind != "date":  # or there is one value only
            encoder = _fit_categories(unfitted, cells, most)
            if encoder is not None:
                codes.append(encoder.codes(cells).codes)
        if encoder is not None:
            encoders.append(encoder)

    number_fills, flag_fills = numbers.fills(), flags.fills()
    columns_ = _with_fills(encoders, number_fills, flag_fills)
    scaler = _fit_scaler(numbers.imputed(number_fills), numbers.names, scale)
    one_hot = _fit_one_hot(codes)
    names = (*numbers.names, *_flag_names(columns_), *_one_hot_names(columns_, one_hot))
    return Features(columns_, scaler, one_hot, names)


def _fit_values(unfitted: ColumnEncoder, cells: Series, block: _Block) -> ColumnEncoder | None:
    """Add a column's training values to its block; None where they are constant."""
    name = unfitted.name
    values = unfitted.values(cells).values
    missing = np.isnan(values)
    parts = (
        {part: date_part(values, part) for part in PARTS}
        if unfitted.kind == "date"
        else {"": values}
    )
    varied = {part: own for part, own in parts.items() if np.unique(own[~missing]).size > 1}
    if not varied:
        return None
    block.names.extend(f"{name}: {part}" if part else name for part in varied)
    block.values.extend(varied.values())
    flag = bool(missing.mean() >= FLAG_FROM)
    return replace(unfitted, flag=flag, parts=tuple(part for part in varied if part))


def _fit_categories(unfitted: ColumnEncoder, cells: Series, most: int) -> ColumnEncoder | None:
    """Learn the categories of the training rows; None where there is only one, and too few rows without it."""
    numeric = unfitted.numeric_keys or unfitted.kind == "numeric"
    missing = missing_mask(cells)
    names = category_names(cells, numeric=numeric)
    found, counts = np.unique(names[~missing].astype(str), return_counts=True)
    any_missing = bool(missing.any())
    is_constant = found.size < 2 and missing.mean() < FLAG_FROM
    if not found.size or is_constant:
        return None
    own, rare = choose_categories([str(name) for name in found], counts, len(cells), most)
    if len(own) + any_missing + bool(rare) < 2:
        return None
    most_frequent = str(found[int(np.argmax(counts))])
    fill = len(own) if any_missing or not own else own.index(most_frequent)
    return replace(
        unfitted,
        kind="categorical",
        fill=(float(fill),),
        categories=own,
        rare=rare,
        missing_category=any_missing,
        numeric_keys=numeric,
    )


def _with_fills(
    encoders: Sequence[ColumnEncoder], number_fills: Sequence[float], flag_fills: Sequence[float]
) -> tuple[ColumnEncoder, ...]:
    """The encoders of numbers and flags, each with the fills of its own features."""
    of_numbers, of_flags = iter(number_fills), iter(flag_fills)
    filled = []
    for encoder in encoders:
        if encoder.kind == "categorical":
            filled.append(encoder)
            continue
        fills = of_flags if encoder.kind == "boolean" else of_numbers
        own = tuple(next(fills) for _ in range(max(1, len(encoder.parts))))
        filled.append(replace(encoder, fill=own))
    return tuple(filled)


def _fit_scaler(
    filled: Sequence[NDArray[np.float64]], names: Sequence[str], scale: Scale
) -> Transformer | None:
    if scale == "none" or not filled:
        return None
    from sklearn.preprocessing import MinMaxScaler, StandardScaler

    for name, values in zip(names, filled, strict=True):
        largest = float(np.abs(values).max())
        if largest > LARGEST:
            raise DataError(
                f"The column {name!r} has values up to {largest:.3g}; expected at most 1e150 in size.",
                code="value_too_large",
                hint="Correct the column, or drop it with data.drop.",
            )
    scaler = StandardScaler() if scale == "standard" else MinMaxScaler()
    fitted: Transformer = scaler.fit(np.column_stack(filled))
    return fitted


def _fit_one_hot(codes: Sequence[NDArray[np.int64]]) -> OneHotEncoding | None:
    """Fit a one-hot encoder of the categories' numbers; an unknown one (-1) counts as none."""
    if not codes:
        return None
    from sklearn.preprocessing import OneHotEncoder

    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    fitted: OneHotEncoding = encoder.fit(np.column_stack(codes))
    return fitted


def _flag_names(columns: Sequence[ColumnEncoder]) -> list[str]:
    names = []
    for column in columns:
        if column.kind == "boolean":
            names.append(column.name)
        if column.flag:
            names.append(f"{column.name} is missing")
    return names


def _one_hot_names(columns: Sequence[ColumnEncoder], one_hot: OneHotEncoding | None) -> list[str]:
    if one_hot is None:
        return []
    categorical = [column for column in columns if column.kind == "categorical"]
    return [
        f"{column.name}={column.titles[int(code)]}"
        for column, codes in zip(categorical, one_hot.categories_, strict=True)
        for code in codes
    ]
