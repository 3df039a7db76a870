"""Types of JSON values, as documents, requests and results hold them, and the reading of those that users send."""

from __future__ import annotations

import json
from typing import TypeAlias

__all__ = ["MOST_NESTED", "Json", "JsonObject", "is_nested_too_deeply", "parse_json"]

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
"""A JSON value as `json.loads` returns it."""

JsonObject: TypeAlias = dict[str, Json]
"""A JSON object as `json.loads` returns it."""

MOST_NESTED = 100
"""Levels of lists and objects in what a caller may send. Python's own limit is near 1000, less what is in use already."""


def is_nested_too_deeply(value: object) -> bool:
    """Whether lists and objects are nested more than `MOST_NESTED` deep."""
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(MOST_NESTED):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return False
    return True


def parse_json(text: str | bytes) -> Json:
    """Read JSON that a user sent.

    Raises:
        ValueError: It is no JSON, or nested too deeply.
    """
    refusal = f"lists or objects are nested more than {MOST_NESTED} deep"
    try:
        value: Json = json.loads(text)
    except RecursionError:
        raise ValueError(refusal) from None
    if is_nested_too_deeply(value):
        raise ValueError(refusal)
    return value
