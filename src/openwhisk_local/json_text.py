"""JSON as text: read strictly, written as OpenWhisk writes it."""

from __future__ import annotations

import json
import math
import re
from typing import NoReturn

from openwhisk_local.jsontypes import Json

_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_UNUSUAL_NUMBER = re.compile(r"[-+.\deE]{101}|[eE]\+?\d{3}")
_LONGEST_NUMBER = 100
_SYMBOL = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\[\]{},:"]+')


def parse_json(text: str) -> Json:
    """Read JSON without NaN, infinities and numbers of more than 100 characters, as OpenWhisk's parser does.

    Half of a surrogate pair becomes a question mark, as where Java writes it.

    Raises:
        ValueError: It is not JSON, or begins with a byte order mark.
        RecursionError: It is nested too deeply.
    """
    if _UNUSUAL_NUMBER.search(text):
        value: Json = json.loads(
            text, parse_constant=_refuse_constant, parse_int=_read_int, parse_float=_read_float
        )
    else:
        value = json.loads(text, parse_constant=_refuse_constant)
    return _without_halves(value) if _ESCAPED_SURROGATE.search(text) else value


def _read_int(digits: str) -> int:
    _check_length(digits)
    return int(digits)


def _read_float(digits: str) -> float:
    _check_length(digits)
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"The number {digits} is too large.")
    return value


def _check_length(digits: str) -> None:
    if len(digits) > _LONGEST_NUMBER:
        raise ValueError(
            f"Number too long:The number starting with '{digits[:20]}' had {len(digits)} characters which is more than the "
            f"allowed limit maxNumberCharacters = {_LONGEST_NUMBER}. If this is legit input consider increasing the limit."
        )


def _without_halves(value: Json) -> Json:
    """A value whose texts can be encoded; pairs of surrogates are characters already."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, list):
        return [_without_halves(item) for item in value]
    if isinstance(value, dict):
        return {
            key.encode(errors="replace").decode(): _without_halves(item)
            for key, item in value.items()
        }
    return value


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"Unexpected constant {constant}")


def to_compact_json(value: Json, *, sort_keys: bool = True) -> str:
    """JSON without white space and without escapes for letters that are not ASCII."""
    return json.dumps(value, separators=(",", ":"), sort_keys=sort_keys, ensure_ascii=False)


def to_pretty_json(value: Json) -> str:
    """JSON as OpenWhisk writes it for web actions: a line for each member of an object, arrays on one line."""
    written: list[str] = []
    containers: list[str] = []
    for symbol in _SYMBOL.findall(to_compact_json(value)):
        if symbol in ("}", "]"):
            containers.pop()
        margin = "  " * containers.count("{")
        if written and written[-1] == "{\n" and symbol != "}":
            written.append(margin)
        written.append(_pretty_symbol(symbol, margin, inside=containers[-1] if containers else ""))
        if symbol in ("{", "["):
            containers.append(symbol)
    return "".join(written)


def _pretty_symbol(symbol: str, margin: str, inside: str) -> str:
    """One symbol or value with the white space that follows or precedes it.

    Args:
        symbol: The symbol or value.
        margin: The white space at the beginning of a line.
        inside: The bracket of the container that it is in.
    """
    if symbol == "{":
        return "{\n"
    if symbol == "}":
        return f"\n{margin}}}"
    if symbol == ",":
        return f",\n{margin}" if inside == "{" else ", "
    return ": " if symbol == ":" else symbol
