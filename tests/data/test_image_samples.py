"""Image files of more than 8 bits, and turned ones: exact values or a refusal."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from whisktrain.data.images.files import decode_image, open_image
from whisktrain.data.preprocessing.preprocessor import load
from whisktrain.data.sources.uploads import put_upload
from whisktrain.errors import DataError
from whisktrain.store import Store

RNG = np.random.default_rng(11)


def encoded(pixels: np.ndarray, kind: str = "TIFF", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def unsigned_tiff(pixels: np.ndarray) -> bytes:
    """An uncompressed little-endian TIFF of unsigned 32-bit values, which Pillow cannot write."""
    height, width = pixels.shape
    data = pixels.astype("<u4").tobytes()
    entries = (
        (256, 3, width),
        (257, 3, height),
        (258, 3, 32),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (277, 3, 1),
        (278, 3, height),
        (279, 4, len(data)),
        (339, 3, 1),
    )
    directory = struct.pack("<H", len(entries)) + b"".join(
        struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries
    )
    return struct.pack("<2sHI", b"II", 42, 8 + len(data)) + data + directory + bytes(4)


def png_16(pixels: np.ndarray, colour_type: int, *, chunks: bytes = b"") -> bytes:
    """A PNG with 16 bits a channel."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content))
            + kind
            + content
            + struct.pack(">I", zlib.crc32(kind + content))
        )

    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0))
        + chunks
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


WIDE = RNG.integers(0, 65536, (6, 5), dtype=np.uint16)
FLOATS = RNG.normal(size=(6, 5)).astype(np.float32)
SIGNED = RNG.integers(-(2**31), 2**31, (6, 5)).astype(np.int32)
UNSIGNED = RNG.integers(0, 2**32, (6, 5), dtype=np.uint64).astype(np.uint32)


@pytest.mark.parametrize(
    ("content", "pixels"),
    [
        (encoded(FLOATS), FLOATS),
        (encoded(FLOATS, compression="tiff_deflate"), FLOATS),
        (encoded(SIGNED), SIGNED),
        (unsigned_tiff(UNSIGNED), UNSIGNED),
        (encoded(WIDE), WIDE),
        (encoded(WIDE.astype(">u2")), WIDE),
        (encoded(WIDE, compression="tiff_lzw"), WIDE),
        (encoded(WIDE, "PNG"), WIDE),
        (encoded(WIDE, "PPM"), WIDE),
    ],
    ids=[
        "float",
        "float-deflate",
        "int32",
        "uint32",
        "uint16",
        "uint16-big-endian",
        "uint16-lzw",
        "png",
        "pgm",
    ],
)
def test_values_of_grey_files_are_exact(content: bytes, pixels: np.ndarray) -> None:
    samples = open_image(content, "x").samples
    found = decode_image(content, "x", (6, 5, 1), samples)
    assert found.dtype == pixels.dtype
    assert np.array_equal(found[..., 0], pixels)
    smaller = decode_image(content, "x", (3, 4, 1), samples)
    assert smaller.dtype == pixels.dtype
    assert pixels.min() <= smaller.min() < smaller.max() <= pixels.max()


@pytest.mark.parametrize(
    "content",
    [
        png_16(RNG.integers(0, 65536, (4, 4, 3)), 2),
        png_16(RNG.integers(0, 65536, (4, 4, 2)), 4),
        png_16(RNG.integers(0, 65536, (4, 4, 4)), 6),
        b"P6\n1 1\n65535\n" + bytes(6),
        b"P6\n1 1\n1023\n" + bytes(6),
        b"P3\n1 1\n1023\n1 2 3\n",
    ],
    ids=["png-rgb", "png-grey-alpha", "png-rgba", "ppm", "ppm-10-bit", "ppm-text"],
)
def test_deep_colours_are_refused(content: bytes) -> None:
    with pytest.raises(DataError, match="more than 8 bits") as caught:
        open_image(content, "deep.png")
    assert "8 bits" in caught.value.hint


def test_values_that_are_no_numbers_are_refused() -> None:
    content = encoded(np.array([[1.0, np.nan]], dtype=np.float32))
    with pytest.raises(DataError, match="not finite"):
        decode_image(content, "x.tif", (1, 2, 1), np.dtype(np.float32))


def test_transparent_deep_grey_is_white() -> None:
    pixels = np.array([[7, 8]], dtype=np.uint16)
    content = struct.pack(">H", 7)
    chunk = struct.pack(">I", 2) + b"tRNS" + content
    chunk += struct.pack(">I", zlib.crc32(b"tRNS" + content))
    found = decode_image(png_16(pixels, 0, chunks=chunk), "x", (1, 2, 1), np.dtype(np.uint16))
    assert found.ravel().tolist() == [65535, 8]


def write(root: Path, images: dict[str, bytes]) -> Path:
    for name, content in images.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def test_a_folder_of_deep_images(make: Callable[..., Any], store: Store, tmp_path: Path) -> None:
    pictures = {
        f"{label}/{k}.tif": RNG.normal(size=(6, 5)).astype(np.float32) * 9
        for label in "ab"
        for k in range(8)
    }
    root = write(tmp_path / "deep", {name: encoded(p) for name, p in pictures.items()})
    made = make(put_upload(store, root))
    assert made.report["x_shape"] == [6, 5, 1]
    fitted = load(made.fitted_bytes)
    divisor = fitted.features.divisor
    training = made.training[0]
    assert np.abs(training).max() == 1
    assert "the largest value of the training images" in made.column("image")["done"]
    assert repr(divisor) in made.column("image")["done"]
    picture = pictures["a/0.tif"]
    expected = (picture.astype(float) / divisor).astype(np.float32)
    row = {"image": base64.b64encode(encoded(picture)).decode()}
    assert np.array_equal(fitted.transform([row]).x[0, ..., 0], expected)
    assert np.array_equal(fitted.transform(encoded(picture)).x[0, ..., 0], expected)
    with pytest.raises(DataError, match=r"8-bit values.*32-bit floating-point"):
        fitted.transform(encoded(np.zeros((6, 5), np.uint8), "PNG"))


def test_images_of_several_depths_are_refused(
    make: Callable[..., Any], store: Store, tmp_path: Path
) -> None:
    images = {"a/1.png": encoded(np.zeros((4, 4), np.uint8), "PNG"), "b/1.tif": encoded(WIDE)}
    with pytest.raises(DataError, match=r"'a/1\.png' has 8-bit.*'b/1\.tif' has 16-bit"):
        make(put_upload(store, write(tmp_path / "mixed", images)))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("kind", "options"), [("PNG", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"})]
)
def test_sizes_are_counted_after_the_turn(
    make: Callable[..., Any],
    store: Store,
    tmp_path: Path,
    kind: str,
    options: dict[str, Any],
    orientation: int,
) -> None:
    upright = RNG.integers(0, 65536, (6, 4), dtype=np.uint16)
    # EXIF 2.32, 4.6.4: what row 0 and column 0 of the stored image are in the upright one.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright),
        7: np.rot90(upright, 2).T,
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(np.ascontiguousarray(stored), kind, exif=exif, **options)
    root = write(
        tmp_path / "turned", {f"{label}/{k}.{kind}": content for label in "ab" for k in "123"}
    )
    made = make(put_upload(store, root), scale="none")
    assert made.report["x_shape"] == [6, 4, 1]
    assert np.array_equal(made.training[0][0, ..., 0], upright.astype(np.float32))


def test_only_the_first_page_of_a_file_is_used_and_said(
    make: Callable[..., Any], store: Store, tmp_path: Path
) -> None:
    pages = [Image.fromarray(np.full((4, 4), k, np.uint8)) for k in range(3)]
    buffer = io.BytesIO()
    pages[0].save(buffer, "TIFF", save_all=True, append_images=pages[1:])
    images = {f"{label}/{k}.tif": buffer.getvalue() for label in "ab" for k in "12"}
    made = make(put_upload(store, write(tmp_path / "pages", images)))
    assert "4 TIFF file(s) with several pages" in made.said()


def test_pixels_to_decode_are_bounded(
    make: Callable[..., Any], store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer = io.BytesIO()
    Image.new("1", (3000, 3000)).save(buffer, "PNG")
    root = write(tmp_path / "large", {f"{label}/1.png": buffer.getvalue() for label in "ab"})
    ref = put_upload(store, root)
    monkeypatch.setenv("WHISKTRAIN_MAX_DATA_MB", "1")
    with pytest.raises(DataError, match="pixels in all") as caught:
        make(ref)
    assert caught.value.code == "data_too_large"
