"""The choice of the target column, where the request does not name it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from whisktrain.data.columns.column_names import (
    find_column,
    folded,
    known_columns,
    nearest_hint,
)
from whisktrain.errors import DataError

__all__ = ["TargetColumn", "find_target"]

NAMES = (
    "target",
    "label",
    "labels",
    "class",
    "y",
    "outcome",
    "response",
    "species",
    "survived",
    "churn",
    "churned",
    "diagnosis",
    "variety",
    "category",
    "price",
)
"""Names that a target often has (in lower case), the likeliest first."""


class TargetColumn(NamedTuple):
    """The target's column.

    Attributes:
        name: Its name.
        reason: Why it was chosen.
    """

    name: str
    reason: str


def find_target(
    names: Sequence[str], named: str | None, usable: Sequence[str], *, of_source: str | None = None
) -> TargetColumn:
    """Choose the target's column.

    Args:
        names: The columns' names.
        named: The column that the request names.
        usable: Names of the columns that could be one: not empty, no ids, no free text.
        of_source: The target where the source itself names it.

    Raises:
        DataError: There is no such column, or none that could be it.
    """
    if named is not None:
        return TargetColumn(_named_column(names, named), "named in the request")
    if of_source is not None:
        return TargetColumn(of_source, "the source says so")
    likely = _by_usual_name(names, usable)
    if likely is not None:
        return likely
    if usable:
        last = usable[-1]
        is_last = last == names[-1]
        return TargetColumn(
            last, "it is the last column" if is_last else "it is the last column that could be one"
        )
    raise DataError(
        "No column can be the target: all are empty, ids or free text.",
        code="no_target",
        hint="Name the target.",
    )


def _named_column(names: Sequence[str], named: str) -> str:
    """The column that the request names."""
    found = find_column(names, named)
    if found is None:
        raise DataError(
            f"The target was {named!r}; expected one of the columns {known_columns(names)}.",
            code="no_target",
            hint=nearest_hint(names, named),
        )
    return found


def _by_usual_name(names: Sequence[str], usable: Sequence[str]) -> TargetColumn | None:
    coordinates = {"x", "z"} <= set(names)
    for usual in NAMES:
        if usual == "y" and coordinates:
            continue
        for name in names:
            if folded(name) == usual and name in usable:
                return TargetColumn(name, f"a column called {usual!r} is usually the target")
    return None
