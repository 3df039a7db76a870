"""A table as it was read: columns in order, cells as they came, before anything is decided about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whisktrain.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Images", "Table", "plain_cells", "table_of_records", "unique_names"]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows and columns.

    Attributes:
        frame: The cells: text as read, or typed where the source has types. Columns have distinct names.
        notices: What reading had to change, in sentences.
        decimal: The decimal mark that the file's numbers seem to have.
        target: The target's name where the source itself says it.
    """

    frame: pd.DataFrame
    notices: tuple[str, ...] = ()
    decimal: str = "."
    target: str | None = None

    @property
    def names(self) -> list[str]:
        """The columns' names, in order."""
        return [str(name) for name in self.frame.columns]

    def column(self, name: str) -> pd.Series[Any]:
        """One column's cells, shape (rows,)."""
        at: Any = self.frame.columns.get_loc(name)
        found: pd.Series[Any] = self.frame.iloc[:, at]
        return found

    def __len__(self) -> int:
        return len(self.frame)


@dataclass(frozen=True, slots=True)
class Images:
    """Pictures of one size, with their labels.

    Attributes:
        pixels: Shape (rows, height, width, channels), as stored.
        divisor: What pixels are divided by, so that they lie in 0..1.
        labels: A class or value for each.
        names: The pixels' own names, row by row, where the source has them.
        notices: What reading had to change, in sentences.
    """

    pixels: NDArray[Any]
    divisor: float
    labels: pd.Series[Any]
    names: tuple[str, ...] = ()
    notices: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return int(self.pixels.shape[0])


def table_of_records(records: Sequence[Any], what: str) -> Table:
    """Rows given as objects become a table; the columns are in the order in which they first appear.

    Args:
        records: One object (column name to cell) for each row.
        what: What they are, for messages.

    Returns:
        A table of Python objects; a cell that a row lacks is missing.

    Raises:
        DataError: A row is no object.
    """
    import pandas as pd

    names: dict[str, None] = {}
    for at, record in enumerate(records):
        if not isinstance(record, Mapping):
            raise DataError(
                f"Row {at + 1} of {what} is {type(record).__name__}; expected an object of column names and values.",
                code="bad_rows",
            )
        names |= dict.fromkeys(str(key) for key in record)
    columns = []
    for name in names:
        cells = np.empty(len(records), dtype=object)
        for at, record in enumerate(records):
            cells[at] = record.get(name)
        columns.append(pd.Series(cells, dtype=object))
    frame = pd.concat(columns, axis=1, keys=range(len(columns))) if columns else pd.DataFrame(index=range(len(records)))
    frame.columns = pd.Index(list(names), dtype=object)
    return Table(frame)


def plain_cells(column: pd.Series[Any]) -> pd.Series[Any]:
    """A column of any pandas type as one of those that are understood: text, numbers, booleans, dates, or objects."""
    import pandas as pd

    known = (pd.api.types.is_numeric_dtype, pd.api.types.is_string_dtype, pd.api.types.is_datetime64_any_dtype)
    if isinstance(column.dtype, pd.CategoricalDtype) or not any(is_known(column.dtype) for is_known in known):
        return column.astype(object)
    return column


def unique_names(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names made distinct: a name that came before gets a number.

    Returns:
        The distinct names, and sentences that say what was renamed.
    """
    taken, result, notices = set(names), [], []
    seen: set[str] = set()
    for name in names:
        new, number = name, 2
        while new in seen or (new != name and new in taken):
            new, number = f"{name}.{number}", number + 1
        if new != name:
            notices.append(f"A second column {name!r} is called {new!r}.")
        seen.add(new)
        result.append(new)
    return result, notices
