"""The frame around every library that decodes what users send: whatever it raises becomes one refusal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from whisktrain.errors import DataError, WhisktrainError

__all__ = ["decoding"]

_MOST_DETAIL = 200
_NOISE = re.compile(r" ?<[^<>]* object at 0x[0-9a-f]+>|^Error tokenizing data\. C error: ")
"""Memory addresses, and where in pandas it happened."""


@contextmanager
def decoding(
    refusal: str, code: str, hint: str = "", error: type[WhisktrainError] = DataError
) -> Iterator[None]:
    """Refuse data that a library cannot decode, with the library's own reason in brackets.

    Decoders meant for well-formed files raise what their parsers happen to run into: `struct.error`, `KeyError`,
    `NotImplementedError`, `RecursionError` and others. Only the library's call belongs into the block.

    Args:
        refusal: What cannot be read as what, without a full stop.
        code: The error's code.
        hint: How to fix it.
        error: The error's class.

    Raises:
        WhisktrainError: The library raised anything; errors of our own pass.
    """
    try:
        yield
    except WhisktrainError:
        raise
    except MemoryError:
        raise error(
            f"{refusal} (it does not fit into memory).", code="data_too_large", hint=hint
        ) from None
    except Exception as raised:  # noqa: BLE001
        raise error(f"{refusal} ({_reason(raised)}).", code=code, hint=hint) from None


def _reason(error: Exception) -> str:
    """What a library says, of a bounded length."""
    text = _NOISE.sub("", str(error)).strip().rstrip(".")
    printable = text.encode("utf-8", "replace").decode()
    return printable[:_MOST_DETAIL] or type(error).__name__
