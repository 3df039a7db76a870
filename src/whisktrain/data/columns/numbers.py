"""Numbers written as text: decimal marks, thousands separators, signs of currency and per cent."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import NamedTuple

__all__ = ["EXACT", "LEADING_ZEROS", "LONGEST", "PLAIN", "NumberStyle", "parse_number"]

EXACT = 2**53
"""Above it a float64 no longer holds every whole number."""

LONGEST = 400
"""Characters of the longest number: a float64 has at most 309 digits before its point. Longer text is text."""

LEADING_ZEROS = r"^[+-]?0\d+$"
"""A number with leading zeros: a code (such as a zip code) rather than a quantity."""


class NumberStyle(NamedTuple):
    """How a column writes its numbers.

    Attributes:
        decimal: The decimal mark, "." or ",".
        group: What separates thousands: "", ",", ".", " " (any blank) or "'".
    """

    decimal: str = "."
    group: str = ""


PLAIN = NumberStyle()
"""A decimal point and no thousands separator."""

_BLANK = r"[ \u00a0\u2009\u202f]"
_BLANKS = re.compile(_BLANK)
_INFINITE = re.compile(r"([+-]?)(?:inf|infinity|1\.#inf)", re.IGNORECASE)
_CURRENCY = re.compile(r"^(?:[$€£¥₹]|USD|EUR|GBP|CHF|JPY)\s*|\s*(?:[$€£¥₹%]|USD|EUR|GBP|CHF|JPY)$")


def parse_number(text: str, style: NumberStyle) -> float | None:
    """Parse a number; None where the text is none.

    Currency signs and per cent signs are ignored ("12 %" is 12); "(5)" is -5, as in accounting.
    """
    text = text.strip().replace("\u2212", "-")
    if len(text) > LONGEST:
        return None
    pattern = _pattern(style)
    if not pattern.fullmatch(text):
        infinite = _INFINITE.fullmatch(text)
        if infinite:
            return -math.inf if infinite[1] == "-" else math.inf
        text = _without_currency(text)
        if not pattern.fullmatch(text):
            return None
    return float(_normalised(text, style))


@lru_cache(maxsize=32)
def _pattern(style: NumberStyle) -> re.Pattern[str]:
    mark = re.escape(style.decimal)
    fraction = rf"(?:{mark}\d*)?"
    whole = r"\d+"
    if style.group:
        group = _BLANK if style.group == " " else re.escape(style.group)
        whole = rf"(?:\d{{1,3}}(?:{group}\d{{3}})+|\d+)"
    return re.compile(rf"[+-]?(?:{whole}{fraction}|{mark}\d+)(?:[eE][+-]?\d+)?", re.ASCII)


def _without_currency(text: str) -> str:
    """A text without its currency or per cent signs, and with the sign of its number first."""
    sign = ""
    if text.startswith("(") and text.endswith(")"):
        sign = "-"
        text = text[1:-1].strip()
    elif text.startswith(("-", "+")):
        sign = text[0]
        text = text[1:].strip()
    for _ in range(2):  # before the number and after it
        text = _CURRENCY.sub("", text)
    return sign + text


def _normalised(text: str, style: NumberStyle) -> str:
    """A matching text in the form that `float` reads."""
    if style.group == " ":
        text = _BLANKS.sub("", text)
    elif style.group:
        text = text.replace(style.group, "")
    return text.replace(",", ".") if style.decimal == "," else text
