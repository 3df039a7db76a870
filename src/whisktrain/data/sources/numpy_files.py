"""NumPy's .npy and .npz to a table, to images, or to rows to predict."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from whisktrain.data.columns.series import Series
from whisktrain.data.images.arrays import images_of_array
from whisktrain.data.limits import check_columns, check_size
from whisktrain.data.table import Images, Table, check_dates, side_by_side, unique_names, with_names
from whisktrain.decoding import decoding
from whisktrain.errors import DataError

__all__ = ["NPY_MAGIC", "read_npy", "read_npz", "read_prediction_array"]

Array: TypeAlias = NDArray[Any]
"""An array of any type: numbers, text, or records with named fields."""

NPY_MAGIC = b"\x93NUMPY"

_SUFFIX = ".npy"
_TABLE_KINDS = "buifUS"
"""NumPy's kinds of numbers and texts."""

_LAST_CHARACTER = 0x10FFFF
_SURROGATES = 0xD800 >> 11
"""The upper bits of the halves of surrogate pairs, 0xD800 to 0xDFFF."""

_FEATURES_AND_TARGET = (("x", "y"), ("x_train", "y_train"), ("data", "target"))
_FEATURES = ("x", "x_test", "data")


def read_npy(data: bytes, name: str) -> Table:
    """Read a .npy file: rows and columns, or rows of named fields.

    Raises:
        DataError: It is no such file, or holds no table.
    """
    return _table_of_array(_load_array(data, name), name)


def read_npz(data: bytes, name: str, image_size: tuple[int, int] | None) -> Table | Images:
    """Read a .npz file with an array `x` of features or images and an array `y` of targets.

    Args:
        data: The file's bytes.
        name: Its name, for messages.
        image_size: Height and width that the request asks for.

    Raises:
        DataError: It is no such file, or its arrays do not belong together.
    """
    x, y = _features_and_target(_load_arrays(data, name), name)
    labels = _series(y, f"The array of targets in {name}")
    if x.ndim in (3, 4):
        return images_of_array(x, labels, name, image_size)
    table = _table_of_array(x, name)
    names, _ = unique_names([*table.names, "y"])
    columns = [*(table.column(column) for column in table.names), labels]
    frame = with_names(side_by_side(columns, len(x)), names)
    return Table(frame, table.notices, target=names[-1])


def read_prediction_array(data: bytes, name: str) -> Array:
    """Read the rows to predict from a NumPy file: an array, or the `x` (or the only one) of several.

    Raises:
        DataError: It is no such file, or holds several arrays and no `x`.
    """
    array = _load_array(data, name) if data.startswith(NPY_MAGIC) else _rows_array(data, name)
    if array.ndim == 0 or array.dtype.kind not in _TABLE_KINDS:
        raise DataError(
            f"{name} has the shape {array.shape} and the type {array.dtype}; expected rows of numbers or text.",
            code="bad_shape",
        )
    return array


def _rows_array(data: bytes, name: str) -> Array:
    """The array of rows among the arrays of a .npz file."""
    arrays = _load_arrays(data, name)
    by_name = _lower_case(arrays)
    for key in _FEATURES:
        if key in by_name:
            return by_name[key]
    if len(arrays) == 1:
        return next(iter(arrays.values()))
    held = ", ".join(map(repr, arrays)) or "(none)"
    raise DataError(f"{name} holds the arrays {held}; expected 'x'.", code="bad_array")


def _load_array(data: bytes, name: str) -> Array:
    """The array of a .npy file, in this machine's byte order."""
    hint = "Write it with numpy.save, from numbers or text."
    with decoding(f"{name} cannot be read as a NumPy array", "bad_array", hint):
        _check_header(data, name)
        array = np.asarray(np.load(io.BytesIO(data), allow_pickle=False))
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
    _check_characters(array, name)
    return array


def _load_arrays(data: bytes, name: str) -> dict[str, Array]:
    """The arrays of a .npz file; what is no array in it counts for nothing."""
    hint = "Write it with numpy.savez, from numbers or text."
    with decoding(f"{name} cannot be read as NumPy arrays", "bad_array", hint):
        archive = zipfile.ZipFile(io.BytesIO(data))
    infos = [info for info in archive.infolist() if info.filename.endswith(_SUFFIX)]
    check_size(sum(info.file_size for info in infos), f"{name}, unpacked,")
    arrays = {}
    for info in infos:
        key = info.filename.removesuffix(_SUFFIX)
        with decoding(f"The array {key!r} of {name} cannot be unpacked", "bad_array", hint):
            content = archive.read(info)
        arrays[key] = _load_array(content, f"The array {key!r} of {name}")
    return arrays


def _check_header(data: bytes, name: str) -> None:
    """Refuse a header that claims more bytes than there are, before NumPy allocates them.

    Raises:
        DataError: It does.
    """
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    read_header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0  # of 3.0 only the encoding of fields' names differs
    )
    shape, _, dtype = read_header(stream)
    claimed = max(dtype.itemsize, 1) * math.prod(shape)
    held = len(data) - stream.tell()
    if claimed > held and not dtype.hasobject:
        raise DataError(
            f"{name} says that it has the shape {shape} of {dtype}, which takes {claimed} bytes; it has {held}.",
            code="bad_array",
            hint="Check that the file is whole.",
        )


def _check_characters(array: Array, name: str) -> None:
    """Refuse text with a number in it that is no character's: Python could not hold it.

    Raises:
        DataError: There is such a text, also in a field of records.
    """
    for field in array.dtype.names or ():
        _check_characters(array[field], name)
    if array.dtype.kind != "U" or not array.size:
        return
    points = np.ascontiguousarray(array).reshape(-1).view(np.uint32)
    if ((points > _LAST_CHARACTER) | (points >> 11 == _SURROGATES)).any():
        raise DataError(
            f"{name} has text that does not consist of characters.",
            code="bad_encoding",
            hint="Write it from Python's own texts.",
        )


def _features_and_target(arrays: Mapping[str, Array], name: str) -> tuple[Array, Array]:
    """The arrays of features and targets, one target for each row."""
    by_name = _lower_case(arrays)
    pairs = [pair for pair in _FEATURES_AND_TARGET if set(pair) <= set(by_name)]
    if not pairs:
        held = ", ".join(map(repr, arrays)) or "(none)"
        raise DataError(f"{name} holds the arrays {held}; expected 'x' and 'y'.", code="bad_array")
    x, y = (by_name[key] for key in pairs[0])
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1 or x.ndim < 1 or len(x) != len(y):
        raise DataError(
            f"{name} has x of shape {x.shape} and y of shape {y.shape}; expected one target for each row of x.",
            code="bad_shape",
            hint="Turn one-hot targets into class numbers.",
        )
    return x, y


def _lower_case(arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {key.lower(): array for key, array in arrays.items()}


def _table_of_array(array: Array, name: str) -> Table:
    """Rows and columns of an array; columns are x0, x1, … or the fields of its type."""
    fields = array.dtype.names
    if fields is not None and array.ndim == 1:
        columns = [_series(array[field], f"The field {field!r} of {name}") for field in fields]
        return Table(with_names(side_by_side(columns, len(array)), fields))
    if array.ndim == 1:
        array = array[:, np.newaxis]
    if array.ndim != 2 or array.dtype.kind not in _TABLE_KINDS:
        raise DataError(
            f"{name} has the shape {array.shape} and the type {array.dtype}; expected rows and columns of numbers or text.",
            code="bad_shape",
        )
    check_size(array.size, name)
    width = array.shape[1]
    check_columns(width, name)
    columns = [_series(array[:, at], name) for at in range(width)]
    return Table(with_names(side_by_side(columns, len(array)), [f"x{at}" for at in range(width)]))


def _series(array: Array, name: str) -> Series:
    """An array of one dimension as a series; text as objects.

    Raises:
        DataError: It has more dimensions, or holds neither numbers nor text nor dates.
    """
    import pandas as pd

    kind = array.dtype.kind
    if array.ndim != 1 or kind not in _TABLE_KINDS + "M":
        raise DataError(
            f"{name} has the shape {array.shape} and the type {array.dtype}; expected one number or text a row.",
            code="bad_shape",
        )
    if kind == "S":
        array = np.char.decode(array, "latin-1")
    if kind in "US":
        return pd.Series(array.astype(object), dtype=object)
    if kind == "f" and array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    with decoding(f"{name} holds dates that cannot be read", "bad_array"):
        return check_dates(pd.Series(array), name)
