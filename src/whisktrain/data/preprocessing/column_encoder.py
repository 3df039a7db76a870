"""The encoding of one column: cells to numbers or category numbers, in the same way in training and in prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

from whisktrain.data.columns.cells import cell_category, shown
from whisktrain.data.columns.column_type import ColumnType
from whisktrain.data.columns.dates import parse_dates
from whisktrain.data.columns.numbers import PLAIN, NumberStyle
from whisktrain.data.columns.series import (
    ParsedColumn,
    Series,
    factorize,
    missing_mask,
    parse_booleans,
    parse_numbers,
)
from whisktrain.errors import DataError

__all__ = ["CategoryCodes", "CellValues", "ColumnEncoder", "ColumnRecord", "category_names"]

MOST_CHARACTERS = 60
"""Characters of a cell in a message."""


class ColumnRecord(TypedDict):
    """A `ColumnEncoder` as JSON."""

    name: str
    kind: str
    fill: list[float]
    flag: bool
    tolerant: bool
    style: list[str]
    formats: list[str]
    parts: list[str]
    categories: list[str]
    rare: NotRequired[list[str]]
    missing_category: bool
    numeric_keys: bool


class CellValues(NamedTuple):
    """A column's cells as numbers, NaN where missing, shape (rows,); and notices in sentences."""

    values: NDArray[np.float64]
    notices: list[str]


class CategoryCodes(NamedTuple):
    """A column's cells as numbers of categories, -1 for unknown ones, shape (rows,); and notices in sentences."""

    codes: NDArray[np.int64]
    notices: list[str]


@dataclass(frozen=True, slots=True)
class ColumnEncoder:
    """How one column becomes features.

    Attributes:
        name: Its name.
        kind: "numeric", "boolean", "date" or "categorical".
        fill: What a missing value becomes, for each feature: a number, or a category's number.
        flag: Whether "is missing" is a feature of its own.
        tolerant: Whether cells of another kind count as missing, as some did in training.
        style: How numbers are written.
        formats: How dates are written.
        parts: Which parts of dates are used.
        categories: The training rows' categories that have a feature of their own, in order.
        rare: Those that share one, in order.
        missing_category: Whether missing values are one more category.
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
    rare: tuple[str, ...] = ()
    missing_category: bool = False
    numeric_keys: bool = False

    @classmethod
    def of(cls, name: str, found: ColumnType) -> ColumnEncoder:
        """The encoder of a column of a given type, before anything is learned from its cells."""
        return cls(
            name,
            found.kind,
            style=found.style,
            formats=found.formats,
            tolerant=found.tolerant,
            numeric_keys=found.numeric_keys,
        )

    def to_json(self) -> ColumnRecord:
        """The encoder as a JSON object."""
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
            "rare": list(self.rare),
            "missing_category": self.missing_category,
            "numeric_keys": self.numeric_keys,
        }

    @classmethod
    def from_json(cls, record: ColumnRecord) -> ColumnEncoder:
        """The encoder that `to_json` wrote."""
        decimal, group = record["style"]
        return cls(
            name=record["name"],
            kind=record["kind"],
            fill=tuple(record["fill"]),
            flag=record["flag"],
            tolerant=record["tolerant"],
            style=NumberStyle(decimal, group),
            formats=tuple(record["formats"]),
            parts=tuple(record["parts"]),
            categories=tuple(record["categories"]),
            rare=tuple(record.get("rare", ())),
            missing_category=record["missing_category"],
            numeric_keys=record["numeric_keys"],
        )

    def values(self, cells: Series) -> CellValues:
        """Read the cells of a numeric, boolean or date column.

        Raises:
            DataError: A cell is not what the column holds, and none was in training.
        """
        values, invalid = self._parse(cells)
        if not invalid.any():
            return CellValues(values, [])
        row = int(np.argmax(invalid))
        example = shown(cells.iloc[row], MOST_CHARACTERS)
        if self.tolerant:
            count = int(invalid.sum())
            return CellValues(
                values,
                [
                    f"{count} cell(s) of {self.name!r} count as missing, such as {example} in row {row + 1}."
                ],
            )
        raise DataError(
            f"Row {row + 1} has {example} in the column {self.name!r}; expected {self._expected()}.",
            code="bad_cell",
            hint="Correct the value, or leave it empty to have it filled.",
        )

    def _parse(self, cells: Series) -> ParsedColumn:
        if self.kind == "numeric":
            return parse_numbers(cells, self.style)
        if self.kind == "boolean":
            return parse_booleans(cells)
        return parse_dates(cells, self.formats)

    def _expected(self) -> str:
        if self.kind == "boolean":
            return "true or false"
        if self.kind == "date":
            return "a date"
        return "a number with a decimal comma" if self.style.decimal == "," else "a number"

    @property
    def titles(self) -> list[str]:
        """What each number of a category stands for."""
        missing = ["(missing)"] if self.missing_category else []
        return [*self.categories, *missing, *(["(other)"] if self.rare else [])]

    def codes(self, cells: Series) -> CategoryCodes:
        """Read the cells of a categorical column."""
        other = len(self.categories) + self.missing_category if self.rare else -1
        number_of = {category: number for number, category in enumerate(self.categories)}
        number_of |= dict.fromkeys(self.rare, other)
        names = category_names(cells, numeric=self.numeric_keys)
        missing = missing_mask(cells)
        unknown = np.array([name not in number_of for name in names], dtype=bool) & ~missing
        known = np.array([number_of.get(name, other) for name in names], dtype=np.int64)
        codes = np.where(missing, int(self.fill[0]), known)
        if not unknown.any():
            return CategoryCodes(codes, [])
        row = int(np.argmax(unknown))
        example = shown(cells.iloc[row], MOST_CHARACTERS)
        count_as = "as one of the rare" if self.rare else "as none of the known"
        notice = (
            f"{int(unknown.sum())} cell(s) of {self.name!r} hold a category that training did not see, such as {example} in row"
            f" {row + 1}; they count {count_as}."
        )
        return CategoryCodes(codes, [notice])


def category_names(cells: Series, *, numeric: bool) -> NDArray[np.object_]:
    """The category that each cell names (meaningless where it is missing), shape (rows,)."""
    codes, values = factorize(cells)
    names = np.array([cell_category(value, numeric=numeric) for value in values], dtype=object)
    return names[codes]
