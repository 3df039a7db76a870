"""Rows as a source gives them, before types are inferred: a table of cells, or images with labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from whisktrain.data.columns.series import Series
from whisktrain.data.limits import check_columns, check_matrix
from whisktrain.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Images",
    "Table",
    "check_dates",
    "object_series",
    "plain_cells",
    "side_by_side",
    "table_of_records",
    "unique_names",
    "with_names",
]


_MOST_SPARSE_CELLS = 1_000_000
_EMPTY_PER_CELL = 50
"""Cells of a table of records, for each one that is given, from which on it is refused."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows and columns.

    Attributes:
        frame: The cells: text as read, or typed where the source has types. Columns have distinct names.
        notices: What reading had to change, in sentences.
        decimal: The decimal mark that the file's numbers seem to have.
        target: The target's name where the source itself says it.
        is_text: Whether the source is text, in which a missing value can only be a word: JSON and Parquet have null.
    """

    frame: pd.DataFrame
    notices: tuple[str, ...] = ()
    decimal: str = "."
    target: str | None = None
    is_text: bool = False

    @property
    def names(self) -> list[str]:
        """The columns' names, in order."""
        return [str(name) for name in self.frame.columns]

    def column(self, name: str) -> Series:
        """One column's cells, shape (rows,)."""
        return self.frame[name]

    def __len__(self) -> int:
        return len(self.frame)


@dataclass(frozen=True, slots=True)
class Images:
    """Images of one size, with their labels.

    Attributes:
        pixels: Shape (rows, height, width, channels), as stored.
        white: The largest value that a pixel can have, where the source says so: 255 for bytes.
        labels: A class or value for each.
        names: The pixels' own names, row by row, where the source has them.
        notices: What reading had to change, in sentences.
    """

    pixels: NDArray[np.generic]
    white: float | None
    labels: Series
    names: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()

    def __len__(self) -> int:
        return int(self.pixels.shape[0])


def table_of_records(records: Sequence[object], what: str) -> Table:
    """Turn rows given as objects into a table; the columns are in the order in which they first appear.

    Args:
        records: One object (column name to cell) for each row.
        what: What they are, for messages.

    Returns:
        A table of Python objects; a cell that a row lacks is missing.

    Raises:
        DataError: A row is no object.
    """
    names: dict[str, None] = {}
    rows: list[Mapping[str, object]] = []
    for at, record in enumerate(records):
        if not isinstance(record, Mapping):
            raise DataError(
                f"Row {at + 1} of {what} is {type(record).__name__}; expected an object of column names and values.",
                code="bad_rows",
            )
        names |= dict.fromkeys(str(key) for key in record)
        rows.append(record)
    check_columns(len(names), what)
    _check_common_columns(rows, len(names), what)
    columns = [object_series([row.get(name) for row in rows]) for name in names]
    return Table(with_names(side_by_side(columns, len(rows)), list(names)))


def _check_common_columns(rows: Sequence[Mapping[str, object]], columns: int, what: str) -> None:
    """Refuse rows of which each has columns of its own: the table would be nearly empty, and huge.

    Raises:
        DataError: They are such rows.
    """
    cells = len(rows) * columns
    check_matrix(len(rows), columns)
    if cells > max(_MOST_SPARSE_CELLS, _EMPTY_PER_CELL * sum(map(len, rows))):
        raise DataError(
            f"The rows of {what} have {columns} columns in all, but few of them each; expected the same columns in all rows.",
            code="bad_rows",
            hint='Write such data as rows of a few columns, such as {"key": ..., "value": ...}.',
        )


def object_series(cells: Sequence[object]) -> Series:
    """Cells as a series of Python objects, whatever they are."""
    import pandas as pd

    array = np.empty(len(cells), dtype=object)
    for at, cell in enumerate(cells):
        array[at] = cell
    return pd.Series(array, dtype=object)


def check_dates(cells: Series, what: str) -> Series:
    """The same cells, if their dates are in the years that Python knows.

    Raises:
        DataError: They are dates, and one is not in the years 1 to 9999.
    """
    import pandas as pd

    if not isinstance(cells.dtype, pd.DatetimeTZDtype) and cells.dtype.kind != "M":
        return cells
    years = cells.dt.year
    if ((years < 1) | (years > 9999)).any():  # NaN where there is no date
        raise DataError(
            f"{what} has dates outside of the years 1 to 9999.",
            code="bad_cell",
            hint="Correct the column, or leave it out.",
        )
    return cells


def side_by_side(columns: Sequence[Series], rows: int) -> pd.DataFrame:
    """Columns of the same length as a frame; its columns are called by their position from 0."""
    import pandas as pd

    if not columns:
        return pd.DataFrame(index=range(rows))
    return pd.concat(columns, axis=1, keys=range(len(columns)))


def with_names(frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Give a frame's columns their names, in place."""
    import pandas as pd

    frame.columns = pd.Index(list(names), dtype=object)
    return frame


def plain_cells(column: Series) -> Series:
    """A column of any pandas type as one of the types that are read: text, numbers, booleans, dates, or objects."""
    import pandas as pd

    known = (
        pd.api.types.is_numeric_dtype,
        pd.api.types.is_string_dtype,
        pd.api.types.is_datetime64_any_dtype,
    )
    if isinstance(column.dtype, pd.CategoricalDtype) or not any(
        is_known(column.dtype) for is_known in known
    ):
        return column.astype(object)
    return column


def unique_names(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Make names distinct: a name that came before gets a number.

    Returns:
        The distinct names, and sentences that say what was renamed.
    """
    given = set(names)
    used: dict[str, None] = {}
    numbers: dict[str, int] = {}
    notices = []
    for name in names:
        unique = name
        while unique in used or (unique != name and unique in given):
            number = numbers[name] = numbers.get(name, 1) + 1
            unique = f"{name}.{number}"
        if unique != name:
            notices.append(f"A second column {name!r} is called {unique!r}.")
        used[unique] = None
    return list(used), notices
