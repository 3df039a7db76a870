"""Rows to predict, in any of the forms that a caller may send, as a table of the columns that training used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from whisktrain.data.limits import check_any_rows
from whisktrain.data.table import object_series, plain_cells, side_by_side
from whisktrain.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Missing", "RowReader", "UsedCells"]

Missing: TypeAlias = Literal["error", "fill"]
"""What to do about absent columns: an error that names them, or what missing values became in training."""

HEADLESS = "column_"
"""How the columns of a file without a header are called, with their number from 1."""

MOST_NAMES = 12
MOST_CHARACTERS = 60


class UsedCells(NamedTuple):
    """Rows as the columns that training used.

    Attributes:
        frame: The cells; the columns are in the order of `RowReader.used`.
        notices: What was ignored or filled, in sentences.
    """

    frame: pd.DataFrame
    notices: list[str]


@dataclass(frozen=True, slots=True)
class RowReader:
    """Reads rows by the columns of a data set.

    Attributes:
        used: The columns that training used, in order.
        source: The source's columns in order, without the target.
        target: The target's name.
    """

    used: tuple[str, ...]
    source: tuple[str, ...]
    target: str | None

    def read(self, rows: object, missing: Missing) -> UsedCells:
        """Read rows.

        Args:
            rows: A list of objects (columns in any order), a list of arrays or an array (the used columns, in order, or all of
                the source's columns without the target), or a frame.
            missing: What to do about absent columns.

        Raises:
            DataError: There are no rows, one is something else, or a column is absent.
        """
        import pandas as pd

        if isinstance(rows, pd.DataFrame):
            check_any_rows(len(rows))
            return self._read_frame(rows, missing)
        if isinstance(rows, (str, bytes, Mapping)) or not isinstance(rows, (Sequence, np.ndarray)):
            raise DataError(
                f"The rows are {type(rows).__name__}; expected a list of objects or arrays.",
                code="bad_rows",
            )
        check_any_rows(len(rows))
        objects = [row for row in rows if isinstance(row, Mapping)]
        if len(objects) == len(rows):
            return self._read_objects(objects, missing)
        return self._read_arrays(rows)

    def _read_frame(self, rows: pd.DataFrame, missing: Missing) -> UsedCells:
        import pandas as pd

        given = [str(name) for name in rows.columns]
        if self._are_positions(given):
            return self._read_arrays(rows.astype(object).to_numpy())
        position: dict[str, int] = {}
        for at, name in enumerate(given):
            position.setdefault(name, at)
        absent = [name for name in self.used if name not in position]
        if absent and missing == "error":
            raise _missing_columns("The rows lack", absent)
        empty = pd.Series([None] * len(rows), dtype=object)
        columns = []
        for name in self.used:
            if name in position:
                cells = plain_cells(rows.iloc[:, position[name]])
                columns.append(cells.reset_index(drop=True))
            else:
                columns.append(empty)
        return UsedCells(side_by_side(columns, len(rows)), self._notices(given, absent))

    def _read_objects(self, rows: Sequence[Mapping[str, object]], missing: Missing) -> UsedCells:
        if len({frozenset(row) for row in rows}) == 1 and self._are_positions(list(rows[0])):
            positions = sorted(rows[0], key=_number)
            return self._read_arrays([[row[name] for name in positions] for row in rows])
        absent: dict[str, None] = {}
        given: dict[str, None] = {}
        for at, row in enumerate(rows):
            lacking = [name for name in self.used if name not in row]
            if lacking and missing == "error":
                raise _missing_columns(f"Row {at + 1} lacks", lacking)
            absent |= dict.fromkeys(lacking)
            given |= dict.fromkeys(str(name) for name in row)
        columns = [object_series([_plain(row.get(name)) for row in rows]) for name in self.used]
        return UsedCells(side_by_side(columns, len(rows)), self._notices(list(given), list(absent)))

    def _read_arrays(self, rows: Sequence[object] | NDArray[np.generic]) -> UsedCells:
        cells = [self._cells_of_array(row, at) for at, row in enumerate(rows)]
        columns = [
            object_series([_plain(row[at]) for row in cells]) for at in range(len(self.used))
        ]
        return UsedCells(side_by_side(columns, len(rows)), [])

    def _are_positions(self, names: Sequence[str]) -> bool:
        """Whether columns have no names of their own: they are numbered, as a file without a header or a series is."""
        numbered = sorted(names, key=_number)
        if numbered == [f"{HEADLESS}{at + 1}" for at in range(len(names))]:
            return len(names) in (len(self.used), len(self.source))
        counted = bool(names) and numbered == [str(at) for at in range(len(names))]
        return counted and not set(names) & set(self.used)

    def _cells_of_array(self, row: object, at: int) -> list[object]:
        """The cells of the used columns of one row that has no column names."""
        values = row.tolist() if isinstance(row, np.ndarray) else row
        if not isinstance(values, (list, tuple)):
            raise DataError(
                f"Row {at + 1} is {type(values).__name__}; expected an object of columns or an array, as the other rows.",
                code="bad_rows",
            )
        used, source = len(self.used), len(self.source)
        if len(values) not in (used, source):
            counts = (
                f"{used}" if used == source else f"{used} (or {source}, with the unused columns)"
            )
            raise DataError(
                f"Row {at + 1} has {len(values)} values; expected {counts}: {_listed(self.used)}.",
                code="bad_shape",
                hint="Objects with column names may have any order.",
            )
        names = self.used if len(values) == used else self.source
        by_name = dict(zip(names, values, strict=True))
        return [by_name[name] for name in self.used]

    def _notices(self, given: Sequence[str], absent: Sequence[str]) -> list[str]:
        """What was ignored and filled."""
        notices = []
        known = {*self.used, *self.source, self.target}
        extra = [name for name in given if name not in known]
        if extra:
            notices.append(f"Ignored column(s) that training did not have: {_listed(extra)}.")
        if absent:
            notices.append(f"Filled absent column(s) as missing: {_listed(absent)}.")
        return notices


def _number(name: str) -> int:
    """The number that a numbered column's name ends with; -1 where it has none."""
    digits = name.removeprefix(HEADLESS)
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 10 else -1


def _missing_columns(what: str, absent: Sequence[str]) -> DataError:
    return DataError(
        f"{what} the column(s) {_listed(absent)}.",
        code="missing_columns",
        hint="Add them (null where unknown), or ask for predict.missing 'fill'.",
    )


def _plain(cell: object) -> object:
    """A cell as Python's own number where it is one of NumPy's."""
    if isinstance(cell, np.generic) and not isinstance(cell, np.datetime64):
        return cell.item()
    return cell


def _listed(names: Sequence[str]) -> str:
    named = ", ".join(repr(_cut(name)) for name in names[:MOST_NAMES])
    return named + (f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else "")


def _cut(name: str) -> str:
    return name if len(name) <= MOST_CHARACTERS else name[: MOST_CHARACTERS - 3] + "..."
