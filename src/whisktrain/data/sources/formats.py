"""Files to tables: which format it is, and one reader for each."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
import zlib
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whisktrain.data.images.decoding import images_of_arrays, read_folder
from whisktrain.data.limits import check_size, max_bytes
from whisktrain.data.sources.delimited import decode, read_delimited
from whisktrain.data.table import Images, Table, table_of_records, unique_names
from whisktrain.errors import DataError
from whisktrain.request import DataRequest

__all__ = ["format_of", "read_arrays", "read_file", "unpacked"]

_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".npz": "npz",
    ".npy": "npy",
    ".tar": "images",
    ".zip": "images",
}


def unpacked(data: bytes, name: str) -> tuple[bytes, str]:
    """Take a file out of its gzip wrapper, if it has one.

    Raises:
        DataError: The wrapper is damaged, or its content too large.
    """
    if not data.startswith(b"\x1f\x8b"):
        return data, name
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            content = file.read(max_bytes() + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{name} cannot be unpacked ({error}).", code="bad_archive") from None
    check_size(len(content), name)
    return content, name.removesuffix(".gz") + (".tar" if name.endswith(".tgz") else "")


def format_of(data: bytes, name: str, asked: str) -> str:
    """The format of a file: as asked, else by its first bytes, its name, its content.

    Args:
        data: The file's bytes.
        name: Its name.
        asked: "auto", or the caller's choice.
    """
    if asked != "auto":
        return asked
    if data.startswith(b"PAR1"):
        return "parquet"
    if data.startswith(b"\x93NUMPY"):
        return "npy"
    if data.startswith(b"PK\x03\x04"):
        with_arrays = zipfile.is_zipfile(io.BytesIO(data)) and any(
            n.endswith(".npy") for n in zipfile.ZipFile(io.BytesIO(data)).namelist()
        )
        return "npz" if with_arrays else "images"
    if data[257:262] == b"ustar":
        return "images"
    suffix = PurePath(name).suffix.lower()
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    start = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    if start[:1] == b"[":
        return "json"
    return "jsonl" if start[:1] == b"{" and len(data.strip().splitlines()) > 1 else "json" if start[:1] == b"{" else "csv"


def read_file(data: bytes, name: str, request: DataRequest) -> Table | Images:
    """Read a file in whatever format it is.

    Args:
        data: Its bytes.
        name: Its name.
        request: What the caller said about it.

    Raises:
        DataError: It cannot be read in that format, or holds no rows.
    """
    check_size(len(data), name)
    data, name = unpacked(data, name)
    kind = format_of(data, name, request.format)
    if kind in ("csv", "tsv"):
        delimiter = request.delimiter or ("\t" if kind == "tsv" else None)
        return read_delimited(data, name, delimiter=delimiter, encoding=request.encoding, decimal=request.decimal)
    if kind == "images":
        return read_folder(data, name, request.image_size)
    if kind in ("json", "jsonl"):
        table = _read_json(data, name, request.encoding, lines=kind == "jsonl")
    elif kind == "parquet":
        table = _read_parquet(data, name)
    elif kind == "npz":
        found = _read_npz(data, name, request.image_size)
        if isinstance(found, Images):
            return found
        table = found
    else:
        table = _table_of_array(_load_array(data, name), name)
    if not len(table):
        raise DataError(f"{name} has no rows.", code="no_rows")
    return table


def _read_json(data: bytes, name: str, encoding: str | None, *, lines: bool) -> Table:
    text, notices = decode(data, encoding, name)
    try:
        if lines:
            value: Any = [json.loads(line) for line in text.splitlines() if line.strip()]
        else:
            value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{name} is no valid JSON: {error}.", code="bad_json", hint="Is it JSON lines? Set data.format."
        ) from None
    if isinstance(value, dict):
        value = _records_inside(value, name)
    if not isinstance(value, list):
        raise DataError(f"{name} holds {type(value).__name__}; expected a list of objects.", code="bad_json")
    if value and all(isinstance(row, list) for row in value):
        value = [{f"column_{at + 1}": cell for at, cell in enumerate(row)} for row in value]
    table = table_of_records(value, name)
    return Table(table.frame, tuple(notices))


def _records_inside(value: dict[str, Any], name: str) -> list[Any]:
    """The rows of a JSON object: columns of equal length, pandas' "split", one list of objects inside, or a single row."""
    columns, rows = value.get("columns"), value.get("data")
    if (
        isinstance(columns, list)
        and isinstance(rows, list)
        and all(isinstance(r, list) and len(r) == len(columns) for r in rows)
    ):
        names, _ = unique_names([str(column) for column in columns])
        return [dict(zip(names, row, strict=True)) for row in rows]
    lists = [v for v in value.values() if isinstance(v, list)]
    if value and len(lists) == len(value) and len({len(v) for v in lists}) == 1:
        return [dict(zip(value, cells, strict=True)) for cells in zip(*lists, strict=True)]
    tables = [v for v in lists if v and all(isinstance(row, dict) for row in v)]
    if len(tables) == 1:
        return tables[0]
    if any(isinstance(v, (dict, list)) for v in value.values()):
        raise DataError(f"{name} is a JSON object without one list of rows; expected a list of objects.", code="bad_json")
    return [value]


def _read_parquet(data: bytes, name: str) -> Table:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(io.BytesIO(data))
        metadata = file.metadata
        check_size(sum(metadata.row_group(g).total_byte_size for g in range(metadata.num_row_groups)), f"{name}, unpacked,")
        table = file.read()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{name} cannot be read as Parquet ({error}).", code="bad_parquet") from None
    index = [n for n in table.column_names if n.startswith("__index_level_")]
    table = table.drop_columns(index)
    names, notices = unique_names(table.column_names)
    columns = [_arrow_cells(table.column(at)) for at in range(table.num_columns)]
    frame = pd.concat(columns, axis=1) if columns else pd.DataFrame(index=range(table.num_rows))
    frame.columns = pd.Index(names, dtype=object)
    return Table(frame, tuple(notices))


def _arrow_cells(column: Any) -> Any:
    """An Arrow column as a series: numbers without gaps and dates as such, whole numbers and the rest exactly, as objects."""
    import pandas as pd
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
        kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return pd.Series(column.to_pandas(), dtype="str")
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return pd.Series(column.cast(pa.timestamp("us", tz=getattr(kind, "tz", None)), safe=False).to_pandas())
    if pa.types.is_floating(kind) or (pa.types.is_integer(kind) and column.null_count == 0):
        return pd.Series(column.to_pandas())
    return pd.Series(column.to_pylist(), dtype=object)


def _load_array(data: bytes, name: str) -> NDArray[Any]:
    try:
        return np.asarray(np.load(io.BytesIO(data), allow_pickle=False))
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"{name} cannot be read as a NumPy array ({error}).", code="bad_array") from None


def _load_arrays(data: bytes, name: str) -> dict[str, NDArray[Any]]:
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            check_size(sum(info.file_size for info in archive.zip.infolist()), f"{name}, unpacked,")
            return {key: archive[key] for key in archive.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise DataError(f"{name} cannot be read as NumPy arrays ({error}).", code="bad_array") from None


def read_arrays(data: bytes, name: str) -> NDArray[Any]:
    """The rows of a NumPy file to decide on: an array, or the `x` (or the only one) of several.

    Raises:
        DataError: It is no such file, or holds several arrays and no `x`.
    """
    if data.startswith(b"\x93NUMPY"):
        return _load_array(data, name)
    arrays = _load_arrays(data, name)
    named = {key.lower(): value for key, value in arrays.items()}
    found = next((named[key] for key in ("x", "x_test", "data") if key in named), None)
    if found is None and len(arrays) == 1:
        found = next(iter(arrays.values()))
    if found is None:
        raise DataError(f"{name} holds the arrays {', '.join(map(repr, arrays))}; expected 'x'.", code="bad_array")
    return found


def _read_npz(data: bytes, name: str, image_size: tuple[int, int] | None) -> Table | Images:
    arrays = _load_arrays(data, name)
    named = {key.lower(): value for key, value in arrays.items()}
    pair = next(
        (
            (named[a], named[b])
            for a, b in (("x", "y"), ("x_train", "y_train"), ("data", "target"))
            if a in named and b in named
        ),
        None,
    )
    if pair is None:
        raise DataError(
            f"{name} holds the arrays {', '.join(map(repr, arrays)) or '(none)'}; expected 'x' and 'y'.", code="bad_array"
        )
    x, y = pair
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1 or x.ndim < 1 or len(x) != len(y):
        raise DataError(
            f"{name} has x of shape {x.shape} and y of shape {y.shape}; expected one target for each row of x.",
            code="bad_shape",
            hint="Turn one-hot targets into class numbers.",
        )
    labels = _plain(y)
    if x.ndim in (3, 4):
        return images_of_arrays(x, labels, name, image_size)
    table = _table_of_array(x, name)
    names, _ = unique_names([*table.names, "y"])
    frame = table.frame.copy()
    frame[len(names) - 1] = labels
    return Table(_named(frame, names), table.notices, target=names[-1])


def _table_of_array(array: NDArray[Any], name: str) -> Table:
    """Rows and columns of an array; columns are x0, x1, … or the fields of its type."""
    import pandas as pd

    if array.dtype.names is not None and array.ndim == 1:
        frame = pd.DataFrame({at: _plain(array[field]) for at, field in enumerate(array.dtype.names)})
        return Table(_named(frame, list(array.dtype.names)))
    if array.ndim == 1:
        array = array[:, np.newaxis]
    if array.ndim != 2 or array.dtype.kind not in "buifUS":
        raise DataError(
            f"{name} has the shape {array.shape} and the type {array.dtype}; expected rows and columns of numbers or text.",
            code="bad_shape",
        )
    check_size(array.size, name)
    frame = pd.DataFrame({at: _plain(array[:, at]) for at in range(array.shape[1])})
    return Table(_named(frame, [f"x{at}" for at in range(array.shape[1])]))


def _plain(array: NDArray[Any]) -> Any:
    import pandas as pd

    if array.dtype.kind == "S":
        array = np.char.decode(array, "latin-1")
    return pd.Series(array.astype(object), dtype=object) if array.dtype.kind in "UO" else pd.Series(array)


def _named(frame: Any, names: list[str]) -> Any:
    import pandas as pd

    frame.columns = pd.Index(names, dtype=object)
    return frame
