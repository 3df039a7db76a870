"""Damaged and hostile files: each is refused with a sentence, before it takes memory or time."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from whisktrain.data.sources.formats import read_file
from whisktrain.data.sources.source import read_stored_rows
from whisktrain.data.sources.uploads import put_upload
from whisktrain.data.table import Images, Table
from whisktrain.errors import DataError
from whisktrain.request import DataRequest
from whisktrain.store import Store

CSV = b"a,b,t\n" + b"".join(
    b"%d,%d,%s\n" % (k, k * k % 7, b"xy"[k % 2 : k % 2 + 1]) for k in range(9)
)


def read(data: bytes, name: str = "x.csv", **options: Any) -> Table | Images:
    return read_file(data, name, DataRequest(**options))


def refusal(data: bytes, name: str = "x.csv", **options: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        read(data, name, **options)
    assert " object at 0x" not in caught.value.message
    return caught.value


@pytest.mark.parametrize(
    "encoding",
    [
        "klingon",
        "a\0b",
        "rot13",
        "zlib",
        "hex",
        "undefined",
        "idna",
        "punycode",
        "x" * 999,
        "ut\ud83d",
    ],
)
def test_encodings_that_are_none(encoding: str) -> None:
    error = refusal(CSV + b"\xff\xff", encoding=encoding)
    assert error.code == "bad_encoding"
    assert len(error.message) < 200


def test_half_a_character_is_none() -> None:
    assert refusal(b"a,b\n1,+2D0-\n", encoding="utf-7").code == "bad_encoding"
    assert refusal(b'[{"a": "\\ud83d"}, {"a": 1}]', "x.json").code == "bad_encoding"
    assert refusal(b'[{"\\ude00": 1}]', "x.json").code == "bad_encoding"
    whole = read(b'[{"a": "\\ud83d\\ude00"}]', "x.json")
    assert isinstance(whole, Table)
    assert whole.column("a").tolist() == ["😀"]


@pytest.mark.parametrize("data", [b'""\n""\n""\n', b'\n\n""\n', b" \r\n \r\n"])
def test_a_csv_of_blank_lines(data: bytes) -> None:
    assert refusal(data).code == "no_rows"


def test_a_header_of_endless_digits() -> None:
    for digits, rows in ((300, 6), (5000, 5)):  # a number, and text
        table = read(b"9" * digits + b"," + b"8" * digits + b"\n" + b"1,2\n" * 5)
        assert isinstance(table, Table)
        assert len(table) == rows


def test_a_cell_beyond_the_csv_module_s_limit() -> None:
    long = "x" * 140_000
    table = read(f"a,b\n{long},1\n{long},2\n".encode())
    assert isinstance(table, Table)
    assert table.column("a").tolist() == [long, long]
    assert table.column("b").tolist() == ["1", "2"]


def test_numbers_of_endless_digits_are_text(make: Callable[..., Any]) -> None:
    records = [{"a": k, "t": "7" * 5000 if k % 2 else "8" * 5000} for k in range(8, 48)]
    assert make(records, target="t").report["class_count"] == 2
    records = [
        {"a": k % 3, "b": "7" * 5000 if k % 2 else "8", "t": "xy"[k // 2 % 2]} for k in range(40)
    ]
    assert make(records, target="t").column("b")["type"] == "categorical"


@pytest.mark.parametrize("delimiter", ['"', "\n", "é", "::"])
def test_delimiters_that_are_none(delimiter: str) -> None:
    assert refusal(CSV, delimiter=delimiter).code == "bad_delimiter"


def test_a_blank_is_a_delimiter() -> None:
    table = read(b"a b\n1 2\n3 4\n", delimiter=" ")
    assert isinstance(table, Table)
    assert table.frame.to_numpy().tolist() == [["1", "2"], ["3", "4"]]


def test_few_wide_rows_do_not_widen_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHISKTRAIN_MAX_DATA_MB", "1")
    assert refusal(b"a," * 5_000 + b"\n" + b"1\n" * 5_000).code == "data_too_large"


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def claiming(shape: str, kind: str = "<f8", *, content: bytes = b"\0" * 80) -> bytes:
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "claim",
    [
        claiming("(1000000000, 1000)"),
        claiming("(11,)"),
        claiming("(99999999999999999999,)"),
        claiming("(4611686018427387904, 4)"),
        claiming("(1000000000,)", "<U0"),
        claiming("(1000000000,)", "|V0"),
        claiming("(-1,)"),
        claiming("(3,)", "|O"),
    ],
)
def test_headers_that_claim_more_than_there_is(claim: bytes) -> None:
    tracemalloc.start()
    assert refusal(claim, "x.npy").code == "bad_array"
    y = npy(np.arange(3))
    assert refusal(zipped(x=claim, y=y), "x.npz").code == "bad_array"
    with pytest.raises(DataError):
        read_stored_rows(claim, "x.npy")
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


def test_members_that_are_no_arrays() -> None:
    y = npy(np.arange(3))
    assert "'x'" in refusal(zipped(x=b"no array", y=y), "x.npz").message
    assert (
        refusal(zipped(x=npy(np.zeros((3, 2))), y=npy(np.float64(1))), "x.npz").code == "bad_shape"
    )
    buffer = io.BytesIO(zipped(x=npy(np.zeros((3, 2))), y=y))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("readme.txt", "words")
    assert len(read(buffer.getvalue(), "x.npz")) == 3


@pytest.mark.parametrize("name", ["x.npz", "x.zip"])
def test_damaged_zips(name: str) -> None:
    whole = zipped(x=npy(np.zeros((30, 2))), y=npy(np.arange(30)))
    for at in range(0, len(whole), 7):
        for damaged in (whole[:at], whole[:at] + b"\xff" * 4 + whole[at + 4 :]):
            try:
                read(damaged, name)
            except DataError as error:
                assert error.code != "data_too_large" or at > 0
    assert refusal(b"PK\x03\x04nonsense", name).code in ("bad_archive", "bad_array")


@pytest.mark.parametrize(
    ("x", "code"),
    [
        (np.zeros((4, 2), np.complex64), "bad_shape"),
        (np.zeros(4, [("a", "f4", (2,))]), "bad_shape"),
        (np.zeros(4, [("a", "c8")]), "bad_shape"),
        (np.zeros((4, 2), "M8[D]"), "bad_shape"),
        (np.full((4, 1), 0x110000, np.uint32).view("U1"), "bad_encoding"),
        (np.full((4, 1), 0xD83D, np.uint32).view("U1"), "bad_encoding"),
        (np.array([("a",), ("\ud83d",)], [("a", "U1")]), "bad_encoding"),
        (np.full(4, 2**60).astype("M8[s]").view([("a", "M8[s]")]), "bad_array"),
    ],
    ids=[
        "complex",
        "field of arrays",
        "complex field",
        "dates",
        "code point",
        "surrogate",
        "field",
        "far date",
    ],
)
def test_arrays_that_are_no_tables(x: Any, code: str) -> None:
    assert refusal(npy(x), "x.npy").code in (code, "bad_cell")


def test_a_single_number_is_no_row() -> None:
    for data in (npy(np.float64(3)), zipped(x=npy(np.float64(3)))):
        with pytest.raises(DataError, match=r"shape \(\)"):
            read_stored_rows(data, "x.npy")


@pytest.mark.parametrize("kind", [">i8", ">f4", ">u2", "<f2", "g"])
def test_other_number_formats_are_read(make: Callable[..., Any], store: Store, kind: str) -> None:
    x = (np.arange(90) ** 2 % 97).reshape(30, 3)
    y = np.arange(30) % 3
    buffer = io.BytesIO()
    np.savez(buffer, x=x.astype(kind), y=y.astype(kind))
    plain = io.BytesIO()
    np.savez(plain, x=x.astype(float), y=y)
    made = make(put_upload(store, buffer.getvalue(), "a.npz"))
    expected = make(put_upload(store, plain.getvalue(), "b.npz"))
    assert np.array_equal(made.training[0], expected.training[0])
    assert np.array_equal(made.training[1], expected.training[1])


def test_json_nested_deeply() -> None:
    for depth in (150, 900, 100_000):
        nested = b'[{"a": ' + b"[" * depth + b"]" * depth + b"}]"
        assert refusal(nested, "x.json").code == "bad_json"
        assert refusal(nested, "x.jsonl").code == "bad_json"


def test_json_lines_end_at_line_feeds_alone() -> None:
    rows = [{"a": "x\u2028y\x85z\x0c", "b": 1}, {"a": "u", "b": 2}]
    data = "\r\n".join(json.dumps(row, ensure_ascii=False) for row in rows[:1] * 2)
    table = read(data.replace("\x0c", "\\f").encode(), "x.jsonl")
    assert isinstance(table, Table)
    assert table.column("a").tolist() == ["x\u2028y\x85z\x0c"] * 2


def test_a_target_of_infinite_numbers_among_text(make: Callable[..., Any]) -> None:
    with pytest.raises(DataError) as caught:
        make([{"a": k, "t": float("inf") if k % 2 else "x"} for k in range(20)], target="t")
    assert caught.value.code == "infinite_target"


def test_dates_as_classes(make: Callable[..., Any], store: Store) -> None:
    frame = pd.DataFrame(
        {"a": np.arange(20) % 7, "t": pd.to_datetime(["2020-01-01", "2021-02-03"] * 10)}
    )
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    made = make(put_upload(store, buffer.getvalue(), "x.parquet"), target="t")
    assert made.report["classes"] == ["2020-01-01 00:00:00", "2021-02-03 00:00:00"]


def test_parquet_that_claims_more_rows_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    pd.DataFrame({"a": np.zeros(1_000_000, np.int8), "b": ["x"] * 1_000_000}).to_parquet(buffer)
    assert len(buffer.getvalue()) < 20_000
    monkeypatch.setenv("WHISKTRAIN_MAX_DATA_MB", "1")
    assert refusal(buffer.getvalue(), "x.parquet").code == "data_too_large"


def test_parquet_with_the_index_twice() -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(pa.table([[1, 2]] * 3, ["__index_level_0__", "a", "__index_level_0__"]), buffer)
    table = read(buffer.getvalue(), "x.parquet")
    assert isinstance(table, Table)
    assert table.names == ["a"]


def test_a_tar_that_turns_back() -> None:
    member = tarfile.TarInfo("a/1.png")
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" * 10 + struct.pack(">h", -1024)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    plain = tarfile.TarInfo("a/0.txt").tobuf(tarfile.GNU_FORMAT)
    assert refusal(plain + bytes(header) + bytes(2048), "x.tar").code == "bad_archive"


def test_what_is_between_the_images_of_a_tar_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz") as archive:
        member = tarfile.TarInfo("a/notes.txt")
        member.size = 8_000_000
        archive.addfile(member, io.BytesIO(bytes(member.size)))
    monkeypatch.setenv("WHISKTRAIN_MAX_DATA_MB", "1")
    assert refusal(buffer.getvalue(), "x.tar", format="images").code == "data_too_large"


def test_gzip_of_nonsense() -> None:
    packed = bytearray(gzip.compress(CSV, mtime=0))
    packed[20] ^= 255
    assert refusal(bytes(packed), "x.csv.gz").code == "bad_archive"
