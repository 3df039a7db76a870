"""Pictures: archives of image files in folders by class, arrays of pixels, and single pictures to decide on."""

from __future__ import annotations

import base64
import binascii
import io
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whisktrain.data.limits import check_matrix, check_size
from whisktrain.data.table import Images
from whisktrain.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["IMAGE_SUFFIXES", "images_of_arrays", "is_image", "pixels_of", "read_folder", "read_unlabelled"]

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")

LARGEST = 128
"""Height and width up to which images keep their own size, where all have the same."""

DEFAULT_SIZE = (64, 64)
MAX_PIXELS = 50_000_000


def images_of_arrays(x: NDArray[Any], labels: Any, what: str, image_size: tuple[int, int] | None) -> Images:
    """Images given as an array of shape (rows, height, width) or (rows, height, width, channels).

    Raises:
        DataError: The array has another shape, another size than asked for, or values that are no numbers.
    """
    import pandas as pd

    pixels = x[..., np.newaxis] if x.ndim == 3 else x
    if pixels.dtype.kind not in "buif" or 0 in pixels.shape:
        raise DataError(
            f"The images in {what} have the type {x.dtype} and the shape {x.shape}; expected numbers.", code="bad_rows"
        )
    if image_size is not None and tuple(pixels.shape[1:3]) != tuple(image_size):
        raise DataError(
            f"The images in {what} are {pixels.shape[1]} by {pixels.shape[2]}; data.image_size asks for {image_size}.",
            code="bad_image_size",
            hint="Leave data.image_size out for arrays.",
        )
    check_matrix(len(pixels), int(np.prod(pixels.shape[1:])))
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise DataError(f"The images in {what} have values that are not finite.", code="bad_rows")
    return Images(pixels, _divisor(pixels), pd.Series(labels))


def _divisor(pixels: NDArray[Any]) -> float:
    """255 for bytes; 1 for fractions in -1..1; else the largest size there is."""
    if pixels.dtype == np.uint8:
        return 255.0
    largest = float(np.abs(pixels.astype(np.float64)).max())
    return largest if largest > 1.0 else 1.0


def read_folder(data: bytes, what: str, image_size: tuple[int, int] | None) -> Images:
    """Read an archive (tar or zip) with a folder of images for each class.

    Args:
        data: The archive's bytes.
        what: Its name, for messages.
        image_size: Height and width to bring images to; their own where all have the same, else 64 by 64.

    Raises:
        DataError: It is no such archive, or a file in it is no image.
    """
    import pandas as pd

    files = sorted(_members(data, what))
    labels = [PurePosixPath(name).parent.name for name, _ in files]
    if not files or not all(labels):
        raise DataError(f"{what} holds no images by class; expected a folder for each class with images in it.", code="no_rows")
    pixels, notices = _stack([(name, content) for name, content in files], image_size)
    return Images(pixels, 255.0, pd.Series(labels, dtype=object), notices=tuple(notices))


def read_unlabelled(data: bytes, what: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Read the images of an archive, or a single image file, to decide on; in order of their names.

    Returns:
        Pixels of shape (rows, *shape).
    """
    files = [(what, data)] if is_image(data) else sorted(_members(data, what))
    return np.stack([_pixels(content, name, shape) for name, content in files])


def pixels_of(row: Any, shape: tuple[int, ...], names: tuple[str, ...], at: int) -> NDArray[np.float64]:
    """The pixels of one row: nested lists, a flat list, an image file in base64, or an object of one of these.

    Args:
        row: What the caller sent; of an object the field "image" (or "x"), or the pixels by their names.
        shape: (height, width, channels).
        names: The pixels' names where they have any.
        at: The row's number from 0, for messages.

    Returns:
        Pixels of the given shape.

    Raises:
        DataError: It is nothing of these, or has another size.
    """
    if isinstance(row, dict):
        if names and all(name in row for name in names):
            row = [row[name] for name in names]
        elif len(found := [row[key] for key in ("image", "x") if key in row]) == 1:
            row = found[0]
        else:
            raise DataError(f"Row {at + 1} has no image; expected an object with the field 'image'.", code="missing_columns")
    if isinstance(row, str):
        try:
            content = base64.b64decode(row.partition(",")[2] if row.startswith("data:") else row, validate=True)
        except (binascii.Error, ValueError):
            raise DataError(
                f"Row {at + 1} is text that is no base64; expected an image file in base64.", code="bad_cell"
            ) from None
        check_size(len(content), f"Row {at + 1}")
        return _pixels(content, f"row {at + 1}", shape).astype(np.float64)
    try:
        pixels = np.asarray(row, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"Row {at + 1} is no array of numbers; expected pixels of shape {shape}.", code="bad_cell") from None
    if pixels.shape not in (shape, shape[:2] if shape[2] == 1 else shape, (int(np.prod(shape)),)):
        raise DataError(
            f"Row {at + 1} has the shape {pixels.shape}; expected {shape}, or {int(np.prod(shape))} numbers.", code="bad_shape"
        )
    if not np.isfinite(pixels).all():
        raise DataError(f"Row {at + 1} has pixels that are not finite.", code="bad_cell")
    return pixels.reshape(shape)


def _members(data: bytes, what: str) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the images in an archive; nothing is unpacked to disk."""
    total = 0
    try:
        if zipfile.is_zipfile(io.BytesIO(data)):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                for info in archive.infolist():
                    if _wanted(info.filename) and not info.is_dir():
                        total += info.file_size
                        check_size(total, what)
                        yield info.filename, archive.read(info)
            return
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:*") as tar:
            for member in tar:
                if member.isfile() and _wanted(member.name):
                    total += member.size
                    check_size(total, what)
                    content = tar.extractfile(member)
                    yield member.name, content.read() if content else b""
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, RuntimeError) as error:
        raise DataError(f"{what} cannot be read as a tar or zip archive ({error}).", code="bad_archive") from None


def _wanted(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in IMAGE_SUFFIXES and not any(part.startswith((".", "__MACOSX")) for part in path.parts)


def is_image(data: bytes) -> bool:
    """Whether the bytes are an image file."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)):
            return True
    except (UnidentifiedImageError, OSError):
        return False


def _open(content: bytes, name: str) -> Image:
    from PIL import Image, UnidentifiedImageError

    try:
        image = Image.open(io.BytesIO(content))
        if image.width * image.height > MAX_PIXELS:
            raise DataError(f"The image {name!r} has {image.width} by {image.height} pixels; expected at most {MAX_PIXELS}.")
        image.load()
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise DataError(f"The file {name!r} cannot be read as an image ({error}).", code="bad_image") from None
    return image


def _stack(files: list[tuple[str, bytes]], image_size: tuple[int, int] | None) -> tuple[NDArray[np.uint8], list[str]]:
    notices = []
    sizes: Counter[tuple[int, int]] = Counter()
    gray = True
    for name, content in files:
        image = _open(content, name)
        sizes[(image.height, image.width)] += 1
        gray = gray and image.mode in ("1", "L", "I;16", "I", "F")
    size = image_size
    if size is None:
        (size, _), *others = sizes.most_common()
        if others or max(size) > LARGEST:
            size = DEFAULT_SIZE if max(size) > DEFAULT_SIZE[0] else size
            notices.append(f"Images were brought to {size[0]} by {size[1]} pixels; data.image_size sets another size.")
    shape = (size[0], size[1], 1 if gray else 3)
    check_matrix(len(files), int(np.prod(shape)))
    return np.stack([_pixels(content, name, shape) for name, content in files]), notices


def _pixels(content: bytes, name: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """One image file as bytes of the given shape; what is transparent becomes white."""
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(_open(content, name))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        front = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", front.size, "white"), front)
    if image.mode == "I;16":
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    image = image.convert("L" if shape[2] == 1 else "RGB")
    if (image.height, image.width) != tuple(shape[:2]):
        image = image.resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
    return np.asarray(image, dtype=np.uint8).reshape(shape)
