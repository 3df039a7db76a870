"""Well-formed inputs that the fuzz driver starts from, made in code: the same ones in every run."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from functools import cache
from typing import Any

import numpy as np

ROWS = [
    {
        "age": 20 + k % 41,
        "fee": round(1234.5 + k * 1.25, 2) if k % 7 else None,
        "plan": ("gold", "silver", "Zürich", "日本")[k * k % 4],
        "paid": bool(k % 3),
        "since": f"2021-0{1 + k % 9}-1{k % 10}",
        "note": f'row {k}, "quoted"; it\'s | fine',
        "left": ("yes", "no")[k // 2 % 2],
    }
    for k in range(24)
]
TARGET = "left"


def lines(separator: str, quote: bool = True) -> str:
    def cell(value: Any) -> str:
        text = "" if value is None else str(value)
        return '"' + text.replace('"', '""') + '"' if quote else text.replace(separator, " ")

    names = list(ROWS[0])
    rows = [names, *([row[name] for name in names] for row in ROWS)]
    return "\n".join(separator.join(cell(value) for value in row) for row in rows) + "\n"


@cache
def csv() -> list[bytes]:
    text = lines(",")
    european = "a;b;t\n" + "".join(f"1.{k:03},5;{k},25 €;{'xy'[k % 2]}\n" for k in range(20))
    numbers = "\n".join(",".join(str((k * 7 + j) % 13) for j in range(4)) for k in range(20))
    dates = "day\tv\tt\n" + "".join(f"{1 + k}/03/2020 12:00\t{k}%\t{k % 3}\n" for k in range(20))
    return [
        text.encode(),
        lines(";", quote=False).encode("latin-1", "replace"),
        text.encode("utf-16"),
        b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode(),
        b"sep=|\r\n" + lines("|").encode(),
        european.encode("cp1252"),
        numbers.encode(),
        dates.encode(),
        gzip.compress(text.encode(), mtime=0),
        b'"a"\n1\n2\n3\n1\n2\n3\n',
        b"a,a,a,a.2,,\n1,2,3,4,,\n5,6,7,9,,\n1,2,3,5,,\n4,5,6,7,,\n",
    ]


@cache
def json_() -> list[bytes]:
    columns = {name: [row[name] for row in ROWS] for name in ROWS[0]}
    split = {"columns": list(ROWS[0]), "data": [list(row.values()) for row in ROWS]}
    nested = [{"a": k, "b": {"c": [k, {"d": None}]}, "t": k % 2} for k in range(12)]
    return [
        json.dumps(ROWS).encode(),
        json.dumps(ROWS, ensure_ascii=False, indent=1).encode("utf-8-sig"),
        json.dumps(columns).encode(),
        json.dumps(split).encode(),
        json.dumps({"rows": ROWS, "n": 3}).encode(),
        json.dumps(nested).encode(),
        json.dumps([[k, k * 0.5, "xy"[k % 2]] for k in range(12)]).encode(),
        b'[{"a": 1e400, "b": -0.0, "t": "\\ud83d\\ude00"}, {"a": NaN, "b": 12345678901234567890, "t": "u"}]',
    ]


@cache
def jsonl() -> list[bytes]:
    return [
        "\n".join(json.dumps(row) for row in ROWS).encode(),
        "\r\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS).encode(),
        "\n".join(json.dumps([k, "xy"[k % 2]]) for k in range(12)).encode(),
    ]


def packed_array(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _arrays() -> list[tuple[Any, Any]]:
    draw = np.random.default_rng(0)
    y = np.arange(20) % 3
    records = np.zeros(
        20, dtype=[("a", "<f4"), ("b", ">i2"), ("c", "S3"), ("t", "<U2"), ("d", "M8[D]")]
    )
    records["a"], records["b"], records["t"] = (
        draw.normal(size=20),
        np.arange(20) ** 2,
        y.astype("U2"),
    )
    records["c"], records["d"] = b"ab", np.arange(20).astype("M8[D]")
    return [
        (draw.normal(size=(20, 3)), y),
        (draw.integers(0, 99, (20, 4)).astype(">i4"), y.astype(">i8")),
        (draw.normal(size=(20, 2)).astype(np.float16), draw.normal(size=20)),
        (draw.integers(0, 256, (20, 5, 4), dtype=np.uint8), y),
        (draw.normal(size=(20, 4, 4, 3)).astype(">f4"), y.astype(bool)),
        (np.array([["é", "b1"], ["c", "22"]] * 10), np.array(["u", "v"] * 10)),
        (np.array([[b"x", b"yy"]] * 20), y.astype("S1")),
        (draw.normal(size=(20, 2)), y.astype(np.complex64)),
        (records, y),
    ]


@cache
def npy() -> list[bytes]:
    return [packed_array(x) for x, _ in _arrays()] + [
        packed_array(np.float64(3)),
        packed_array(np.zeros((0, 3))),
    ]


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return buffer.getvalue()


@cache
def npz() -> list[bytes]:
    stored = [
        zipped({"x.npy": packed_array(x), "y.npy": packed_array(y)}, zipfile.ZIP_STORED)
        for x, y in _arrays()
    ]
    x, y = _arrays()[0]
    return [
        *stored,
        zipped(
            {"data.npy": packed_array(x), "target.npy": packed_array(y), "readme.txt": b"words"}
        ),
        zipped({"x.npy": packed_array(x), "y.npy": b"no array"}),
        zipped({"x.npy": packed_array(x)}),
    ]


@cache
def images() -> list[bytes]:
    """Image files of every format and depth that is read."""
    from PIL import Image

    draw = np.random.default_rng(1)
    colour = draw.integers(0, 256, (7, 6, 3), dtype=np.uint8)
    grey = colour[..., 0]
    deep = draw.integers(0, 65536, (7, 6), dtype=np.uint16)
    exif = Image.Exif()
    exif[0x0112] = 6

    def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        return buffer.getvalue()

    made = [
        saved(Image.fromarray(colour), kind)
        for kind in ("PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
    ]
    made += [saved(Image.fromarray(colour), "JPEG", exif=exif)]
    made += [saved(Image.fromarray(grey), kind) for kind in ("PNG", "JPEG", "PPM")]
    made += [
        saved(Image.fromarray(a), "TIFF") for a in (deep, deep.astype(">u2"), deep.astype(np.int32))
    ]
    made += [
        saved(Image.fromarray(deep.astype(np.float32)), "TIFF", compression="tiff_lzw"),
        saved(Image.fromarray(deep), "PNG", exif=exif),
        saved(Image.fromarray(colour).convert("P"), "PNG", transparency=3),
        saved(Image.fromarray(colour).convert("RGBA"), "PNG"),
        saved(Image.fromarray(grey).convert("LA"), "PNG"),
        saved(Image.fromarray(grey).convert("1"), "TIFF", compression="group4"),
        saved(Image.fromarray(colour).convert("CMYK"), "JPEG"),
        saved(Image.fromarray(colour).convert("LAB"), "TIFF"),
        saved(Image.fromarray(colour), "TIFF", compression="jpeg"),
        saved(
            Image.fromarray(grey), "TIFF", save_all=True, append_images=[Image.fromarray(grey.T)]
        ),
        b"P3\n2 2\n15\n" + b"1 2 3 " * 4,
    ]
    return made


def tarred(files: dict[str, bytes], format_: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format_) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@cache
def archives() -> list[bytes]:
    """Archives of images by class."""
    pictures = images()
    chosen = [pictures[0], pictures[6], pictures[2], pictures[7]]
    members = {f"top/{'ab'[k % 2]}/{k}.png": chosen[k % 4] for k in range(8)}
    deep = {f"{'ab'[k % 2]}/{k}.tif": pictures[10] for k in range(6)}

    plain = tarred(members)
    long_names = {f"{'é' * 70}/{name}": content for name, content in members.items()}
    return [
        zipped(members),
        zipped(deep, zipfile.ZIP_STORED),
        plain,
        tarred(deep, tarfile.GNU_FORMAT),
        tarred(long_names),
        tarred(long_names, tarfile.GNU_FORMAT),
        gzip.compress(plain, mtime=0),
        bz2.compress(plain),
        lzma.compress(plain),
        zipped({f"{'ab'[k]}/{k}.png": b"no image" for k in range(2)}, zipfile.ZIP_BZIP2),
    ]


@cache
def parquet() -> list[bytes]:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    draw = np.random.default_rng(2)
    frame = pd.DataFrame(ROWS)
    frame["kind"] = frame["plan"].astype("category")
    frame["at"] = pd.date_range("2020-01-01", periods=len(frame), freq="7h", tz="Europe/Berlin")
    odd = pa.table(
        {
            "d": pa.array([None, "12.5"] * 10).cast(pa.decimal128(9, 2)),
            "l": pa.array([[1, 2], None] * 10),
            "s": pa.array([{"a": 1}, {"a": None}] * 10),
            "b": pa.array([b"\xff", b"\x00"] * 10),
            "i": pa.array([2**62 + 1, None] * 10),
            "u": pa.array(draw.integers(0, 2**60, 20).astype(np.uint64)),
            "t": pa.array([True, None] * 10),
            "time": pa.array([3, None] * 10, pa.time32("s")),
            "span": pa.array([3, 4] * 10, pa.duration("ns")),
            "y": pa.array(["p", "q"] * 10).dictionary_encode(),
        }
    )

    def saved(table: pa.Table, **options: Any) -> bytes:
        buffer = io.BytesIO()
        pq.write_table(table, buffer, **options)
        return buffer.getvalue()

    whole = pa.Table.from_pandas(frame)
    return [
        saved(whole),
        saved(odd, compression="none"),
        saved(whole, compression="gzip", use_dictionary=False, row_group_size=5),
    ]


@cache
def safetensors() -> list[bytes]:
    from whisktrain import tensors

    draw = np.random.default_rng(3)
    made = {
        "a/kernel": draw.normal(size=(3, 2)).astype(np.float32),
        "b": np.arange(4),
        "c": np.float64(2),
    }
    return [
        tensors.encode(made),
        tensors.encode({}),
        tensors.encode({"x": np.zeros((0, 3), np.bool_)}),
    ]


@cache
def preprocessors() -> list[bytes]:
    """Fitted preprocessing of a table and of images, as the store holds it."""
    return [fitted(data).to_bytes() for data in (csv()[0], npz()[3])]


@cache
def fitted(data: bytes) -> Any:
    """The fitted preprocessing of a file."""
    from whisktrain.data.preprocessing.prepare import prepare
    from whisktrain.data.sources.formats import read_file
    from whisktrain.request import DataRequest

    request = DataRequest(target=TARGET if data == csv()[0] else None)
    return prepare(read_file(data, "file", request), request, 0).preprocessor


def requests() -> list[Any]:
    """Whole requests that are allowed."""
    layer = {
        "module": "keras.layers",
        "class_name": "Dense",
        "config": {"name": "d", "units": 2, "activation": "softmax"},
    }
    start = {
        "module": "keras.layers",
        "class_name": "InputLayer",
        "config": {"batch_shape": [None, 3]},
    }
    config = {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "m", "layers": [start, layer]},
    }
    return [
        {
            "data": "digits",
            "model": "cnn",
            "train": {"workers": 4, "epochs": 3},
            "predict": [[0] * 64],
        },
        {
            "data": {
                "records": ROWS[:4],
                "target": "left",
                "types": {"age": "numeric"},
                "drop": ["note"],
                "keep": ["since"],
                "shards": {"by": "plan"},
                "validation": 0.25,
            },
            "model": {"config": config, "loss": {"class_name": "Huber", "config": {"delta": 2.0}}},
            "train": {
                "optimizer": {"name": "sgd", "momentum": 0.9, "schedule": {"name": "CosineDecay"}},
                "batch": "full",
                "sync": "local",
                "outer": {"name": "nesterov", "momentum": 0.5},
                "seed": 7,
                "name": "model.v1",
                "lease": 0,
                "wait": False,
            },
            "predict": {"rows": ROWS[4:6], "top_k": 2, "missing": "fill", "output": "inline"},
        },
        {
            "data": {
                "source": "https://example.org/a.csv",
                "image_size": [8, 9],
                "decimal": ",",
                "delimiter": ";",
            }
        },
        {},
    ]


def rows() -> list[Any]:
    """Rows to decide on, by column and as arrays, and images."""
    first = {name: value for name, value in ROWS[0].items() if name != TARGET}
    picture = base64.b64encode(images()[7]).decode()
    return [
        [first, {**first, "age": "31", "plan": None}],
        [list(first.values())],
        first,
        [{"image": picture}, {"image": np.zeros((5, 4)).tolist()}],
        [f"data:image/png;base64,{picture}"],
        np.zeros((2, 5, 4, 1)).tolist(),
    ]
