"""Fitted scikit-learn estimators as bytes and back: skops, never pickle; the same estimators give the same bytes."""

from __future__ import annotations

import io
import json
import zipfile
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import NotRequired, TypedDict, cast

from whisktrain.data.preprocessing.column_encoder import ColumnRecord
from whisktrain.data.preprocessing.estimators import Estimators
from whisktrain.decoding import decoding
from whisktrain.errors import Damaged
from whisktrain.jsontypes import Json
from whisktrain.spec import Label

__all__ = ["ImageRecord", "PreprocessorRecord", "pack", "reading", "unpack"]

_EPOCH = (1980, 1, 1, 0, 0, 0)
_JSON = "fitted.json"
_ESTIMATORS = "estimators.skops"
_SCHEMA = "schema.json"


class ImageRecord(TypedDict):
    """How images are scaled, as JSON."""

    shape: list[int]
    divisor: float
    names: list[str]
    samples: NotRequired[str]


class PreprocessorRecord(TypedDict):
    """The fitted preprocessing as JSON: with `columns` and `names` for a table, with `picture` for images."""

    format: int
    source_columns: list[str]
    classes: list[Label] | None
    mean: float
    scale: float
    target: str | None
    columns: NotRequired[list[ColumnRecord]]
    missing_words: NotRequired[list[str]]
    names: NotRequired[list[str]]
    picture: NotRequired[ImageRecord]


def pack(record: PreprocessorRecord, estimators: Estimators) -> bytes:
    """Pack a JSON record and fitted estimators (maybe none) into one archive."""
    import skops.io

    files = {_JSON: json.dumps(record, allow_nan=False, separators=(",", ":")).encode()}
    if estimators:
        files[_ESTIMATORS] = _canonical(skops.io.dumps(estimators))
    return _zip(files)


def unpack(data: bytes) -> tuple[PreprocessorRecord, Estimators]:
    """The record and the estimators that `pack` packed.

    Raises:
        Damaged: The bytes are no such archive, or hold types beyond scikit-learn's and NumPy's.
    """
    with reading():
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            record = cast(PreprocessorRecord, json.loads(archive.read(_JSON)))
            stored = archive.read(_ESTIMATORS) if _ESTIMATORS in archive.namelist() else None
        if stored is None:
            return record, {}
        import skops.io

        estimators: Estimators = skops.io.loads(stored, trusted=[])
        return record, estimators


def reading() -> AbstractContextManager[None]:
    """The frame around all that reads fitted preprocessing: what it cannot read is damaged."""
    refusal = "The fitted preprocessing cannot be read"
    hint = "Preprocess the data again, or train again where a model does not open."
    return decoding(refusal, Damaged.code, hint, Damaged)


def _canonical(data: bytes) -> bytes:
    """The same skops archive with memory addresses replaced by running numbers, and without the time of day."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    schema: Json = json.loads(content.pop(_SCHEMA))
    numbering = _Numbering(frozenset(content))
    numbering.visit(schema)
    files = {new: content[old] for old, new in numbering.arrays.items()}
    return _zip({**files, _SCHEMA: json.dumps(schema).encode()})


@dataclass(slots=True)
class _Numbering:
    """Running numbers for the objects and array files of a skops schema, in the order in which it names them.

    Attributes:
        stored: Names of the archive's array files.
        arrays: The new name of each array file that the schema names.
        objects: How many objects have a number.
    """

    stored: frozenset[str]
    arrays: dict[str, str] = field(default_factory=dict)
    objects: int = 0

    def visit(self, node: Json) -> None:
        """Replace the ids (memory addresses) and array names in a node and below it."""
        if isinstance(node, dict):
            if "__id__" in node:
                self.objects += 1
                node["__id__"] = self.objects
            if node.get("type") == "numpy":
                self._rename_array(node)
            for child in node.values():
                self.visit(child)
        elif isinstance(node, list):
            for child in node:
                self.visit(child)

    def _rename_array(self, node: dict[str, Json]) -> None:
        name = node.get("file")
        if isinstance(name, str) and name in self.stored:
            node["file"] = self.arrays.setdefault(name, f"{len(self.arrays)}.npy")


def _zip(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, date_time=_EPOCH), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
