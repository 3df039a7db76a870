"""Files that are well-formed on the outside and odd inside: tables, arrays and archives of random content."""

from __future__ import annotations

import io
import json
import random
from typing import Any

import corpus
import numpy as np
from mutations import TEXTS, TOKENS, mutate, mutate_value

CELLS = (
    "1", "2", "-3.5", "1,5", "1.234,56", "1'000", "12 %", "€ 5", "(7)", "1e5", "1e400", "007", "12345678901234567890",
    "yes", "no", "true", "FALSE", "2020-01-31", "31.01.2020", "01/31/2020 5:06 pm", "2020-02-30", "1999-12-31T23:59:59Z",
    "0001-01-01", "9999-12-31", "99999-01-01", "Jan 5, 2020", "12:30", "a", "b", "c d", "Straße", "", " ", "?", "-",
    "inf", "-Infinity", "nan", "NA", "None", "[1]", "{}", "٣", "½", "²", "1_0", "0x1F", "\u202e", "\ufeff", "🙂",
)  # fmt: skip
"""Cells of every kind that columns are inferred from."""

DTYPES = ("f2", "f4", ">f8", "g", "i1", ">i4", "i8", "u1", ">u2", "u8", "?", "c8", "S1", "S5", "U1", ">U3", "M8[D]", "M8[ns]",
          "m8[s]", "V4", "U0", "S0")  # fmt: skip


def cells(count: int, draw: random.Random) -> list[str]:
    """A column's cells: of one kind mostly, with some of others."""
    pool = draw.sample(CELLS, draw.choice((1, 2, 4, 12)))
    if draw.random() < 0.3:
        step = draw.choice((1, 1, 0.5, 1e10, 1e-10, 1e200))
        pool = [repr(number * step) for number in range(draw.choice((2, 5, 100)))]
    dirt = draw.choice((0, 0, 0, 0.05, 0.5))
    return [
        draw.choice((*CELLS, *TEXTS)) if draw.random() < dirt else draw.choice(pool)
        for _ in range(count)
    ]


def _columns(draw: random.Random) -> dict[str, list[str]]:
    rows = draw.choice((1, 2, 5, 20, 40))
    names = [
        draw.choice(("a", "id", "date", "y", "target", *CELLS))
        for _ in range(draw.choice((1, 2, 4, 8)))
    ]
    columns = {name: cells(rows, draw) for name in names}
    columns["t"] = (
        [draw.choice("xy") for _ in range(rows)] if draw.random() < 0.7 else cells(rows, draw)
    )
    return columns


def csv(draw: random.Random) -> bytes:
    """A table with a random dialect, now and then with ragged rows."""
    columns = _columns(draw)
    separator = draw.choice((",", ";", "\t", "|", " "))
    quoted = draw.random() < 0.6
    rows = [*zip(*columns.values(), strict=True)]
    if draw.random() < 0.8:
        rows.insert(0, tuple(columns))
    made = []
    for row in rows:
        texts = [f'"{cell.replace(chr(34), chr(34) * 2)}"' if quoted else cell for cell in row]
        if draw.random() < 0.02:
            texts = texts[: draw.randrange(len(texts) + 1)] + [""] * draw.choice((0, 1, 300))
        made.append(separator.join(texts))
    if draw.random() < 0.1:
        made.insert(
            draw.randrange(len(made) + 1),
            draw.choice(("", "sep=;", "# comment", separator * 5, '"')),
        )
    encoding = draw.choice(("utf-8", "utf-8", "utf-8-sig", "utf-16", "cp1252"))
    return draw.choice(("\n", "\n", "\r\n", "\r")).join(made).encode(encoding, "replace")


def json_(draw: random.Random) -> bytes:
    """Rows as objects, with values of any kind in some."""
    if draw.random() < 0.5:
        rows: Any = corpus.ROWS
        for _ in range(draw.choice((1, 3, 10))):
            rows = mutate_value(rows, draw)
    else:
        columns = _columns(draw)
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        rows = [{name: _typed(cell, draw) for name, cell in row.items()} for row in rows]
    try:
        return json.dumps(rows).encode()
    except RecursionError:
        return b'[{"a": ' + b"[" * 3000 + b"]" * 3000 + b"}]"


def jsonl(draw: random.Random) -> bytes:
    """The same, a row on each line."""
    text = json_(draw)
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return b"\n".join(
        json.dumps(row).encode() for row in (rows if isinstance(rows, list) else [rows])
    )


def _typed(cell: str, draw: random.Random) -> Any:
    """A cell as a JSON value where it reads like one."""
    if draw.random() < 0.1:
        return draw.choice((None, True, 3, 0.5, [1], {"a": 1}, 2**70))
    try:
        return json.loads(cell)
    except ValueError:
        return cell


def array(draw: random.Random, rows: int | None = None, dimensions: int | None = None) -> Any:
    """An array of any type and shape, with any bits in it."""
    if dimensions is None:
        dimensions = draw.choice((0, 1, 1, 2, 2, 2, 2, 3, 4, 5))
    shape = [draw.choice((0, 1, 2, 3, 5)) for _ in range(dimensions)]
    if rows is not None and shape:
        shape[0] = rows
    if draw.random() < 0.15:
        kinds = draw.choices(DTYPES, k=draw.choice((1, 2, 3)))
        dtype = np.dtype([(f"{'abc'[at]}", kind) for at, kind in enumerate(kinds)])
    else:
        dtype = np.dtype(draw.choice(DTYPES))
    count = int(np.prod(shape))
    if dtype.itemsize == 0:
        return np.zeros(shape, dtype)
    if draw.random() < 0.5 and dtype.kind in "fiu":
        return np.arange(count).reshape(shape).astype(dtype)
    return np.frombuffer(draw.randbytes(count * dtype.itemsize), dtype).reshape(shape)


def npy(draw: random.Random) -> bytes:
    """One array."""
    return corpus.packed_array(array(draw))


def npz(draw: random.Random) -> bytes:
    """Features and targets, that may or may not belong together."""
    rows = draw.choice((1, 2, 12, 20))
    x = array(draw, rows, draw.choice((1, 2, 2, 2, 3, 4, 5)))
    y = (
        np.arange(rows) % draw.choice((1, 2, 3, 100))
        if draw.random() < 0.6
        else array(draw, rows, draw.choice((1, 1, 2)))
    )
    names = draw.choice(
        (("x", "y"), ("X_train", "Y_TRAIN"), ("data", "target"), ("x", "z"), ("a/x", "y"))
    )
    return corpus.zipped(
        {f"{name}.npy": corpus.packed_array(a) for name, a in zip(names, (x, y), strict=True)}
    )


def archives(draw: random.Random) -> bytes:
    """A sound archive of images, of which some are damaged."""
    known = corpus.images()
    same = draw.choice(known)
    folders = draw.choice(
        (("a", "b"), ("a", "b"), ("a",), ("x/a", "x/b"), ("", "b"), ("é", ".b"), ("\udce9", "b"))
    )
    damage = draw.choice((0, 0, 0.05, 0.5))
    members = {}
    for at in range(draw.choice((2, 6, 12))):
        image = same if draw.random() < 0.9 else draw.choice(known)
        content = mutate(image, known, draw) if draw.random() < damage else image
        members[f"{folders[at % len(folders)]}/{at}.{draw.choice(('png', 'tif', 'JPG'))}"] = content
    return (
        corpus.tarred(members)
        if draw.random() < 0.5 or "\udce9" in folders
        else corpus.zipped(members)
    )


def parquet(draw: random.Random) -> bytes:
    """A table of columns of any of Arrow's types."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = draw.choice((2, 12, 20))
    makers = {
        pa.int8(): lambda: draw.randrange(-128, 128),
        pa.uint64(): lambda: draw.randrange(2**64),
        pa.float32(): lambda: draw.choice((0.5, 1e38, float("nan"), float("inf"), -1.0)),
        pa.float64(): lambda: draw.choice((0.5, 1e308, float("nan"), float("-inf"), -1.0)),
        pa.bool_(): lambda: draw.random() < 0.5,
        pa.string(): lambda: draw.choice(CELLS),
        pa.binary(): lambda: draw.choice(TOKENS),
        pa.date32(): lambda: (
            draw.randrange(-(2**31), 2**31) if draw.random() < 0.1 else draw.randrange(20_000)
        ),
        pa.timestamp("ns"): lambda: draw.randrange(2**62),
        pa.timestamp("s", tz="UTC"): lambda: (
            draw.randrange(2**33) if draw.random() < 0.9 else 2**45
        ),
        pa.time64("us"): lambda: draw.randrange(86_400_000_000),
        pa.duration("ms"): lambda: draw.randrange(2**40),
        pa.decimal128(30, 4): lambda: draw.randrange(10**20),
        pa.list_(pa.int32()): lambda: [1, None],
        pa.map_(pa.string(), pa.int32()): lambda: [("a", 1)],
        pa.null(): lambda: None,
    }
    columns = []
    for _ in range(draw.choice((1, 2, 5))):
        kind = draw.choice(list(makers))
        missing = draw.choice((0, 0, 0.2))
        values = [None if draw.random() < missing else makers[kind]() for _ in range(rows)]
        columns.append(pa.array(values, kind))
    columns.append(pa.array([draw.choice("xy") for _ in range(rows)]))
    names = [draw.choice(("a", "b", "id", "", "a b", "é", "__index_level_0__")) for _ in columns]
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns, names), buffer)
    return buffer.getvalue()
