"""One small table in every format: the same data set comes out."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from whisktrain.data.preprocessing.preprocessor import load
from whisktrain.data.sources.formats import find_format
from whisktrain.data.sources.source import read_prediction_rows
from whisktrain.data.sources.uploads import put_upload
from whisktrain.errors import DataError, NotFound
from whisktrain.store import Store

RNG = np.random.default_rng(5)
FRAME = pd.DataFrame(
    {
        "a": np.round(RNG.normal(size=40), 3),
        "b": RNG.choice(["x", "y", "z"], 40),
        "c": RNG.integers(0, 50, 40),
        "t": RNG.choice(["u", "v"], 40),
    }
)
RECORDS = json.loads(FRAME.to_json(orient="records"))


def saved(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def array(value: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, value)
    return buffer.getvalue()


def parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    return buffer.getvalue()


FILES = {
    "t.csv": FRAME.to_csv(index=False).encode(),
    "t.tsv": FRAME.to_csv(index=False, sep="\t").encode(),
    "t.json": json.dumps(RECORDS).encode(),
    "columns.json": json.dumps(FRAME.to_dict("list")).encode(),
    "split.json": FRAME.to_json(orient="split", index=False).encode(),
    "inside.json": json.dumps({"name": "x", "rows": RECORDS}).encode(),
    "t.jsonl": "\n".join(json.dumps(r) for r in RECORDS).encode(),
    "bom.json": b"\xef\xbb\xbf" + json.dumps(RECORDS).encode(),
    "t.parquet": parquet(FRAME),
    "t.csv.gz": gzip.compress(FRAME.to_csv(index=False).encode()),
    "structured.npy": array(
        FRAME.astype({"b": "object", "t": "object"})
        .to_records(index=False)
        .astype([("a", "f8"), ("b", "U1"), ("c", "i8"), ("t", "U1")])
    ),
    "no suffix": FRAME.to_csv(index=False).encode(),
}


@pytest.mark.parametrize("name", list(FILES))
def test_every_format_gives_the_same_features(
    make: Callable[..., Any], store: Store, name: str
) -> None:
    expected = make(RECORDS, target="t")
    made = make(put_upload(store, FILES[name], name), target="t")
    assert made.body["features"] == expected.body["features"]
    for one, other in zip(made.shards, expected.shards, strict=True):
        assert one[0].x.tobytes() == other[0].x.tobytes()
        assert one[0].y.tobytes() == other[0].y.tobytes()
        assert one[1].x.tobytes() == other[1].x.tobytes()


@pytest.mark.parametrize("name", ["t.csv", "t.json", "t.jsonl", "t.parquet", "t.csv.gz"])
def test_files_of_rows_to_decide_on(make: Callable[..., Any], store: Store, name: str) -> None:
    made = make(RECORDS, target="t")
    fitted = load(made.fitted_bytes)
    found = fitted.transform(read_prediction_rows(store, put_upload(store, FILES[name], name)))
    assert found.x.tobytes() == fitted.transform(RECORDS).x.tobytes()
    assert found.notices == []


@pytest.mark.parametrize(
    ("data", "name", "asked", "kind"),
    [
        (b"PAR1...", "x.csv", "auto", "parquet"),
        (b"\x93NUMPY", "x", "auto", "npy"),
        (b'[{"a": 1}]', "x", "auto", "json"),
        (b'{"a": 1}\n{"a": 2}', "x", "auto", "jsonl"),
        (b"a,b", "x.txt", "auto", "csv"),
        (b"a,b", "x.tsv", "csv", "csv"),
        (saved(x=[1]), "x", "auto", "npz"),
    ],
)
def test_formats_are_found(data: bytes, name: str, asked: str, kind: str) -> None:
    assert find_format(data, name, asked) == kind


def test_npz_of_rows(make: Callable[..., Any], store: Store) -> None:
    x, y = RNG.normal(size=(50, 3)), RNG.integers(0, 3, 50)
    made = make(put_upload(store, saved(x=x, y=y), "d.npz"))
    assert (made.report["task"], made.report["classes"], made.report["x_shape"]) == (
        "classification",
        [0, 1, 2],
        [3],
    )
    assert made.column("x0")["role"] == "feature"
    fitted = load(made.fitted_bytes)
    alone = fitted.transform(read_prediction_rows(store, put_upload(store, saved(x=x), "n.npz")))
    assert (
        alone.x.tobytes()
        == fitted.transform(x.tolist()).x.tobytes()
        == fitted.transform(x).x.tobytes()
    )


def test_npy_of_rows_takes_the_last_column(make: Callable[..., Any], store: Store) -> None:
    rows = np.column_stack([RNG.normal(size=(50, 2)), RNG.integers(0, 2, 50)])
    made = make(put_upload(store, array(rows), "d.npy"))
    assert (made.report["target"], made.report["classes"]) == ("x2", [0.0, 1.0])


def test_parquet_keeps_types(make: Callable[..., Any], store: Store) -> None:
    frame = pd.DataFrame(
        {
            "when": pd.date_range("2020-01-01", periods=40, freq="31h", tz="Europe/Berlin"),
            "big": pd.array([2**60 + k % 3 for k in range(40)], dtype="Int64"),
            "kind": pd.Categorical(["p", "q"] * 20),
            "flag": pd.array([True, None, False, True] * 10, dtype="boolean"),
            "n": pd.array([1, None, 3, 4] * 10, dtype="Int64"),
            "t": [2**60, 2**60 + 1] * 20,
        }
    )
    made = make(put_upload(store, parquet(frame), "t.parquet"), target="t")
    assert {c["name"]: c["type"] for c in made.report["columns"][:5]} == {
        "when": "date",
        "big": "categorical",
        "kind": "categorical",
        "flag": "boolean",
        "n": "numeric",
    }
    assert made.report["classes"] == [2**60, 2**60 + 1]
    assert f"big={2**60 + 1}" in made.body["features"]
    fitted = load(made.fitted_bytes)
    row = {
        "when": "2020-02-03T10:00:00+01:00",
        "big": 2**60 + 1,
        "kind": "p",
        "flag": None,
        "n": None,
    }
    assert fitted.transform([row]).x.tobytes() == fitted.transform(pd.DataFrame([row])).x.tobytes()


@pytest.mark.parametrize(
    ("data", "name", "code"),
    [
        (b"[1, 2", "x.json", "bad_json"),
        (b"[1, 2]", "x.json", "bad_rows"),
        (b'"text"', "x.json", "bad_json"),
        (b"[]", "x.json", "no_rows"),
        (b"PAR1nonsense", "x.parquet", "bad_parquet"),
        (b"\x93NUMPYnonsense", "x.npy", "bad_array"),
        (b"PK\x03\x04nonsense", "x.npz", "bad_archive"),
        (saved(a=np.zeros(3)), "x.npz", "bad_array"),
        (saved(x=np.zeros((3, 2)), y=np.zeros((4,))), "x.npz", "bad_shape"),
        (saved(x=np.zeros((3, 2)), y=np.zeros((3, 2))), "x.npz", "bad_shape"),
        (array(np.zeros((2, 2, 2, 2, 2))), "x.npy", "bad_shape"),
        (b"\x1f\x8bnonsense", "x.csv.gz", "bad_archive"),
    ],
)
def test_damaged_files_are_clear_errors(
    make: Callable[..., Any], store: Store, data: bytes, name: str, code: str
) -> None:
    with pytest.raises(DataError) as caught:
        make(put_upload(store, data, name))
    assert caught.value.code == code


def test_pickles_are_refused(make: Callable[..., Any], store: Store) -> None:
    objects = np.empty(3, dtype=object)
    objects[:] = [{"a": 1}] * 3
    for data, name in ((array(objects), "o.npy"), (saved(x=objects, y=np.arange(3)), "o.npz")):
        with pytest.raises(DataError) as caught:
            make(put_upload(store, data, name))
        assert caught.value.code == "bad_array"


def test_large_files_and_bombs_are_refused(
    make: Callable[..., Any], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = put_upload(store, gzip.compress(b"a,b\n" + b"1,2\n" * 1_000_000), "bomb.csv.gz")
    wide = put_upload(
        store, saved(x=np.zeros((1000, 400), np.uint8), y=np.arange(1000) % 2), "wide.npz"
    )
    monkeypatch.setenv("WHISKTRAIN_MAX_DATA_MB", "1")
    for ref in (bomb, wide):
        with pytest.raises(DataError) as caught:
            make(ref)
        assert caught.value.code == "data_too_large"
    with pytest.raises(DataError, match="expected at most 1 MB"):
        put_upload(store, b"x" * 2_000_000, "x.csv")


def test_unknown_sources() -> None:
    from whisktrain.data.sources.source import open_source
    from whisktrain.request import DataRequest
    from whisktrain.store import open_store

    store = open_store("sqlite:/nonexistent")
    for source in (
        "mnist",
        "",
        None,
        "/etc/passwd",
        "file:///etc/passwd",
        "ftp://example.org/x.csv",
        "upload:",
        "upload:a:b",
    ):
        with pytest.raises((DataError, NotFound)):
            open_source(DataRequest(source=source), store)
