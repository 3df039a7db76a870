"""Columns by the names that a request gives them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from whisktrain.data.columns.numbers import PLAIN, parse_number

__all__ = ["find_column", "folded", "known_columns", "nearest_hint"]

MOST_SHOWN = 20


def find_column(names: Sequence[str], named: str) -> str | None:
    """The column that a name means: exactly, else but for case and blanks around it, else as the same number.

    Args:
        names: The columns' names.
        named: The name in the request.

    Returns:
        The column's own name; None where no column, or more than one, is meant.
    """
    if named in names:
        return named
    alike = [name for name in names if folded(name) == folded(named)]
    number = parse_number(named, PLAIN)
    if not alike and number is not None:
        alike = [name for name in names if parse_number(name, PLAIN) == number]
    return alike[0] if len(alike) == 1 else None


def known_columns(names: Sequence[str]) -> str:
    """The columns as a message lists them."""
    known = ", ".join(repr(name) for name in names[:MOST_SHOWN])
    return known + (f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else "")


def nearest_hint(names: Sequence[str], named: str) -> str:
    """The hint for a name that no column has."""
    near = difflib.get_close_matches(named, names, n=1, cutoff=0.5)
    return f"Did you mean {near[0]!r}?" if near else "Name one of them."


def folded(name: str) -> str:
    """A name without case and blanks around it."""
    return name.strip().casefold()
