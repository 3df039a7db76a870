"""JSON and JSON lines to a table."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from whisktrain.data.sources.encoding import decode, half_a_character
from whisktrain.data.table import Table, table_of_records, unique_names
from whisktrain.errors import DataError
from whisktrain.jsontypes import Json, JsonObject, parse_json

__all__ = ["read_json"]

_HALF = re.compile(r"\\u[dD][89a-fA-F]")
"""How JSON escapes the halves of surrogate pairs; whole pairs, too."""


def read_json(data: bytes, name: str, encoding: str | None, *, lines: bool) -> Table:
    """Read JSON.

    Args:
        data: The file's bytes.
        name: Its name, for messages.
        encoding: Its encoding; found when None.
        lines: Whether each line is a JSON value of its own.

    Raises:
        DataError: It is no JSON, or holds no rows.
    """
    text, notices = decode(data, encoding, name)
    value = _parse(text, name, lines=lines)
    if _HALF.search(text) and _has_half_characters(value):
        raise half_a_character(name)
    rows = _rows(value, name)
    table = table_of_records(_with_column_names(rows), name)
    return Table(table.frame, tuple(notices))


def _parse(text: str, name: str, *, lines: bool) -> Json:
    try:
        if lines:  # not splitlines: JSON may have further line separators inside its texts
            return [parse_json(line) for line in text.split("\n") if line.strip()]
        return parse_json(text)
    except ValueError as error:
        raise DataError(
            f"{name} is no valid JSON: {error}.",
            code="bad_json",
            hint="Is it JSON lines? Set data.format.",
        ) from None


def _has_half_characters(value: Json) -> bool:
    """Whether a text or a name holds half of a surrogate pair."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _rows(value: Json, name: str) -> Sequence[Json]:
    if isinstance(value, dict):
        return _rows_of_object(value, name)
    if not isinstance(value, list):
        raise DataError(
            f"{name} holds {type(value).__name__}; expected a list of objects.", code="bad_json"
        )
    return value


def _with_column_names(rows: Sequence[Json]) -> Sequence[Json]:
    """Rows given as lists as objects; their columns are called column_1, column_2 and so on."""
    lists = [row for row in rows if isinstance(row, list)]
    if len(lists) < len(rows):
        return rows
    return [{f"column_{at + 1}": cell for at, cell in enumerate(row)} for row in lists]


def _rows_of_object(value: JsonObject, name: str) -> Sequence[Json]:
    """The rows of a JSON object: pandas' "split", columns of equal length, one list of objects inside, or a single row."""
    split = _rows_of_split(value)
    if split is not None:
        return split
    lists = [inner for inner in value.values() if isinstance(inner, list)]
    only_columns = len(lists) == len(value) and len({len(inner) for inner in lists}) == 1
    if only_columns:
        return [dict(zip(value, cells, strict=True)) for cells in zip(*lists, strict=True)]
    tables = [inner for inner in lists if _is_table(inner)]
    if len(tables) == 1:
        return tables[0]
    if any(isinstance(inner, (dict, list)) for inner in value.values()):
        raise DataError(
            f"{name} is a JSON object without one list of rows; expected a list of objects.",
            code="bad_json",
        )
    return [value]


def _is_table(rows: Sequence[Json]) -> bool:
    return len(rows) > 0 and all(isinstance(row, dict) for row in rows)


def _rows_of_split(value: JsonObject) -> Sequence[Json] | None:
    """The rows of what pandas' `to_json(orient="split")` writes; None where it is something else."""
    columns, data = value.get("columns"), value.get("data")
    if not isinstance(columns, list) or not isinstance(data, list):
        return None
    rows = [row for row in data if isinstance(row, list) and len(row) == len(columns)]
    if len(rows) < len(data):
        return None
    names, _ = unique_names([str(column) for column in columns])
    return [dict(zip(names, row, strict=True)) for row in rows]
