"""Pictures: folders by class, arrays, and single ones to decide on."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from whisktrain.data.preprocessing.preprocessor import load
from whisktrain.data.sources.source import read_prediction_rows
from whisktrain.data.sources.uploads import get_upload, put_upload
from whisktrain.errors import DataError
from whisktrain.store import Store

RNG = np.random.default_rng(3)


def png(pixels: np.ndarray, mode: str | None = None) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(buffer, "PNG")
    return buffer.getvalue()


def folder(root: Path, *, size: tuple[int, ...] = (12, 10), rows: int = 8) -> dict[str, np.ndarray]:
    pictures = {}
    for label in ("cat", "_id", "error"):
        (root / label).mkdir(parents=True)
        for k in range(rows):
            pixels = RNG.integers(0, 256, size, dtype=np.uint8)
            (root / label / f"{k}.png").write_bytes(png(pixels))
            pictures[f"{label}/{k}.png"] = pixels
    (root / "cat" / ".hidden.png").write_bytes(b"junk")
    (root / "cat" / "notes.txt").write_text("no image")
    return pictures


def test_a_folder_of_images_by_class(
    make: Callable[..., Any], store: Store, tmp_path: Path
) -> None:
    pictures = folder(tmp_path / "pets")
    ref = put_upload(store, tmp_path / "pets")
    assert ref == put_upload(store, tmp_path / "pets")
    made = make(ref)
    assert (made.report["image"], made.report["x_shape"], made.report["classes"]) == (
        True,
        [12, 10, 1],
        ["_id", "cat", "error"],
    )
    x, _ = made.training
    known = {(p.astype(float) / 255).astype(np.float32).tobytes() for p in pictures.values()}
    assert {row.tobytes() for row in x} <= known
    fitted = load(made.fitted_bytes)
    pixels = pictures["cat/0.png"]
    encoded = base64.b64encode(png(pixels)).decode()
    expected = (pixels.astype(float) / 255).astype(np.float32).tobytes()
    for row in (
        pixels,
        pixels.tolist(),
        pixels[..., None].tolist(),
        pixels.ravel().tolist(),
        {"image": pixels.tolist()},
        encoded,
        {"image": f"data:image/png;base64,{encoded}"},
    ):
        assert fitted.transform([row]).x.tobytes() == expected
    alone = read_prediction_rows(store, put_upload(store, png(pixels), "one.png"))
    assert fitted.transform(alone).x.tobytes() == expected
    whole = read_prediction_rows(store, ref)
    assert fitted.transform(whole).x.shape == (24, 12, 10, 1)


def test_colours_sizes_and_transparency(
    make: Callable[..., Any], store: Store, tmp_path: Path
) -> None:
    for label, shape in (("a", (90, 80, 3)), ("b", (100, 40, 4)), ("c", (70, 70))):
        (tmp_path / "p" / label).mkdir(parents=True)
        for k in range(3):
            (tmp_path / "p" / label / f"{k}.png").write_bytes(
                png(RNG.integers(0, 256, shape, dtype=np.uint8))
            )
    ref = put_upload(store, tmp_path / "p")
    made = make(ref, workers=1)
    assert made.report["x_shape"] == [64, 64, 3]
    assert "64 by 64" in made.said()
    assert make(ref, image_size=[20, 30], workers=1).report["x_shape"] == [20, 30, 3]
    clear = np.zeros((5, 5, 4), np.uint8)
    row = {"image": base64.b64encode(png(clear)).decode()}
    assert (load(made.fitted_bytes).transform([row]).x == 1.0).all()


def test_a_zip_of_images(make: Callable[..., Any], store: Store, tmp_path: Path) -> None:
    pictures = folder(tmp_path / "z")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted((tmp_path / "z").rglob("*.png")):
            archive.write(path, f"top/{path.relative_to(tmp_path / 'z')}")
    made = make(put_upload(store, buffer.getvalue(), "pets.zip"))
    assert made.report["rows"]["used"] == len(pictures)


def test_arrays_of_images(make: Callable[..., Any], store: Store) -> None:
    def npz(x: Any, y: Any) -> str:
        buffer = io.BytesIO()
        np.savez(buffer, x=x, y=y)
        return put_upload(store, buffer.getvalue(), "i.npz")

    y = np.arange(30) % 3
    for x, divisor in (
        (RNG.integers(0, 256, (30, 6, 5), dtype=np.uint8), 255.0),
        (RNG.random((30, 6, 5)), 1.0),
        (RNG.integers(0, 17, (30, 6, 5, 2)).astype(float), 16.0),
    ):
        made = make(npz(x, y))
        whole = x if x.ndim == 4 else x[..., None]
        assert made.report["x_shape"] == list(whole.shape[1:])
        assert (
            load(made.fitted_bytes).transform(x).x.tobytes()
            == (whole.astype(float) / divisor).astype(np.float32).tobytes()
        )
    values = make(npz(RNG.random((30, 6, 5)), RNG.normal(size=30)))
    assert values.report["task"] == "regression"


def test_digits(make: Callable[..., Any]) -> None:
    from sklearn.datasets import load_digits

    made = make("digits", workers=4)
    assert (made.report["x_shape"], made.report["image"], made.report["classes"]) == (
        [8, 8, 1],
        True,
        list(range(10)),
    )
    x, y = made.training
    assert x.min() == 0
    assert x.max() == 1
    bunch = load_digits()
    fitted = load(made.fitted_bytes)
    expected = (bunch.images[5] / 16).astype(np.float32).tobytes()
    named = dict(zip(bunch.feature_names, bunch.data[5].tolist(), strict=True))
    for row in (bunch.images[5], bunch.data[5], bunch.data[5].tolist(), named):
        assert fitted.transform([row]).x.tobytes() == expected
    assert len(y) == 1797 - sum(made.report["validation"])


def test_what_is_no_picture_is_a_clear_error(
    make: Callable[..., Any], store: Store, tmp_path: Path
) -> None:
    (tmp_path / "e" / "a").mkdir(parents=True)
    with pytest.raises(DataError, match="no images by class"):
        put_upload(store, tmp_path / "e")
    (tmp_path / "e" / "a" / "1.png").write_bytes(b"no image")
    (tmp_path / "e" / "b").mkdir()
    (tmp_path / "e" / "b" / "1.png").write_bytes(png(np.zeros((4, 4), np.uint8)))
    with pytest.raises(DataError, match=r"a/1\.png"):
        make(put_upload(store, tmp_path / "e"))
    fitted = load(make("digits").fitted_bytes)
    for row in (
        [1, 2, 3],
        "no base64!",
        base64.b64encode(b"no image").decode(),
        {"picture": 1},
        [["a"] * 8] * 8,
        [float("nan")] * 64,
    ):
        with pytest.raises(DataError, match=r"Row 1|row 1"):
            fitted.transform([row])
    with pytest.raises(DataError, match="Images have no columns"):
        make("digits", drop=["pixel_0_0"])


def test_huge_images_are_refused(make: Callable[..., Any], store: Store, tmp_path: Path) -> None:
    for label in "ab":
        (tmp_path / "h" / label).mkdir(parents=True)
        Image.new("1", (9000, 9000)).save(tmp_path / "h" / label / "1.png")
    with pytest.raises(DataError, match="9000 by 9000"):
        make(put_upload(store, tmp_path / "h"))


def test_a_folder_upload_is_small_json_and_a_plain_archive(store: Store, tmp_path: Path) -> None:
    folder(tmp_path / "pets", rows=2)
    upload = get_upload(store, put_upload(store, tmp_path / "pets"))
    assert (upload.name, upload.meta["format"]) == ("pets", "images")
    assert json.dumps(upload.meta)
