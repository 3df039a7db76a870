"""Images given as arrays of pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from whisktrain.data.columns.series import Series
from whisktrain.data.limits import check_matrix
from whisktrain.data.table import Images
from whisktrain.errors import DataError

__all__ = ["images_of_array"]


def images_of_array(
    x: NDArray[np.generic], labels: Series, what: str, image_size: tuple[int, int] | None
) -> Images:
    """Take the rows of an array as images.

    Args:
        x: Pixels of shape (rows, height, width) or (rows, height, width, channels).
        labels: A class or value for each.
        what: Where they come from, for messages.
        image_size: Height and width that the request asks for.

    Raises:
        DataError: The array has another size than asked for, or values that are no finite numbers.
    """
    pixels = x[..., np.newaxis] if x.ndim == 3 else x
    if pixels.dtype.kind not in "buif" or 0 in pixels.shape:
        raise DataError(
            f"The images in {what} have the type {x.dtype} and the shape {x.shape}; expected numbers.",
            code="bad_rows",
        )
    size = tuple(pixels.shape[1:3])
    if image_size is not None and size != tuple(image_size):
        raise DataError(
            f"The images in {what} are {size[0]} by {size[1]}; data.image_size asks for {image_size}.",
            code="bad_image_size",
            hint="Leave data.image_size out for arrays.",
        )
    check_matrix(len(pixels), int(np.prod(pixels.shape[1:])))
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise DataError(
            f"The images in {what} have values that are not finite.",
            code="bad_rows",
            hint="Replace NaN and infinity by numbers, or leave these images out.",
        )
    return Images(pixels, 255.0 if pixels.dtype == np.uint8 else None, labels)
