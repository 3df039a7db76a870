"""Seeded changes to bytes and to JSON values."""

from __future__ import annotations

import random
import struct
from typing import Any

NUMBERS = (
    0,
    1,
    2,
    127,
    128,
    255,
    256,
    32767,
    65535,
    65536,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63,
    2**64 - 1,
)
TOKENS = (
    b"\0", b"\n", b"\r", b"\r\n", b'"', b"'", b",", b";", b"\t", b"|", b" ", b"=", b"-", b"+", b".", b"(", b")",
    b"nan", b"inf", b"-inf", b"NA", b"null", b"None", b"true", b"1e309", b"1e-400", b"-0", b"0x10", b"1_000", b"\xff",
    b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xff\xfe", "\u2028".encode(), "\u202e".encode(), "٣".encode(), b"{", b"}", b"[",
    b"]", b":", b'\\ud83d', b"\\u0000", b"99999999999999999999", b"2020-13-45", b"31/12/1999", b"12:00", b"sep=;",
)  # fmt: skip
TEXTS = (
    "", " ", "a", "0", "-1", "1e999", "nan", "null", "true", "NA", "by:plan", "by:", "auto", "none", "full", "upload:x",
    "dataset:", "http://", "../etc/passwd", "x" * 5000, "\ud83d", "\0", "é", "a\nb", "{}", "[1, 2]", "9" * 5000, "\u202e",
    "2020-01-01", "categorical", "utf-16", "rot13", "digits", "data:image/png;base64,AAAA", "AAAA", "%s%n", "<script>",
)  # fmt: skip
VALUES = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, 0.5, -0.0, 1e308, 1e-320, float("nan"), float("inf"),
    [], {}, [[]], [None], {"": None}, {"a": {"a": {"a": 1}}},
)  # fmt: skip


def mutate(data: bytes, others: list[bytes], draw: random.Random) -> bytes:
    """Change bytes in a few places: most often one or two, so that the reader gets far."""
    changed = bytearray(data)
    for _ in range(draw.choice((0, 1, 1, 1, 2, 2, 3, 5, 9))):
        _change(changed, others, draw)
    return bytes(changed[:200_000])


def _change(data: bytearray, others: list[bytes], draw: random.Random) -> None:
    at = draw.randrange(len(data) + 1)
    if draw.random() < 0.4:  # headers are at the ends of files
        at = (
            min(at, draw.randrange(1, 200))
            if draw.random() < 0.7
            else max(0, len(data) - draw.randrange(1, 200))
        )
    size = draw.choice((1, 1, 2, 4, 8, 16, 64, 500))
    match draw.randrange(10):
        case 0 if at < len(data):
            data[at] ^= 1 << draw.randrange(8)
        case 1:
            data[at : at + 1] = bytes([draw.randrange(256)])
        case 2:
            form = draw.choice(("<B", "<H", ">H", "<I", ">I", "<Q", ">Q"))
            number = draw.choice(NUMBERS) % 2 ** (8 * struct.calcsize(form))
            packed = struct.pack(form, number)
            data[at : at + len(packed)] = packed
        case 3:
            data[at:at] = draw.choice(TOKENS)
        case 4:
            token = draw.choice(TOKENS)
            data[at : at + len(token)] = token
        case 5:
            del data[at : at + size]
        case 6:
            data[at:at] = data[at : at + size] * draw.choice((1, 2, 30, 300))
        case 7:
            other = draw.choice(others)
            start = draw.randrange(len(other) + 1)
            data[at : at + draw.choice((0, size))] = other[start : start + size]
        case 8:
            del data[at:]
        case _:
            data[at : at + size] = draw.randbytes(size)


def mutate_value(value: Any, draw: random.Random) -> Any:
    """Change a JSON value in a few places."""
    for _ in range(draw.choice((0, 1, 1, 2, 3))):
        value = _change_value(value, draw)
    return value


def _change_value(value: Any, draw: random.Random) -> Any:
    if isinstance(value, dict) and value and draw.random() < 0.85:
        key = draw.choice(list(value))
        rest = {name: inner for name, inner in value.items() if name != key}
        if draw.random() < 0.1:
            return rest
        if draw.random() < 0.12:
            other = draw.choice((key.upper(), key + "s", draw.choice(TEXTS), *list(rest)[:1]))
            return {**rest, other: value[key]}
        return {**value, key: _change_value(value[key], draw)}
    if isinstance(value, list) and value and draw.random() < 0.85:
        at = draw.randrange(len(value))
        if draw.random() < 0.1:
            return [*value[:at], *value[at + 1 :]]
        return [*value[:at], _change_value(value[at], draw), *value[at + 1 :]]
    return new_value(value, draw)


def new_value(value: Any, draw: random.Random) -> Any:
    """Another value in the place of one."""
    match draw.randrange(8):
        case 0:
            return draw.choice(TEXTS)
        case 1:
            return nested(draw.choice((3, 50, 120, 900, 5000)), draw.choice(("[", "{")))
        case 2 if isinstance(value, (int, float)) and abs(value) < 1e300:
            return value * draw.choice((-1, 0, 2, 1000, 0.5))
        case 3:
            return [value] * draw.choice((0, 1, 2, 200))
        case 4:
            return {draw.choice(TEXTS): value}
        case 5 if isinstance(value, (str, int)):
            return str(value) if not isinstance(value, str) else value + draw.choice(TEXTS)
        case _:
            return draw.choice(VALUES)


def nested(depth: int, opening: str) -> Any:
    """A list in a list, or an object in an object, so many deep."""
    value: Any = 1
    for _ in range(depth):
        value = [value] if opening == "[" else {"a": value}
    return value
