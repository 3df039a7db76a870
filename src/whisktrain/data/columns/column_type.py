"""The type of a column, and its distinct cells, from which the type is inferred."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from whisktrain.data.columns.cells import is_missing, is_missing_among_numbers
from whisktrain.data.columns.numbers import PLAIN, NumberStyle
from whisktrain.data.columns.series import Series, factorize

__all__ = ["TOLERATED", "ColumnType", "DistinctCells", "Kind", "has_id_name"]

Kind = Literal["numeric", "categorical", "boolean", "date", "text", "id", "nested", "empty"]

TOLERATED = 0.05
"""The largest share of other cells in a column of numbers or dates; they count as missing."""

_ID_NAME = re.compile(
    r"(?:^|[^a-z])(?:id|ids|uuid|guid|key|idx|index|no|nr|num|number|row|rownames|rownumber|serial|ssn|isbn|hash)(?:$|[^a-z])"
)
_CAMEL_CASE = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class ColumnType:
    """A column's kind, and how its cells are read.

    Attributes:
        kind: "numeric", "categorical", "boolean" and "date" become features; "text" (free text), "id", "nested" and "empty"
            do not.
        reason: Why, in a few words, where that is not plain.
        missing: Number of cells without a value.
        distinct: Number of distinct values.
        style: How numbers are written.
        formats: How dates are written.
        numeric_keys: Whether categories are numbers, so that 1 and "1.0" are the same.
        tolerant: Whether some cells were something else and count as missing.
        fallback: The kind of a column of text or ids that the caller keeps.
        notices: What the user should know, in sentences without the column's name.
    """

    kind: Kind
    reason: str = ""
    missing: int = 0
    distinct: int = 0
    style: NumberStyle = PLAIN
    formats: tuple[str, ...] = ()
    numeric_keys: bool = False
    tolerant: bool = False
    fallback: Literal["numeric", "categorical"] = "categorical"
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DistinctCells:
    """A column's distinct values.

    Attributes:
        values: The values that are not missing.
        counts: How often each occurs, shape (values,).
        missing: Number of cells without a value.
    """

    values: list[object]
    counts: NDArray[np.int64]
    missing: int

    @classmethod
    def of(cls, column: Series) -> DistinctCells:
        """Count a column's distinct values."""
        codes, values = factorize(column)
        counts = np.bincount(codes, minlength=len(values))
        absent = np.array([is_missing(value) for value in values], dtype=bool)
        present = [value for value, is_absent in zip(values, absent, strict=True) if not is_absent]
        return cls(present, counts[~absent], int(counts[absent].sum()))

    @property
    def present(self) -> int:
        """Number of cells with a value."""
        return int(self.counts.sum())

    @property
    def texts(self) -> list[str]:
        """The values that are text."""
        return [value for value in self.values if isinstance(value, str)]

    def share(self, selected: Iterable[bool]) -> float:
        """The share of the cells with a value that hold one of the selected values."""
        chosen = np.fromiter(selected, dtype=bool, count=len(self.values))
        return float(self.counts[chosen].sum()) / max(1, self.present)

    def missing_among_numbers(self) -> int:
        """Number of cells whose text means a missing value where the others are numbers, dates or booleans."""
        counted = zip(self.values, self.counts, strict=True)
        return int(sum(count for value, count in counted if is_missing_among_numbers(value)))


def has_id_name(name: str) -> bool:
    """Whether a column is called "id", "customerId", "row_number" or the like."""
    words = _CAMEL_CASE.sub(" ", name).lower()
    return _ID_NAME.search(words) is not None
