"""Tables of pandas (and of Polars and Arrow) as rows of a request, and as a file with the same cells."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast, runtime_checkable

import numpy as np

from whisktrain.data.table import unique_names
from whisktrain.errors import RequestError
from whisktrain.jsontypes import Json
from whisktrain.sdk.cells import plain_cell

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from whisktrain.data.columns.series import Series

__all__ = ["FrameFile", "file_of_frame", "rows_of_frame"]


class FrameFile(NamedTuple):
    """A table as a file.

    Attributes:
        content: The file's bytes.
        name: Its name.
        categorical: The columns that pandas knows as categories.
    """

    content: bytes
    name: str
    categorical: tuple[str, ...] = ()


@runtime_checkable
class _Convertible(Protocol):
    def to_pandas(self) -> object: ...


def rows_of_frame(table: object) -> Json:
    """The rows of a table as objects by column.

    Raises:
        RequestError: A cell cannot be JSON; its row and column are named.
    """
    columns = _named_columns(table)
    cells = [_plain_cells(column, name) for name, column in columns.items()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*cells, strict=True)]


def file_of_frame(table: object) -> FrameFile:
    """A table as a file that holds the same cells: Parquet, or JSON where a column mixes kinds of cells.

    Raises:
        RequestError: A cell can be in neither; its row and column are named.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = _named_columns(table)
    if not columns:
        raise RequestError(
            "The table has no columns.",
            code="no_rows",
            hint="Give it columns with features, and one with the target.",
        )
    categorical = tuple(name for name, column in columns.items() if column.dtype == "category")
    try:
        arrays = {name: _arrow_cells(column, name) for name, column in columns.items()}
    except (pa.ArrowException, OverflowError, UnicodeError):
        cells = [_plain_cells(column, name) for name, column in columns.items()]
        split = {"columns": list(columns), "data": list(zip(*cells, strict=True))}
        return FrameFile(json.dumps(split).encode(), "table.json", categorical)
    file = io.BytesIO()
    pq.write_table(pa.table(arrays), file)
    return FrameFile(file.getvalue(), "table.parquet", categorical)


def _named_columns(table: object) -> dict[str, Series]:
    """The columns by distinct names of text; levels of the index that have a name, or are dates, come first."""
    import pandas as pd

    frame = table.to_pandas() if isinstance(table, _Convertible) else table
    if not isinstance(frame, pd.DataFrame):
        raise RequestError(
            f"The table became {type(frame).__name__}; expected a table of pandas.", code="bad_rows"
        )
    levels = [_level(frame, at) for at in range(frame.index.nlevels)]
    kept = [level for level in levels if level is not None and level.name not in frame.columns]
    columns = [*kept, *(frame.iloc[:, at] for at in range(frame.shape[1]))]
    names, _ = unique_names([str(column.name) for column in columns])
    return dict(zip(names, columns, strict=True))


def _level(frame: pd.DataFrame, at: int) -> Series | None:
    """A level of the index as a column; None where it only counts the rows."""
    import pandas as pd

    values = frame.index.get_level_values(at)
    is_date = isinstance(values, (pd.DatetimeIndex, pd.PeriodIndex))
    if values.name is None and not is_date:
        return None
    return pd.Series(values, name="index" if values.name is None else values.name)


def _plain_cells(column: Series, name: str) -> list[Json]:
    """A column's cells as JSON."""
    cells = column.to_list()
    numeric = isinstance(column.dtype, np.dtype) and column.dtype.kind in "iufb"
    if numeric and bool(np.isfinite(column.to_numpy()).all()):
        return cast("list[Json]", cells)
    return [plain_cell(cell, (at, name)) for at, cell in enumerate(cells)]


def _arrow_cells(column: Series, name: str) -> pa.Array[Any]:
    """A column's cells as an Arrow array.

    Raises:
        pa.ArrowException: They are of several kinds.
    """
    import pandas as pd
    import pyarrow as pa

    if column.dtype.kind in "iufb":
        return pa.array(column, from_pandas=True)
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return pa.array(column, from_pandas=True)
    plain = _plain_cells(column, name)
    kinds = {type(cell) for cell in plain if cell is not None}
    if len(kinds) > 1 or kinds & {dict, list}:
        raise pa.ArrowTypeError("a column of several kinds")
    return pa.array(plain)
