"""What pixels are divided by: found on training rows, told in the report, and nothing where `scale` is "none"."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from whisktrain.data.preprocessing.preprocessor import load
from whisktrain.data.sources.uploads import put_upload
from whisktrain.errors import DataError
from whisktrain.store import Store

RNG = np.random.default_rng(5)
Y = np.arange(40) % 2
BYTES = RNG.integers(0, 256, (40, 5, 4), dtype=np.uint8)


def npz(store: Store, x: np.ndarray, y: np.ndarray = Y) -> str:
    buffer = io.BytesIO()
    np.savez(buffer, x=x, y=y)
    return put_upload(store, buffer.getvalue(), "i.npz")


def rows_of(made: Any) -> np.ndarray:
    return np.concatenate([made.training[0], made.validation[0]])[..., 0]


def same_rows(one: np.ndarray, other: np.ndarray) -> bool:
    return sorted(row.tobytes() for row in one) == sorted(row.tobytes() for row in other)


@pytest.mark.parametrize(
    "x",
    [
        BYTES,
        BYTES.astype(np.float64),
        RNG.normal(size=(40, 5, 4)) * 1000,
        RNG.random((40, 5, 4)),
        RNG.integers(-5, 3000, (40, 5, 4), dtype=np.int16),
        RNG.integers(0, 3000, (40, 5, 4)).astype(">u2"),
        BYTES > 100,
    ],
    ids=["uint8", "whole floats", "floats", "fractions", "int16", "big-endian", "booleans"],
)
def test_none_leaves_pixels_as_they_are(
    make: Callable[..., Any], store: Store, x: np.ndarray
) -> None:
    made = make(npz(store, x), scale="none")
    assert same_rows(rows_of(made), x.astype(np.float32))
    assert made.column("image")["done"] == "used as they are"
    fitted = load(made.fitted_bytes)
    assert np.array_equal(fitted.transform(x).x[..., 0], x.astype(np.float32))


def test_none_leaves_files_and_bundled_images_as_they_are(
    make: Callable[..., Any], store: Store, tmp_path: Any
) -> None:
    from sklearn.datasets import load_digits

    for label, rows in (("a", BYTES[:20]), ("b", BYTES[20:])):
        (tmp_path / label).mkdir()
        for k, row in enumerate(rows):
            Image.fromarray(row).save(tmp_path / label / f"{k}.png")
    made = make(put_upload(store, tmp_path), scale="none")
    assert same_rows(rows_of(made), BYTES.astype(np.float32))
    buffer = io.BytesIO()
    Image.fromarray(BYTES[0]).save(buffer, "PNG")
    row = {"image": base64.b64encode(buffer.getvalue()).decode()}
    found = load(made.fitted_bytes).transform([row]).x[0, ..., 0]
    assert np.array_equal(found, BYTES[0].astype(np.float32))
    digits = make("digits", scale="none")
    assert same_rows(rows_of(digits), load_digits().images.astype(np.float32))


def test_none_leaves_columns_as_they_are(make: Callable[..., Any]) -> None:
    records = [{"a": float(k * 1000), "b": -0.001 * k, "t": "xy"[k % 2]} for k in range(3, 43)]
    made = make(records, target="t", scale="none")
    expected = np.array([[row["a"], row["b"]] for row in records], dtype=np.float32)
    assert same_rows(np.concatenate([made.training[0], made.validation[0]]), expected)


def test_the_divisor_comes_from_training_rows_alone(make: Callable[..., Any], store: Store) -> None:
    x = RNG.integers(0, 100, (40, 5, 4)).astype(np.float64)
    first = make(npz(store, x))
    held_out = {row.tobytes() for row in first.validation[0]}
    largest = x.max()
    scaled = (x / largest).astype(np.float32)
    validates = np.array([row[..., None].tobytes() in held_out for row in scaled])
    assert validates.sum() == 8
    x[validates] += 5000
    again = make(npz(store, x))
    divisor = x[~validates].max()
    assert load(again.fitted_bytes).features.divisor == divisor
    assert again.column("image")["done"] == (
        f"divided by {divisor:g}, the largest value of the training images"
    )
    assert again.training[0].max() == 1
    assert again.validation[0].max() > 50
    assert same_rows(rows_of(again), (x / divisor).astype(np.float32))


def test_an_image_file_on_another_scale_is_refused(make: Callable[..., Any]) -> None:
    buffer = io.BytesIO()
    Image.fromarray(BYTES[0]).save(buffer, "PNG")
    fitted = load(make("digits").fitted_bytes)
    with pytest.raises(DataError, match="the training images have 64-bit floating-point"):
        fitted.transform([base64.b64encode(buffer.getvalue()).decode()])


def test_values_beyond_a_float32_are_refused(make: Callable[..., Any], store: Store) -> None:
    with pytest.raises(DataError, match="too large for a float32"):
        make(npz(store, RNG.random((40, 5, 4)) * 1e300), scale="none")
