"""Where the data comes from: one door for every kind of source."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from whisktrain import tensors
from whisktrain.data.images.decoding import is_image
from whisktrain.data.sources.bundled import load_bundled
from whisktrain.data.sources.download import fetch, shown
from whisktrain.data.sources.formats import format_of, read_arrays, read_file, unpacked
from whisktrain.data.sources.uploads import get_upload
from whisktrain.data.table import Images, Table, table_of_records
from whisktrain.errors import DataError
from whisktrain.request import BUNDLED, DataRequest
from whisktrain.store.protocol import Store

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Source", "open_source", "read_rows_file"]


@dataclass(frozen=True, slots=True)
class Source:
    """A source whose content is known, but not read yet.

    Attributes:
        title: What it is, for people: a set's or file's name, or an address without its secrets.
        name: A short name that a model may have after it.
        digest: Of everything that its rows are made from.
        content: A file's name and bytes; None for bundled sets and records.
    """

    title: str
    name: str
    digest: str
    content: tuple[str, bytes] | None = field(default=None, repr=False)

    def read(self, request: DataRequest) -> Table | Images:
        """Read the rows."""
        if self.content is not None:
            name, data = self.content
            return read_file(data, name, request)
        if request.records is not None:
            return table_of_records(request.records, "data.records")
        return load_bundled(self.title)


def open_source(request: DataRequest, store: Store) -> Source:
    """Find a source and its digest.

    Args:
        request: The request's section `data`, with any source but a "dataset:ID".
        store: Where uploads are.

    Raises:
        DataError: No such source can be read.
        NotFound: There is no such upload.
    """
    if request.records is not None:
        if not request.records:
            raise DataError("data.records has no rows; expected at least two.", code="no_rows")
        text = json.dumps(request.records, sort_keys=False, ensure_ascii=True)
        return Source("records", "records", tensors.digest(text.encode()))
    source = (request.source or "").strip()
    if source in BUNDLED:
        return Source(source, source, f"bundled:{source}")
    if source.startswith("upload:"):
        upload = get_upload(store, source)
        if upload.meta["format"] == "images" and request.format not in ("auto", "images"):
            raise DataError(f"The upload {upload.name!r} is a folder of images; data.format was {request.format!r}.")
        return Source(upload.name, _stem(upload.name), source, (upload.name, upload.bytes))
    if "://" in source:
        data, name = fetch(source)
        return Source(shown(source), _stem(name), tensors.digest(data), (name, data))
    if not source:
        raise DataError(
            "The request names no data.",
            code="no_source",
            hint='Give data.source ("digits", "upload:ID", an address) or data.records.',
        )
    raise DataError(
        f"The source was {source[:200]!r}; expected {', '.join(BUNDLED)}, 'upload:ID', 'dataset:ID', or an http(s) address.",
        code="bad_source",
        hint="Files are put into the store first: 'whisktrain data put FILE'.",
    )


def read_rows_file(store: Store, ref: str, request: DataRequest | None = None) -> pd.DataFrame | NDArray[Any] | bytes:
    """Read rows to decide on from an upload.

    Args:
        store: Where the upload is.
        ref: "upload:ID".
        request: What the caller says about the file's format; found by default.

    Returns:
        What `Fitted.transform` takes: a frame of cells as they were read; of NumPy files an array; of images the bytes.

    Raises:
        NotFound: There is no such upload.
        DataError: It cannot be read.
    """
    request = request or DataRequest()
    upload = get_upload(store, ref)
    data, name = unpacked(upload.bytes, upload.name)
    kind = format_of(data, name, request.format)
    if kind == "images" or is_image(data):
        return data
    if kind in ("npz", "npy"):
        return read_arrays(data, name)
    found = read_file(data, name, request)
    return found.frame if isinstance(found, Table) else data


def _stem(name: str) -> str:
    stem = PurePath(name.removesuffix(".gz")).stem or "data"
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in stem).strip("-._")
    return kept[:64] or "data"
