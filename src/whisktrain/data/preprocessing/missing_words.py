"""Which words of a table mean a missing value, and what the user is told about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from whisktrain.data.columns.cells import MISSING_WORDS
from whisktrain.data.columns.missing_words import MarkedColumn, without_words
from whisktrain.data.columns.target import Target
from whisktrain.data.preprocessing.feature_selection import Selection
from whisktrain.data.table import Table, side_by_side, with_names
from whisktrain.request import DataRequest

__all__ = ["empty_words", "word_notices", "words_of"]


def words_of(table: Table, request: DataRequest) -> tuple[str, ...]:
    """The words that mean a missing value: as asked, else the usual ones where the source has no null."""
    if request.missing_words is not None:
        return tuple(request.missing_words)
    return MISSING_WORDS if table.is_text else ()


def empty_words(table: Table, words: Sequence[str]) -> tuple[Table, dict[str, MarkedColumn]]:
    """Empty the cells that hold one of the words.

    Returns:
        The table, and the columns that held some.
    """
    marked = {name: without_words(table.column(name), words) for name in table.names}
    changed = {name: column for name, column in marked.items() if column.count}
    if not changed:
        return table, {}
    columns = [column.cells for column in marked.values()]
    frame = with_names(side_by_side(columns, len(table)), table.names)
    return replace(table, frame=frame), changed


def word_notices(
    marked: Mapping[str, MarkedColumn], selection: Selection, target: Target, target_name: str
) -> list[str]:
    """What was taken for missing in columns of text, where it may be a value, in sentences.

    Args:
        marked: The columns that held words for a missing value.
        selection: The columns that become features.
        target: The target.
        target_name: Its name.
    """
    texts = {name for name in selection.chosen if selection.types[name].kind == "categorical"}
    if target.classes is not None:
        texts.add(target_name)
    return [
        f"{name!r}: {column.count} cell(s) such as {column.example!r} count as missing; "
        "data.missing_words 'none' makes them values."
        for name, column in marked.items()
        if name in texts
    ]
