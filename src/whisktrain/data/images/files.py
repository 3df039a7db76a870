"""Image files decoded to pixels of a given shape."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from whisktrain.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["IMAGE_SUFFIXES", "decode_image", "is_image", "open_image"]

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")

MAX_PIXELS = 50_000_000


def is_image(data: bytes) -> bool:
    """Whether the bytes are an image file."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)):
            return True
    except (UnidentifiedImageError, OSError):
        return False


def open_image(content: bytes, name: str) -> Image:
    """Read an image file.

    Args:
        content: The file's bytes.
        name: Its name, for messages.

    Raises:
        DataError: It is no image, or has more than `MAX_PIXELS` pixels.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        image = Image.open(io.BytesIO(content))
        if image.width * image.height > MAX_PIXELS:
            raise DataError(
                f"The image {name!r} has {image.width} by {image.height} pixels; expected at most {MAX_PIXELS}."
            )
        image.load()
    except (
        UnidentifiedImageError,
        Image.DecompressionBombError,
        OSError,
        SyntaxError,
        ValueError,
    ) as error:
        raise DataError(
            f"The file {name!r} cannot be read as an image ({error}).", code="bad_image"
        ) from None
    return image


def decode_image(content: bytes, name: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Read an image file as pixels.

    Args:
        content: The file's bytes.
        name: Its name, for messages.
        shape: (height, width, channels) to bring it to, with 1 channel (grey) or 3 (RGB).

    Returns:
        Pixels of the given shape; what is transparent becomes white.

    Raises:
        DataError: It is no image, or too large.
    """
    from PIL import Image, ImageOps

    height, width, channels = shape
    image = _on_white(ImageOps.exif_transpose(open_image(content, name)))
    if image.mode == "I;16":
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    image = image.convert("L" if channels == 1 else "RGB")
    if (image.height, image.width) != (height, width):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image, dtype=np.uint8).reshape(shape)


def _on_white(image: Image) -> Image:
    """An image with what is transparent in white."""
    from PIL import Image

    if image.mode not in ("RGBA", "LA", "PA") and "transparency" not in image.info:
        return image
    front = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", front.size, "white"), front)
