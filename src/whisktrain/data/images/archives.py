"""Archives (tar or zip) of image files, in a folder for each class or without classes."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from whisktrain.data.images.files import IMAGE_SUFFIXES, decode_image, is_image, open_image
from whisktrain.data.images.samples import BYTE, SampleType, sample_name
from whisktrain.data.limits import check_any_rows, check_decoded, check_matrix, check_size
from whisktrain.data.table import Images
from whisktrain.decoding import decoding
from whisktrain.errors import DataError

__all__ = ["read_folder", "read_unlabelled"]

LARGEST = 128
"""The largest height and width at which images keep their own size, where all have the same."""

DEFAULT_SIZE = (64, 64)

_GREY_MODES = ("1", "L", "I", "F")
"""Pillow's grey modes, by what stands before the ";" that says how many bits."""

BYTE_WHITE = 255.0


class _File(NamedTuple):
    name: str
    content: bytes


class _Layout(NamedTuple):
    """The shape that images are brought to, the type of their values, and notices in sentences."""

    shape: tuple[int, int, int]
    samples: SampleType
    notices: tuple[str, ...]


def read_folder(data: bytes, what: str, image_size: tuple[int, int] | None) -> Images:
    """Read an archive with a folder of images for each class.

    Args:
        data: The archive's bytes.
        what: Its name, for messages.
        image_size: Height and width to bring images to; their own where all have the same, else 64 by 64.

    Raises:
        DataError: It is no such archive, or a file in it is no image.
    """
    import pandas as pd

    files = _image_files(data, what)
    labels = [PurePosixPath(file.name).parent.name for file in files]
    if not files or not all(labels):
        raise DataError(
            f"{what} holds no images by class; expected a folder for each class with images in it.",
            code="no_rows",
        )
    layout = _choose_layout(files, image_size)
    check_matrix(len(files), int(np.prod(layout.shape)))
    pixels = _decode_all(files, layout.shape, layout.samples)
    white = BYTE_WHITE if layout.samples == BYTE else None
    return Images(pixels, white, pd.Series(labels, dtype=object), notices=layout.notices)


def read_unlabelled(
    data: bytes, what: str, shape: tuple[int, ...], samples: SampleType = BYTE
) -> NDArray[np.generic]:
    """Read the images of an archive, in order of their names, or a single image file.

    Args:
        data: The file's bytes.
        what: Its name, for messages.
        shape: (height, width, channels) to bring images to.
        samples: The type of the training images' values.

    Returns:
        Pixels of shape (rows, *shape).

    Raises:
        DataError: It is neither, has no images, or a file in it is no image of this kind.
    """
    files = [_File(what, data)] if is_image(data) else _image_files(data, what)
    check_any_rows(len(files))
    check_matrix(len(files), int(np.prod(shape)))
    return _decode_all(files, shape, samples)


def _decode_all(
    files: Sequence[_File], shape: tuple[int, ...], samples: SampleType
) -> NDArray[np.generic]:
    pixels: NDArray[np.generic] | None = None
    for at, file in enumerate(files):
        decoded = decode_image(file.content, file.name, shape, samples)
        if pixels is None:
            pixels = np.empty((len(files), *shape), dtype=decoded.dtype)
        pixels[at] = decoded
    return np.empty((0, *shape), dtype=samples) if pixels is None else pixels


def _choose_layout(files: Sequence[_File], image_size: tuple[int, int] | None) -> _Layout:
    sizes: Counter[tuple[int, int]] = Counter()
    first_of: dict[SampleType, str] = {}
    grey, paged, decoded = True, 0, 0
    for file in files:
        image, samples, first_of_pages = open_image(file.content, file.name)
        sizes[image.height, image.width] += 1
        decoded += image.height * image.width
        check_decoded(decoded, "The images")
        grey = grey and image.mode.partition(";")[0] in _GREY_MODES
        first_of.setdefault(samples, file.name)
        paged += first_of_pages
    samples = _common_samples(first_of)
    channels = 1 if grey else 3
    notices = []
    if paged:
        notices.append(f"Of {paged} TIFF file(s) with several pages only the first page is used.")
    if image_size is not None:
        return _Layout((*image_size, channels), samples, tuple(notices))
    (size, _), *others = sizes.most_common()
    if others or max(size) > LARGEST:
        if max(size) > DEFAULT_SIZE[0]:
            size = DEFAULT_SIZE
        notices.append(
            f"Images were brought to {size[0]} by {size[1]} pixels; data.image_size sets another size."
        )
    return _Layout((*size, channels), samples, tuple(notices))


def _common_samples(first_of: Mapping[SampleType, str]) -> SampleType:
    """The type of all images' values.

    Args:
        first_of: The first file of each type.

    Raises:
        DataError: There are several: their values are on different scales.
    """
    if len(first_of) > 1:
        (one, first), (other, second), *_ = first_of.items()
        raise DataError(
            f"The images differ: {first!r} has {sample_name(one)}, {second!r} has {sample_name(other)}; expected one kind.",
            code="bad_image",
            hint="Convert them to the same number of bits.",
        )
    return next(iter(first_of))


def _image_files(data: bytes, what: str) -> list[_File]:
    """The images in an archive, in order of their names; nothing is unpacked to disk."""
    hint = "Pack the images again as .zip or .tar.gz, or give their folder."
    with decoding(f"{what} cannot be read as a tar or zip archive", "bad_archive", hint):
        is_zip = zipfile.is_zipfile(io.BytesIO(data))
        return sorted(_zip_members(data, what) if is_zip else _tar_members(data, what))


def _zip_members(data: bytes, what: str) -> Iterator[_File]:
    total = 0
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            if info.is_dir() or not _is_image_name(info.filename):
                continue
            total += info.file_size
            check_size(total, what)
            yield _File(info.filename, archive.read(info))


def _tar_members(data: bytes, what: str) -> Iterator[_File]:
    """Images in a tar archive. What is between them is unpacked too, so it counts to the size."""
    total, end = 0, -1
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:*") as archive:
        for member in archive:
            if member.offset <= end or member.size < 0:  # it would be read for ever
                raise tarfile.ReadError("a member lies before the one in front of it")
            end = member.offset
            total += member.size
            check_size(total, what)
            if not member.isfile() or not _is_image_name(member.name):
                continue
            content = archive.extractfile(member)
            yield _File(member.name, content.read() if content else b"")


def _is_image_name(name: str) -> bool:
    """Whether a path names an image that is not hidden."""
    path = PurePosixPath(name)
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
    return path.suffix.lower() in IMAGE_SUFFIXES and not hidden
