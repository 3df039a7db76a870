"""The arrays that a caller gives to `fit`: checked before anything is uploaded."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from whisktrain.errors import RequestError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["features", "packed", "targets"]

_Array: TypeAlias = NDArray[Any]


def features(x: ArrayLike) -> _Array:
    """Features as one array, shape (rows, ...).

    Raises:
        RequestError: They are several inputs, no array, or hold no numbers.
    """
    if isinstance(x, Mapping) or (isinstance(x, (list, tuple)) and _are_inputs(x)):
        count = len(x)
        raise RequestError(
            f"x holds {count} inputs ({type(x).__name__}); expected one array of shape (rows, ...).",
            hint="Join the inputs inside the model, and give one array.",
        )
    found = _array(x, "x")
    if found.ndim < 2:
        raise RequestError(
            f"x has the shape {found.shape}; expected (rows, ...), with at least one number a row.",
            hint="Use x.reshape(-1, 1) for one number a row.",
        )
    if found.dtype.kind not in "biuf":
        raise RequestError(
            f"x holds {found.dtype}; expected numbers.",
            hint="Turn it into numbers, or train a table with columns: train(data=...).",
        )
    return found


def targets(y: ArrayLike | None, *, rows: int) -> _Array:
    """Targets as one array, shape (rows,): class numbers, labels or values. One-hot rows become class numbers.

    Args:
        y: The targets as given.
        rows: Rows of the features.

    Raises:
        RequestError: There are none, they do not fit the features, or there are several a row.
    """
    if y is None:
        raise RequestError(
            "no targets were given (y is None); expected one for each row, shape (rows,).",
            hint="Give x and y as two arrays.",
        )
    if isinstance(y, Mapping) or (isinstance(y, (list, tuple)) and _are_inputs(y)):
        raise RequestError(
            f"y holds {len(y)} outputs ({type(y).__name__}); expected one array of shape (rows,).",
            hint="Train a model for each output.",
        )
    found = _array(y, "y")
    if not found.ndim or len(found) != rows:
        raise RequestError(
            f"x has {rows} rows and y has the shape {found.shape}; expected ({rows},)."
        )
    if found.size == rows:
        return found.reshape(rows)
    if found.ndim == 2 and found.dtype.kind in "biuf" and _is_one_hot(found):
        classes: _Array = found.argmax(axis=1)
        return classes
    raise RequestError(
        f"y has the shape {found.shape} and its rows are not one-hot; expected one class or value a row, shape ({rows},).",
        hint="Several targets a row, and shares of classes, are not supported: give class numbers, or one column.",
    )


def packed(x: _Array, y: _Array) -> bytes:
    """Features and targets as the content of an .npz file."""
    file = io.BytesIO()
    np.savez_compressed(file, x=x, y=y)
    return file.getvalue()


def _are_inputs(given: list[object] | tuple[object, ...]) -> bool:
    """Whether a list is one of arrays, one for each input or output, and not one of rows."""
    shapes = [getattr(entry, "shape", None) for entry in given]
    if not shapes or None in shapes:
        return False
    return isinstance(given, tuple) or len(set(shapes)) > 1 or any(len(s) > 1 for s in shapes)  # type: ignore[arg-type]


def _array(given: object, name: str) -> _Array:
    kind = type(given).__name__
    if hasattr(given, "toarray") and hasattr(given, "nnz"):
        raise RequestError(
            f"{name} is a sparse matrix ({kind}); expected an array.",
            hint=f"Give {name}.toarray(), where it fits into memory.",
        )
    is_stream = isinstance(given, Iterator) or hasattr(given, "element_spec")
    if is_stream or (hasattr(given, "__getitem__") and hasattr(given, "on_epoch_end")):
        raise RequestError(
            f"{name} is a {kind}, which gives batches one after another; expected an array with all rows.",
            hint=f"Collect them first, such as {name} = np.concatenate([...]), and give x and y as two arrays.",
        )
    try:
        found = np.asarray(given)
    except (ValueError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise RequestError(
            f"{name} ({kind}) cannot be made an array: {reason}",
            hint="Give numbers, or arrays of numbers of one shape.",
        ) from None
    if found.dtype.kind == "O":
        found = _of_objects(found, name, kind)
    if not found.size:
        raise RequestError(f"{name} ({kind}) is empty, shape {found.shape}; expected rows.")
    return found


def _of_objects(found: _Array, name: str, kind: str) -> _Array:
    """An array of Python objects as one of numbers or texts."""
    if not found.ndim:
        raise RequestError(f"{name} is a {kind}; expected an array of numbers.")
    cells = found.ravel().tolist()
    if all(isinstance(cell, str) for cell in cells):
        return found.astype(str)
    try:
        return found.astype(np.float64)
    except (ValueError, TypeError):
        odd = next(cell for cell in cells if not isinstance(cell, (int, float)))
        raise RequestError(
            f"{name} ({kind}) holds a {type(odd).__name__} ({odd!r:.40}); expected numbers."
        ) from None


def _is_one_hot(y: _Array) -> bool:
    return bool(np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all())
