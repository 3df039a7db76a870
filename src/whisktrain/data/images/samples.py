"""The type of the values that an image file stores for its pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from whisktrain.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["BYTE", "SampleType", "check_sample_type", "sample_name", "sample_type"]

SampleType: TypeAlias = np.dtype[np.generic]

BYTE: SampleType = np.dtype(np.uint8)

_BITS_PER_SAMPLE, _SAMPLE_FORMAT = 258, 339
_UNSIGNED, _SIGNED = 1, 2
"""The TIFF tags, and what the second one may say (TIFF 6.0, section 19)."""

_GREY_ONLY = "Save it with 8 bits a channel, or give the images as arrays in a .npz file."


def sample_type(image: Image, name: str) -> SampleType:
    """The type that holds every value of an opened image exactly.

    Args:
        image: The image, opened but not loaded: loading forgets how the file stores it.
        name: The file's name, for messages.

    Returns:
        uint8, or for grey images of more than 8 bits: uint16, int32, uint32 or float32.

    Raises:
        DataError: Pillow would round the file's values, or take signed ones for unsigned.
    """
    bits, sample_format = _tiff_samples(image)
    if image.mode.startswith("I;16"):
        return np.dtype(np.uint16)
    if image.mode == "F":
        return np.dtype(np.float32)
    if image.mode == "I":
        if image.format == "PPM":
            return np.dtype(np.uint16)
        unsigned = bits == 32 and sample_format == _UNSIGNED
        return np.dtype(np.uint32 if unsigned else np.int32)
    if bits > 8 or _stores_more_than_bytes(image):
        raise DataError(
            f"The image {name!r} has colours of more than 8 bits a channel; expected 8 bits, or grey.",
            code="bad_image",
            hint=_GREY_ONLY,
        )
    if sample_format == _SIGNED:
        raise DataError(
            f"The image {name!r} has signed 8-bit values; expected values from 0 to 255.",
            code="bad_image",
            hint=_GREY_ONLY,
        )
    return BYTE


def _tiff_samples(image: Image) -> tuple[int, int]:
    """Bits of a value, and its format; (0, unsigned) where the file is no TIFF or does not say."""
    tags = getattr(image, "tag_v2", None)
    if tags is None:
        return 0, _UNSIGNED
    bits, formats = tags.get(_BITS_PER_SAMPLE, (0,)), tags.get(_SAMPLE_FORMAT, (_UNSIGNED,))
    return max(bits), max(formats)


def _stores_more_than_bytes(image: Image) -> bool:
    """Whether the file stores 16 bits a channel where Pillow keeps 8."""
    for tile in getattr(image, "tile", ()):
        arguments = tile.args if isinstance(tile.args, tuple) else (tile.args,)
        if tile.codec_name.startswith("ppm"):
            if int(arguments[-1]) > 255:
                return True
        elif any(isinstance(part, str) and ";16" in part for part in arguments):
            return True
    return False


def check_sample_type(found: SampleType, expected: SampleType, name: str) -> None:
    """Refuse a file whose values are on another scale than the model's training images.

    Raises:
        DataError: The types differ. Floats of any size are on one scale.
    """
    if found == expected or (found.kind, expected.kind) == ("f", "f"):
        return
    raise DataError(
        f"The image {name!r} has {sample_name(found)}; the training images have {sample_name(expected)}.",
        code="bad_image",
        hint="Give the pixels as numbers on the training images' scale, or convert the file.",
    )


def sample_name(samples: SampleType) -> str:
    """Values of a type, in words."""
    bits = samples.itemsize * 8
    if samples.kind == "b":
        return "values true and false"
    if samples.kind == "f":
        return f"{bits}-bit floating-point values"
    return f"{bits}-bit {'signed ' if samples.kind == 'i' else ''}values"
