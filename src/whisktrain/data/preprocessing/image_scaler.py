"""Images to features: pixels divided by a constant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whisktrain.data.images.archives import read_unlabelled
from whisktrain.data.images.rows import read_row
from whisktrain.data.limits import check_any_rows, check_matrix
from whisktrain.errors import DataError

__all__ = ["ImageScaler"]


@dataclass(frozen=True, slots=True)
class ImageScaler:
    """How images become features.

    Attributes:
        shape: (height, width, channels).
        divisor: What pixels are divided by.
        names: The pixels' names where they have any.
    """

    shape: tuple[int, ...]
    divisor: float
    names: tuple[str, ...] = ()

    def scale(self, pixels: NDArray[np.generic]) -> NDArray[np.float32]:
        """Pixels as features of the same shape."""
        scaled: NDArray[np.float64] = pixels.astype(np.float64) / self.divisor
        return scaled.astype(np.float32)

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
            return self.scale(read_unlabelled(rows, "the file", self.shape))
        images = _image_rows(rows)
        check_any_rows(len(images))
        check_matrix(len(images), int(np.prod(self.shape)))
        pixels = [read_row(image, self.shape, self.names, at) for at, image in enumerate(images)]
        return self.scale(np.stack(pixels))


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
