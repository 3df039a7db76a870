"""Images to features: pixels divided by a constant, or as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from whisktrain.data.images.archives import read_unlabelled
from whisktrain.data.images.rows import read_row
from whisktrain.data.images.samples import BYTE, SampleType
from whisktrain.data.limits import check_any_rows, check_matrix
from whisktrain.data.preprocessing.fit import Scale
from whisktrain.data.table import Images
from whisktrain.errors import DataError

__all__ = ["FittedScaler", "ImageScaler", "fit_image_scaler"]

_BLOCK = 256
"""Images that are scaled at a time: in between they take eight bytes a pixel."""


@dataclass(frozen=True, slots=True)
class ImageScaler:
    """How images become features.

    Attributes:
        shape: (height, width, channels).
        divisor: What pixels are divided by.
        names: The pixels' names where they have any.
        samples: The type of the training images' values.
    """

    shape: tuple[int, ...]
    divisor: float
    names: tuple[str, ...] = ()
    samples: SampleType = BYTE

    def scale(self, pixels: NDArray[np.generic]) -> NDArray[np.float32]:
        """Pixels as features of the same shape.

        Raises:
            DataError: One is no finite float32.
        """
        scaled = np.empty(pixels.shape, dtype=np.float32)
        with np.errstate(over="ignore"):
            for start in range(0, len(pixels), _BLOCK):
                block = pixels[start : start + _BLOCK].astype(np.float64) / self.divisor
                scaled[start : start + _BLOCK] = block
                if not np.isfinite(scaled[start : start + _BLOCK]).all():
                    raise DataError(
                        "The images have values that are too large for a float32.",
                        code="value_too_large",
                        hint="Correct them, or leave data.scale out.",
                    )
        return scaled

    def transform(self, rows: object) -> NDArray[np.float32]:
        """Turn images into features.

        Args:
            rows: A file's bytes (an image, or an archive of images), or a sequence, array or frame of which each row is one of
                what `read_row` reads.

        Returns:
            Features of shape (rows, *shape).

        Raises:
            DataError: There are no rows, or one is no image of this shape.
        """
        if isinstance(rows, bytes):
            return self.scale(read_unlabelled(rows, "the file", self.shape, self.samples))
        images = _image_rows(rows)
        check_any_rows(len(images))
        check_matrix(len(images), int(np.prod(self.shape)))
        pixels = [
            read_row(image, self.shape, self.names, at, self.samples)
            for at, image in enumerate(images)
        ]
        return self.scale(np.stack(pixels))


class FittedScaler(NamedTuple):
    """How images become features, and that in words for the data's report."""

    scaler: ImageScaler
    done: str


def fit_image_scaler(images: Images, training: NDArray[np.int64], scale: Scale) -> FittedScaler:
    """Find what pixels are divided by.

    Args:
        images: The images.
        training: The numbers of the training rows.
        scale: "none" leaves pixels as they are. Otherwise they are divided by the largest value that they can have, or where
            the source does not know it, by the largest in the training rows; fractions from -1 to 1 are not.
    """
    shape = tuple(int(n) for n in images.pixels.shape[1:])
    divisor, done = 1.0, "used as they are"
    if scale != "none" and images.white is not None:
        divisor = images.white
        done = f"divided by {_exact(divisor)}"
    elif scale != "none":
        largest = _largest(images.pixels, training)
        if largest > 1.0:
            divisor = largest
            done = f"divided by {_exact(divisor)}, the largest value of the training images"
    return FittedScaler(ImageScaler(shape, divisor, images.names, images.pixels.dtype), done)


def _largest(pixels: NDArray[np.generic], rows: NDArray[np.int64]) -> float:
    """The largest size of a value in some rows."""
    return max((_size(pixels[row]) for row in rows), default=0.0)


def _size(image: NDArray[np.generic]) -> float:
    return max(abs(float(image.min())), abs(float(image.max())))


def _exact(number: float) -> str:
    return repr(number).removesuffix(".0")


def _image_rows(rows: object) -> Sequence[object] | NDArray[np.generic]:
    import pandas as pd

    if isinstance(rows, pd.DataFrame):
        return rows.to_dict("records")
    if not isinstance(rows, (Sequence, np.ndarray)):
        raise DataError(
            f"The rows are {type(rows).__name__}; expected a list of images or arrays.",
            code="bad_rows",
        )
    return rows
