"""The choice of the columns that become features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from whisktrain.data.columns.column_type import ColumnType, Kind
from whisktrain.errors import DataError

__all__ = ["Selection", "can_keep", "is_usable", "no_features", "select_features"]

UNUSABLE: dict[Kind, str] = {
    "text": "free text",
    "id": "an id",
    "nested": "nested",
    "empty": "empty",
}
"""Kinds of columns that do not become features, as notices call them."""

MOST_SHOWN = 10

MOST_DISTINCT = 0.8
"""The largest share of rows with a text of their own with which texts are worth keeping as categories."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The columns that become features.

    Attributes:
        types: The type of each column; another than inferred where a column is kept though it looks unusable.
        chosen: Names of the columns that become features, in order.
        notices: What the user should know, in sentences.
    """

    types: dict[str, ColumnType]
    chosen: list[str]
    notices: list[str]


def is_usable(found: ColumnType) -> bool:
    """Whether a column of this type can become features."""
    return found.kind not in UNUSABLE


def can_keep(found: ColumnType, rows: int) -> bool:
    """Whether a column that is left out becomes features where data.keep names it.

    Numbers do; texts only where some of them occur in several rows.

    Args:
        found: Its type.
        rows: Rows of the table.
    """
    if found.kind not in ("text", "id") or found.distinct < 2:
        return False
    return found.fallback == "numeric" or found.distinct <= MOST_DISTINCT * (rows - found.missing)


def select_features(
    inferred: Mapping[str, ColumnType], target: str, keep: Sequence[str], rows: int
) -> Selection:
    """Choose the columns that become features.

    Args:
        inferred: The type of each column that the request does not drop.
        target: The target's name.
        keep: Columns of ids or free text that the request keeps.
        rows: Rows of the table.

    Raises:
        DataError: No column can be used.
    """
    types = dict(inferred)
    for name in keep:
        if name in types and types[name].kind in ("text", "id"):
            types[name] = replace(types[name], kind=types[name].fallback, reason="kept as asked")
    notices: list[str] = []
    if not any(types[name].distinct > 1 for name in _usable(types, target)):
        notices += _use_counting_columns(types, target)
    chosen = _usable(types, target)
    if not chosen:
        raise no_features(types, target, rows)
    return Selection(types, chosen, [*notices, *_left_out(types, target, rows)])


def _usable(types: Mapping[str, ColumnType], target: str) -> list[str]:
    return [name for name, found in types.items() if name != target and is_usable(found)]


def _use_counting_columns(types: dict[str, ColumnType], target: str) -> list[str]:
    """Use numbers that look like ids as features, as there is nothing else: small tables of x and y look like that."""
    notices = []
    for name, found in types.items():
        if name != target and found.kind == "id" and found.fallback == "numeric":
            types[name] = replace(found, kind="numeric", reason="used for want of others")
            notices.append(f"{name!r} {found.reason}, but is used: there is no other column.")
    return notices


def _left_out(types: Mapping[str, ColumnType], target: str, rows: int) -> list[str]:
    """A notice for each kind of column that is left out."""
    notices = []
    for kind, words in UNUSABLE.items():
        names = [name for name, found in types.items() if name != target and found.kind == kind]
        keepable = [name for name in names if can_keep(types[name], rows)]
        if names:
            which = "them" if keepable == names else _listed(keepable)
            hint = f"; data.keep keeps {which}" if keepable else ""
            notices.append(f"Left out as {words}: {_listed(names)}{hint}.")
    return notices


def no_features(
    types: Mapping[str, ColumnType], target: str, rows: int, constant: Sequence[str] = ()
) -> DataError:
    """The error that no column is left, with the reason for each column.

    Args:
        types: The type of each column.
        target: The target's name.
        rows: Rows of the table.
        constant: Names of columns that have one value only in the training rows.
    """
    reasons = {name: found.reason or found.kind for name, found in types.items() if name != target}
    reasons |= dict.fromkeys((name for name in constant if name in reasons), "constant")
    each = [f"{name!r} is {reason}" for name, reason in reasons.items()]
    more = f"; and {len(each) - MOST_SHOWN} more" if len(each) > MOST_SHOWN else ""
    shown = "; ".join(each[:MOST_SHOWN]) + more
    keepable = [name for name in reasons if name not in constant and can_keep(types[name], rows)]
    return DataError(
        f"No column is left to learn from: {shown or f'{target!r} is the only one'}.",
        code="no_features",
        hint=f"data.keep uses {_listed(keepable)}."
        if keepable
        else "Add a column whose values repeat in several rows, or numbers.",
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
    return ", ".join(repr(name) for name in names[:MOST_SHOWN]) + more
