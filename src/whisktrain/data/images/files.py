"""Image files decoded to pixels of a given shape."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from whisktrain.data.images.samples import BYTE, SampleType, check_sample_type, sample_type
from whisktrain.decoding import decoding
from whisktrain.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["IMAGE_SUFFIXES", "OpenImage", "decode_image", "is_image", "open_image"]

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")

MAX_PIXELS = 50_000_000

_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
"""What Pillow may try: the formats of `IMAGE_SUFFIXES`. None of them starts another program, as EPS does."""


class OpenImage(NamedTuple):
    """A loaded image.

    Attributes:
        image: The image, turned as its EXIF data says.
        samples: The type of its values in the file.
        first_of_pages: Whether the file has further pages.
    """

    image: Image
    samples: SampleType
    first_of_pages: bool


def is_image(data: bytes) -> bool:
    """Whether the bytes are an image file."""
    from PIL import Image

    try:
        with decoding("It cannot be read as an image", "bad_image"):
            Image.open(io.BytesIO(data), formats=_FORMATS).close()
    except DataError:
        return False
    return True


def open_image(content: bytes, name: str) -> OpenImage:
    """Read an image file.

    Args:
        content: The file's bytes.
        name: Its name, for messages.

    Raises:
        DataError: It is no image, has more than `MAX_PIXELS` pixels, or values that cannot be read exactly.
    """
    from PIL import Image, ImageOps

    with decoding(f"The file {name!r} cannot be read as an image", "bad_image"):
        image = Image.open(io.BytesIO(content), formats=_FORMATS)
        if image.width * image.height > MAX_PIXELS:
            raise DataError(
                f"The image {name!r} has {image.width} by {image.height} pixels; expected at most {MAX_PIXELS}."
            )
        samples = sample_type(image, name)
        several = image.format == "TIFF" and getattr(image, "n_frames", 1) > 1
        image.load()
        # Loading a TIFF turns it already and removes the mark.
        return OpenImage(ImageOps.exif_transpose(image), samples, several)


def decode_image(
    content: bytes, name: str, shape: tuple[int, ...], samples: SampleType = BYTE
) -> NDArray[np.generic]:
    """Read an image file as pixels.

    Args:
        content: The file's bytes.
        name: Its name, for messages.
        shape: (height, width, channels) to bring it to, with 1 channel (grey) or 3 (RGB).
        samples: The type of the training images' values.

    Returns:
        Pixels of the given shape, with the file's own values (of its colours as 8-bit grey or RGB); what is transparent becomes
        white.

    Raises:
        DataError: It is no image, too large, or its values are of another type.
    """
    opened = open_image(content, name)
    check_sample_type(opened.samples, samples, name)
    height, width, channels = shape
    with decoding(f"The image {name!r} cannot be converted", "bad_image"):
        if opened.samples == BYTE:
            pixels = _bytes(opened.image, (height, width), "L" if channels == 1 else "RGB")
        else:
            pixels = _deep_grey(opened, (height, width), name)
    if pixels.size != height * width * channels:
        raise DataError(
            f"The image {name!r} is grey; the training images have {channels} channels.",
            code="bad_image",
            hint="Convert it to the training images' colours.",
        )
    return pixels.reshape(shape)


def _bytes(image: Image, size: tuple[int, int], mode: str) -> NDArray[np.generic]:
    """The pixels of an 8-bit image, as grey or RGB, of the given height and width."""
    from PIL import Image

    converted = _on_white(image).convert(mode)
    if (converted.height, converted.width) != size:
        converted = converted.resize(size[::-1], Image.Resampling.BILINEAR)
    return np.asarray(converted, dtype=np.uint8)


def _deep_grey(opened: OpenImage, size: tuple[int, int], name: str) -> NDArray[np.generic]:
    """The values of a grey image of more than 8 bits; shape (height, width)."""
    from PIL import Image

    # Pillow holds unsigned 32-bit values as signed ones of the same bits: the conversion wraps them back.
    pixels: NDArray[np.generic] = np.asarray(opened.image).astype(opened.samples)
    transparent = opened.image.info.get("transparency")
    if isinstance(transparent, int):
        white = np.iinfo(np.uint16).max
        pixels = np.where(pixels == transparent, np.uint16(white), pixels)
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise DataError(
            f"The image {name!r} has values that are not finite.",
            code="bad_image",
            hint="Replace NaN and infinity by numbers, or leave the image out.",
        )
    if pixels.shape == size:
        return pixels
    floats = Image.fromarray(pixels.astype(np.float32))
    resized = np.asarray(floats.resize(size[::-1], Image.Resampling.BILINEAR))
    if pixels.dtype.kind == "f":
        return resized
    return _rounded(resized, opened.samples)


def _rounded(values: NDArray[np.generic], samples: SampleType) -> NDArray[np.generic]:
    """Values as whole numbers of a type."""
    bounds = np.iinfo(samples.type)  # type: ignore[type-var]
    whole = np.rint(values.astype(np.float64))
    return np.clip(whole, bounds.min, bounds.max).astype(samples)


def _on_white(image: Image) -> Image:
    """An image with what is transparent in white."""
    from PIL import Image

    if image.mode not in ("RGBA", "LA", "PA") and "transparency" not in image.info:
        return image
    front = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", front.size, "white"), front)
