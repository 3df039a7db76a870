"""Sources of data: bundled data sets, uploads, addresses and records of the request."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from whisktrain import tensors
from whisktrain.data.images.files import is_image
from whisktrain.data.limits import check_size
from whisktrain.data.sources.bundled import load_bundled
from whisktrain.data.sources.download import download, redact_url
from whisktrain.data.sources.formats import find_format, read_file, unpack
from whisktrain.data.sources.numpy_files import read_prediction_array
from whisktrain.data.sources.uploads import get_upload
from whisktrain.data.table import Images, Table, table_of_records
from whisktrain.errors import DataError
from whisktrain.request import BUNDLED, DataRequest
from whisktrain.store.protocol import Store

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Source", "open_source", "read_prediction_rows", "read_stored_rows"]


class _File(NamedTuple):
    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Source:
    """A source whose content is known, but not read yet.

    Attributes:
        title: What the user knows it by: a set's or file's name, or an address without its secrets.
        name: A short name that a model may have after it.
        digest: Of everything that its rows are made from.
        content: A file; None for bundled sets and records.
    """

    title: str
    name: str
    digest: str
    content: _File | None = field(default=None, repr=False)

    def read(self, request: DataRequest) -> Table | Images:
        """Read the rows."""
        if self.content is not None:
            return read_file(self.content.data, self.content.name, request)
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
        return _open_records(request.records)
    source = (request.source or "").strip()
    if source in BUNDLED:
        return Source(source, source, f"bundled:{source}")
    if source.startswith("upload:"):
        return _open_upload(source, request, store)
    if "://" in source:
        data, name = download(source)
        return Source(
            redact_url(source), _short_name(name), tensors.digest(data), _File(name, data)
        )
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


def _open_records(records: list[dict[str, object]]) -> Source:
    if not records:
        raise DataError("data.records has no rows; expected at least two.", code="no_rows")
    text = json.dumps(records, sort_keys=False, ensure_ascii=True)
    return Source("records", "records", tensors.digest(text.encode()))


def _open_upload(ref: str, request: DataRequest, store: Store) -> Source:
    upload = get_upload(store, ref)
    if upload.meta["format"] == "images" and request.format not in ("auto", "images"):
        raise DataError(
            f"The upload {upload.name!r} is a folder of images; data.format was {request.format!r}.",
            hint="Leave data.format out.",
        )
    return Source(upload.name, _short_name(upload.name), ref, _File(upload.name, upload.bytes))


def read_prediction_rows(
    store: Store, ref: str, request: DataRequest | None = None
) -> pd.DataFrame | NDArray[np.generic] | bytes:
    """Read rows to predict from an upload.

    Args:
        store: Where the upload is.
        ref: "upload:ID".
        request: What the caller says about the file's format; found by default.

    Returns:
        What `Preprocessor.transform` takes: a frame of cells as they were read; of NumPy files an array; of images the bytes.

    Raises:
        NotFound: There is no such upload.
        DataError: It cannot be read.
    """
    upload = get_upload(store, ref)
    return read_stored_rows(upload.bytes, upload.name, request)


def read_stored_rows(
    data: bytes, name: str, request: DataRequest | None = None
) -> pd.DataFrame | NDArray[np.generic] | bytes:
    """Read rows to predict from a file's bytes, as `read_prediction_rows`."""
    request = request or DataRequest()
    check_size(len(data), name)
    data, name = unpack(data, name)
    format_ = find_format(data, name, request.format)
    if format_ == "images" or is_image(data):
        return data
    if format_ in ("npz", "npy"):
        return read_prediction_array(data, name)
    rows = read_file(data, name, request)
    return rows.frame if isinstance(rows, Table) else data


def _short_name(name: str) -> str:
    """A file's name without folder and suffix, of at most 64 letters, digits, ".", "_" and "-"."""
    stem = PurePath(name.removesuffix(".gz")).stem or "data"
    allowed = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in stem)
    return allowed.strip("-._")[:64] or "data"
