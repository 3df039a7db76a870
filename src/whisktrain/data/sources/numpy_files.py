"""NumPy's .npy and .npz to a table, to images, or to rows to predict."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from whisktrain.data.columns.series import Series
from whisktrain.data.images.arrays import images_of_array
from whisktrain.data.limits import check_size
from whisktrain.data.table import Images, Table, unique_names, with_names
from whisktrain.errors import DataError

__all__ = ["NPY_MAGIC", "read_npy", "read_npz", "read_prediction_array"]

Array: TypeAlias = NDArray[Any]
"""An array of any type: numbers, text, or records with named fields."""

NPY_MAGIC = b"\x93NUMPY"

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
    labels = _series(y)
    if x.ndim in (3, 4):
        return images_of_array(x, labels, name, image_size)
    table = _table_of_array(x, name)
    names, _ = unique_names([*table.names, "y"])
    frame = table.frame.copy()
    frame[len(names) - 1] = labels
    return Table(with_names(frame, names), table.notices, target=names[-1])


def read_prediction_array(data: bytes, name: str) -> Array:
    """Read the rows to predict from a NumPy file: an array, or the `x` (or the only one) of several.

    Raises:
        DataError: It is no such file, or holds several arrays and no `x`.
    """
    if data.startswith(NPY_MAGIC):
        return _load_array(data, name)
    arrays = _load_arrays(data, name)
    by_name = _lower_case(arrays)
    for key in _FEATURES:
        if key in by_name:
            return by_name[key]
    if len(arrays) == 1:
        return next(iter(arrays.values()))
    raise DataError(
        f"{name} holds the arrays {', '.join(map(repr, arrays))}; expected 'x'.", code="bad_array"
    )


def _load_array(data: bytes, name: str) -> Array:
    try:
        return np.asarray(np.load(io.BytesIO(data), allow_pickle=False))
    except (ValueError, OSError, EOFError) as error:
        raise DataError(
            f"{name} cannot be read as a NumPy array ({error}).",
            code="bad_array",
            hint="Write it with numpy.save, from numbers or text.",
        ) from None


def _load_arrays(data: bytes, name: str) -> dict[str, Array]:
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            unpacked = sum(info.file_size for info in archive.zip.infolist())
            check_size(unpacked, f"{name}, unpacked,")
            return {key: archive[key] for key in archive.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise DataError(
            f"{name} cannot be read as NumPy arrays ({error}).",
            code="bad_array",
            hint="Write it with numpy.savez, from numbers or text.",
        ) from None


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
    import pandas as pd

    fields = array.dtype.names
    if fields is not None and array.ndim == 1:
        frame = pd.DataFrame({at: _series(array[field]) for at, field in enumerate(fields)})
        return Table(with_names(frame, fields))
    if array.ndim == 1:
        array = array[:, np.newaxis]
    if array.ndim != 2 or array.dtype.kind not in "buifUS":
        raise DataError(
            f"{name} has the shape {array.shape} and the type {array.dtype}; expected rows and columns of numbers or text.",
            code="bad_shape",
        )
    check_size(array.size, name)
    columns = range(array.shape[1])
    frame = pd.DataFrame({at: _series(array[:, at]) for at in columns})
    return Table(with_names(frame, [f"x{at}" for at in columns]))


def _series(array: Array) -> Series:
    """An array of one dimension as a series; text as objects."""
    import pandas as pd

    if array.dtype.kind == "S":
        array = np.char.decode(array, "latin-1")
    if array.dtype.kind in "UO":
        return pd.Series(array.astype(object), dtype=object)
    return pd.Series(array)
