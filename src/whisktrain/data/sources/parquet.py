"""Parquet to a table."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from whisktrain.data.columns.series import Series
from whisktrain.data.limits import check_columns, check_matrix, check_size
from whisktrain.data.table import Table, check_dates, unique_names, with_names
from whisktrain.decoding import decoding

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["read_parquet"]

_HINT = "Check that the file is whole, and that it is Parquet."

INDEX_PREFIX = "__index_level_"
"""Columns in which pandas keeps a frame's index."""


def read_parquet(data: bytes, name: str) -> Table:
    """Read Parquet.

    Args:
        data: The file's bytes.
        name: Its name, for messages.

    Raises:
        DataError: It is no Parquet, or too large.
    """
    import pandas as pd

    table = _read_arrow(data, name)
    # By position: names may be given twice.
    own = [
        at for at, column in enumerate(table.column_names) if not column.startswith(INDEX_PREFIX)
    ]
    table = table.select(own)
    names, notices = unique_names(table.column_names)
    with decoding(f"{name} cannot be read as a table", "bad_parquet", _HINT):
        columns = [_cells(table.column(at), names[at]) for at in range(table.num_columns)]
    frame = pd.concat(columns, axis=1) if columns else pd.DataFrame(index=range(table.num_rows))
    return Table(with_names(frame, names), tuple(notices))


def _read_arrow(data: bytes, name: str) -> pa.Table:
    import pyarrow.parquet as pq

    with decoding(f"{name} cannot be read as Parquet", "bad_parquet", _HINT):
        file = pq.ParquetFile(io.BytesIO(data))
        metadata = file.metadata
        unpacked = sum(
            metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups)
        )
        check_size(unpacked, f"{name}, unpacked,")
        check_columns(metadata.num_columns, name)
        check_matrix(metadata.num_rows, metadata.num_columns)
        return file.read()


def _cells(column: pa.ChunkedArray, name: str) -> Series:
    """An Arrow column as a series: numbers without gaps and dates as such, whole numbers and the rest exactly, as objects."""
    import pandas as pd
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return pd.Series(column.to_pandas(), dtype="str")
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        microseconds = pa.timestamp("us", tz=getattr(kind, "tz", None))
        dates = pd.Series(column.cast(microseconds, safe=False).to_pandas())
        return check_dates(dates, f"The column {name!r}")
    if pa.types.is_floating(kind) or (pa.types.is_integer(kind) and column.null_count == 0):
        return pd.Series(column.to_pandas())
    return pd.Series(column.to_pylist(), dtype=object)
