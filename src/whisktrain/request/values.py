"""Values as callers and platforms write them: numbers and booleans that name something, lists and objects in one text.

A deployment tool or a query has only texts, and a JSON number may be a column's name.
"""

from __future__ import annotations

import re

__all__ = [
    "as_list",
    "as_name",
    "as_names",
    "as_pair",
    "as_types",
    "as_words",
    "is_given",
    "listed_pairs",
]

_BETWEEN_NUMBERS = re.compile(r"\s*[,xX×; ]\s*")


def is_given(value: object) -> bool:
    """Whether a setting is given: null and blank text mean that it is not."""
    return value is not None and not (isinstance(value, str) and not value.strip())


def as_name(value: object) -> object:
    """The text of a number or boolean, which names something, such as a column; anything else as it is."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (int, float)) else value


def as_names(value: object) -> object:
    """A list of names; a single one stands for such a list. Whether a comma is part of a name, the data will tell."""
    given = list(value) if isinstance(value, (list, tuple)) else [value]
    return [as_name(name) for name in given if is_given(name)]


def as_list(value: object) -> object:
    """A list of texts; a text lists them with commas."""
    given = list(value) if isinstance(value, (list, tuple)) else [value]
    texts: list[object] = []
    for text in given:
        texts += text.split(",") if isinstance(text, str) else [text]
    return [text.strip() if isinstance(text, str) else text for text in texts if is_given(text)]


def as_words(value: object) -> object:
    """A list of words, of which a number is one; the text "none" is the empty list, and another text lists them with commas."""
    if isinstance(value, str) and value.strip() == "none":
        return []
    return as_list(value) if isinstance(value, str) else as_names(value)


def as_types(value: object) -> object:
    """An object of columns and types; a text lists them as COLUMN=TYPE with commas."""
    if not isinstance(value, str):
        return value
    pairs = [text.rpartition("=") for text in listed_pairs(value)]
    if not all(equals for _, equals, _ in pairs):
        return value
    return {column.strip(): kind.strip() for column, _, kind in pairs}


def listed_pairs(text: str) -> list[str]:
    """The KEY=VALUE that a text lists with commas; a comma between texts without "=" is part of a key."""
    parts = text.split(",")
    return parts if all("=" in part for part in parts) else [text]


def as_pair(value: object) -> object:
    """Two numbers; a text such as "28,28" or "28x28" holds them."""
    return _BETWEEN_NUMBERS.split(value.strip()) if isinstance(value, str) else value
