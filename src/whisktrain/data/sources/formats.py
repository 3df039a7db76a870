"""File formats: which one a file has, and its reader."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import PurePath

from whisktrain.data.images.archives import read_folder
from whisktrain.data.limits import check_size, max_bytes
from whisktrain.data.sources.delimited import read_delimited
from whisktrain.data.sources.json_rows import read_json
from whisktrain.data.sources.numpy_files import NPY_MAGIC, read_npy, read_npz
from whisktrain.data.sources.parquet import read_parquet
from whisktrain.data.table import Images, Table
from whisktrain.decoding import decoding
from whisktrain.errors import DataError
from whisktrain.request import DataRequest

__all__ = ["find_format", "read_file", "unpack"]

_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".npz": "npz",
    ".npy": "npy",
    ".tar": "images",
    ".zip": "images",
}
_GZIP_MAGIC = b"\x1f\x8b"
_PARQUET_MAGIC = b"PAR1"
_ZIP_MAGIC = b"PK\x03\x04"
_TAR_MAGIC = b"ustar"
_TAR_MAGIC_AT = slice(257, 262)
_TEXT_START = b"\xef\xbb\xbf \t\r\n"
"""A byte-order mark and blanks, before the first character of JSON."""


def unpack(data: bytes, name: str) -> tuple[bytes, str]:
    """Take a file out of its gzip wrapper, if it has one.

    Returns:
        The content, and its name.

    Raises:
        DataError: The wrapper is damaged, or its content too large.
    """
    if not data.startswith(_GZIP_MAGIC):
        return data, name
    hint = "Pack it again, or give it unpacked."
    with (
        decoding(f"{name} cannot be unpacked", "bad_archive", hint),
        gzip.GzipFile(fileobj=io.BytesIO(data)) as file,
    ):
        content = file.read(max_bytes() + 1)
    check_size(len(content), name)
    return content, name.removesuffix(".gz") + (".tar" if name.endswith(".tgz") else "")


def find_format(data: bytes, name: str, asked: str) -> str:
    """The format of a file: as asked, else by its first bytes, its name, its content.

    Args:
        data: The file's bytes.
        name: Its name.
        asked: "auto", or the caller's choice.
    """
    if asked != "auto":
        return asked
    return _by_magic(data) or _SUFFIXES.get(PurePath(name).suffix.lower()) or _by_content(data)


def _by_magic(data: bytes) -> str | None:
    """The format by the file's first bytes."""
    if data.startswith(_PARQUET_MAGIC):
        return "parquet"
    if data.startswith(NPY_MAGIC):
        return "npy"
    if data.startswith(_ZIP_MAGIC):
        return "npz" if _holds_arrays(data) else "images"
    return "images" if data[_TAR_MAGIC_AT] == _TAR_MAGIC else None


def _holds_arrays(data: bytes) -> bool:
    """Whether a zip archive is a .npz; not where it is damaged, which its reader says better."""
    try:
        with decoding("It cannot be read as a zip archive", "bad_archive"):
            names = zipfile.ZipFile(io.BytesIO(data)).namelist()
    except DataError:
        return False
    return any(name.endswith(".npy") for name in names)


def _by_content(data: bytes) -> str:
    first = data[:64].lstrip(_TEXT_START)[:1]
    if first == b"[":
        return "json"
    if first == b"{":
        return "jsonl" if len(data.strip().splitlines()) > 1 else "json"
    return "csv"


def read_file(data: bytes, name: str, request: DataRequest) -> Table | Images:
    """Read a file in whatever format it is.

    Args:
        data: Its bytes.
        name: Its name.
        request: The request's section `data`.

    Raises:
        DataError: It cannot be read in that format, or holds no rows.
    """
    check_size(len(data), name)
    content, name = unpack(data, name)
    rows = _read(content, name, find_format(content, name, request.format), request)
    if isinstance(rows, Table) and not len(rows):
        raise DataError(
            f"{name} has no rows.", code="no_rows", hint="Check that it is the right file."
        )
    return rows


def _read(data: bytes, name: str, format_: str, request: DataRequest) -> Table | Images:
    """Read a file in a known format."""
    match format_:
        case "csv" | "tsv":
            delimiter = request.delimiter or ("\t" if format_ == "tsv" else None)
            return read_delimited(
                data, name, delimiter=delimiter, encoding=request.encoding, decimal=request.decimal
            )
        case "images":
            return read_folder(data, name, request.image_size)
        case "json" | "jsonl":
            return read_json(data, name, request.encoding, lines=format_ == "jsonl")
        case "parquet":
            return read_parquet(data, name)
        case "npz":
            return read_npz(data, name, request.image_size)
        case _:
            return read_npy(data, name)
