"""Inference of columns of text: categories, free text, or an id."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np

from whisktrain.data.columns.column_type import ColumnType, DistinctCells, has_id_name
from whisktrain.data.columns.numbers import LEADING_ZEROS, PLAIN, parse_number

__all__ = ["infer_categorical"]

_LEADING_ZEROS = re.compile(LEADING_ZEROS, re.ASCII)

FEW = 5
"""So many distinct texts are always categories, however long."""

MANY = 20
"""More distinct values may be an id."""


@dataclass(frozen=True, slots=True)
class _TextStatistics:
    """What tells categories, free text and ids apart.

    Attributes:
        distinct: Number of distinct texts.
        cells: Number of cells with a text.
        words: Words of a cell, on average.
        length: Characters of a cell, on average.
        sentences: Share of cells that end like a sentence.
    """

    distinct: int
    cells: int
    words: float
    length: float
    sentences: float


def infer_categorical(cells: DistinctCells, name: str) -> ColumnType:
    """The type of a column of texts (or of other values, as text).

    Args:
        cells: The column's distinct cells, at least one.
        name: Its name: "id" and the like make an id likelier.
    """
    texts = [str(value).strip() for value in cells.values]
    found = _measure(cells, texts)
    categories = ColumnType(
        "categorical",
        missing=cells.missing,
        distinct=found.distinct,
        numeric_keys=all(_is_numeric_key(text) for text in texts),
    )
    if reason := _free_text_reason(found):
        return replace(categories, kind="text", reason=reason)
    if reason := _id_reason(found, name):
        return replace(categories, kind="id", reason=reason)
    return categories


def _measure(cells: DistinctCells, texts: list[str]) -> _TextStatistics:
    return _TextStatistics(
        distinct=len(set(texts)),
        cells=cells.present,
        words=float(np.average([len(text.split()) for text in texts], weights=cells.counts)),
        length=float(np.average([len(text) for text in texts], weights=cells.counts)),
        sentences=cells.share(text.endswith((".", "!", "?")) for text in texts),
    )


def _is_numeric_key(text: str) -> bool:
    return parse_number(text, PLAIN) is not None and not _LEADING_ZEROS.fullmatch(text)


def _free_text_reason(found: _TextStatistics) -> str:
    """Why texts are free text; empty where they are not."""
    long = found.words >= 3 or found.length > 60
    varied = found.distinct > 0.2 * found.cells or found.distinct > 100
    if found.distinct > FEW and long and varied:
        return "free text"
    if found.distinct > 1 and found.words >= 4 and found.sentences >= 0.5:
        return "free text, in sentences"
    return ""


def _id_reason(found: _TextStatistics, name: str) -> str:
    """Why texts are an id; empty where they are categories."""
    if found.distinct == found.cells and found.cells >= 10:
        return "every row has its own value"
    if found.distinct <= MANY:
        return ""
    if found.distinct > 0.5 * found.cells:
        return "most rows have their own value"
    if found.distinct > 0.05 * found.cells and has_id_name(name):
        return "named like an id, with many values"
    return ""
