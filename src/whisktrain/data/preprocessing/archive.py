"""Fitted scikit-learn estimators as bytes and back: skops, never pickle; the same estimators give the same bytes."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

from whisktrain.errors import Damaged

__all__ = ["pack", "unpack"]

_EPOCH = (1980, 1, 1, 0, 0, 0)
_JSON = "fitted.json"
_ESTIMATORS = "estimators.skops"


def pack(record: dict[str, Any], estimators: dict[str, Any]) -> bytes:
    """Put a JSON record and estimators into one archive.

    Args:
        record: JSON.
        estimators: Fitted scikit-learn estimators by name; may be empty.
    """
    import skops.io

    files = {_JSON: json.dumps(record, allow_nan=False, separators=(",", ":")).encode()}
    if estimators:
        files[_ESTIMATORS] = _canonical(skops.io.dumps(estimators))
    return _zip(files)


def unpack(data: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """The record and the estimators that `pack` packed.

    Raises:
        Damaged: The bytes are no such archive, or hold types beyond scikit-learn's and NumPy's.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            record: dict[str, Any] = json.loads(archive.read(_JSON))
            stored = archive.read(_ESTIMATORS) if _ESTIMATORS in archive.namelist() else None
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise Damaged(f"The fitted preprocessing cannot be read ({error}).", hint="Preprocess the data again.") from None
    if stored is None:
        return record, {}
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    try:
        estimators: dict[str, Any] = skops.io.loads(stored, trusted=[])
    except UntrustedTypesFoundException as error:
        raise Damaged(f"The fitted preprocessing holds types that are not trusted ({error}).") from None
    return record, estimators


def _canonical(data: bytes) -> bytes:
    """The same skops archive with memory addresses replaced by running numbers, and without the time of day."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(content.pop("schema.json"))
    arrays: dict[str, str] = {}
    count = 0

    def number(node: Any) -> None:
        nonlocal count
        if isinstance(node, dict):
            if "__id__" in node:
                count += 1
                node["__id__"] = count
            if node.get("type") == "numpy" and node.get("file") in content:
                node["file"] = arrays.setdefault(node["file"], f"{len(arrays)}.npy")
            for child in node.values():
                number(child)
        elif isinstance(node, list):
            for child in node:
                number(child)

    number(schema)
    files = {new: content[old] for old, new in arrays.items()}
    return _zip({**files, "schema.json": json.dumps(schema).encode()})


def _zip(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, date_time=_EPOCH), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
