"""One image to predict, in any of the forms that a caller may send."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from whisktrain.data.images.files import decode_image
from whisktrain.data.images.samples import BYTE, SampleType
from whisktrain.data.limits import check_size
from whisktrain.errors import DataError

__all__ = ["read_row"]

IMAGE_FIELDS = ("image", "x")


def read_row(
    row: object,
    shape: tuple[int, ...],
    names: Sequence[str],
    at: int,
    samples: SampleType = BYTE,
) -> NDArray[np.float64]:
    """Read the pixels of one row.

    Args:
        row: Nested lists or a flat list of pixels, an image file in base64, or an object with one of these in its field
            "image" (or "x"), or with the pixels by their names.
        shape: (height, width, channels).
        names: The pixels' names where they have any.
        at: The row's number from 0, for messages.
        samples: The type of the training images' values, which an image file must have.

    Returns:
        Pixels of the given shape.

    Raises:
        DataError: It is nothing of these, or has another size.
    """
    content = _image_field(row, names, at) if isinstance(row, dict) else row
    if isinstance(content, str):
        return _decode_base64(content, shape, at, samples)
    return _check_pixels(content, shape, at)


def _image_field(row: dict[str, object], names: Sequence[str], at: int) -> object:
    """What an object holds as its image."""
    if names and all(name in row for name in names):
        return [row[name] for name in names]
    found = [row[field] for field in IMAGE_FIELDS if field in row]
    if len(found) != 1:
        raise DataError(
            f"Row {at + 1} has no image; expected an object with the field 'image'.",
            code="missing_columns",
        )
    return found[0]


def _decode_base64(
    text: str, shape: tuple[int, ...], at: int, samples: SampleType
) -> NDArray[np.float64]:
    """The pixels of an image file in base64, maybe as a data URL."""
    encoded = text.partition(",")[2] if text.startswith("data:") else text
    try:
        content = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise DataError(
            f"Row {at + 1} is text that is no base64; expected an image file in base64.",
            code="bad_cell",
        ) from None
    check_size(len(content), f"Row {at + 1}")
    return decode_image(content, f"row {at + 1}", shape, samples).astype(np.float64)


def _check_pixels(content: object, shape: tuple[int, ...], at: int) -> NDArray[np.float64]:
    """Pixels given as numbers: as an image, as one without its only channel, or flat."""
    try:
        pixels = np.asarray(content, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise DataError(
            f"Row {at + 1} is no array of numbers; expected pixels of shape {shape}.",
            code="bad_cell",
        ) from None
    size = int(np.prod(shape))
    without_channel = shape[:2] if shape[2] == 1 else shape
    if pixels.shape not in (shape, without_channel, (size,)):
        raise DataError(
            f"Row {at + 1} has the shape {pixels.shape}; expected {shape}, or {size} numbers.",
            code="bad_shape",
        )
    if not np.isfinite(pixels).all():
        raise DataError(
            f"Row {at + 1} has pixels that are not finite.",
            code="bad_cell",
            hint="Replace NaN and infinity by numbers.",
        )
    return pixels.reshape(shape)
