"""What was done with the data, in a few lines: rows, target, each column's treatment, warnings. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from whisktrain.data.dataset import ColumnReport, DatasetBody

__all__ = ["data_report"]

_NAMES = 12
"""Columns of one treatment that are named; of more, the rest is counted."""

_LEFT_OUT = "left out: "
_SAID_BY_COLUMN = "Left out as"
"""How a warning begins that only repeats what is said of a column."""


def data_report(body: DatasetBody) -> list[str]:
    """The lines for a data set's document."""
    warnings = [warning for warning in body["warnings"] if not warning.startswith(_SAID_BY_COLUMN)]
    return [
        _rows_line(body),
        _target_line(body),
        *_column_lines(body["columns"]),
        *(f"note: {text}" for text in warnings),
    ]


def _rows_line(body: DatasetBody) -> str:
    rows, shards = body["rows"], body["shards"]
    dropped = f", {rows['dropped']} dropped" if rows["dropped"] else ""
    return (
        f"data: {body['name'] or body['source']}: {rows['read']} rows read, {rows['used']} used{dropped}; "
        f"{sum(shards)} to train in {len(shards)} shards, {sum(body['validation'])} to validate"
    )


def _target_line(body: DatasetBody) -> str:
    classes = body["classes"]
    kind = f"{len(classes)} classes" if classes else "values"
    column = f"{body['target']!r}, " if body["target"] else ""
    return f"target: {column}{body['task']}, {kind} ({body['reason']})"


def _column_lines(columns: list[ColumnReport]) -> list[str]:
    """One line for each treatment with its columns, then one for each column that was left out."""
    treated: dict[str, list[str]] = {}
    dropped: dict[str, list[str]] = {}
    for column in columns:
        missing = f" ({column['missing']} missing)" if column["missing"] else ""
        if column["role"] == "dropped":
            reason = column["done"].removeprefix(_LEFT_OUT)
            hint = "; --keep uses it" if column.get("keepable") else ""
            dropped.setdefault(reason, []).append(
                f"{_LEFT_OUT}{column['name']}{missing}: {reason}{hint}"
            )
        elif column["role"] == "feature":
            treated.setdefault(column["done"], []).append(f"{column['name']}{missing}")
    used = [f"columns: {_named(names)}: {treatment}" for treatment, names in treated.items()]
    return [*used, *(line for lines in dropped.values() for line in lines)]


def _named(names: list[str]) -> str:
    rest = len(names) - _NAMES
    return ", ".join(names[:_NAMES]) + (f" and {rest} more" if rest > 0 else "")
