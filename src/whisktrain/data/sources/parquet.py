"""Parquet to a table."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from whisktrain.data.columns.series import Series
from whisktrain.data.limits import check_size
from whisktrain.data.table import Table, unique_names, with_names
from whisktrain.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["read_parquet"]

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
    index = [column for column in table.column_names if column.startswith(INDEX_PREFIX)]
    table = table.drop_columns(index)
    names, notices = unique_names(table.column_names)
    columns = [_cells(table.column(at)) for at in range(table.num_columns)]
    frame = pd.concat(columns, axis=1) if columns else pd.DataFrame(index=range(table.num_rows))
    return Table(with_names(frame, names), tuple(notices))


def _read_arrow(data: bytes, name: str) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(io.BytesIO(data))
        metadata = file.metadata
        unpacked = sum(
            metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups)
        )
        check_size(unpacked, f"{name}, unpacked,")
        return file.read()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(
            f"{name} cannot be read as Parquet ({error}).",
            code="bad_parquet",
            hint="Check that the file is whole, and that it is Parquet.",
        ) from None


def _cells(column: pa.ChunkedArray) -> Series:
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
        return pd.Series(column.cast(microseconds, safe=False).to_pandas())
    if pa.types.is_floating(kind) or (pa.types.is_integer(kind) and column.null_count == 0):
        return pd.Series(column.to_pandas())
    return pd.Series(column.to_pylist(), dtype=object)
