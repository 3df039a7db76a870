"""The frame around every library that decodes what users send: whatever it raises becomes one refusal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from whisktrain.errors import DataError, WhisktrainError

__all__ = ["decoding"]

_MOST_DETAIL = 200
_ADDRESS = re.compile(r"<[^<>]* object at 0x[0-9a-f]+>")


@contextmanager
def decoding(refusal: str, code: str, hint: str = "") -> Iterator[None]:
    """Refuse data that a library cannot decode, with the library's own reason in brackets.

    Decoders meant for well-formed files raise what their parsers happen to run into: `struct.error`, `KeyError`,
    `NotImplementedError`, `RecursionError` and others. Only the library's call belongs into the block.

    Args:
        refusal: What cannot be read as what, without a full stop.
        code: The error's code.
        hint: How to fix it.

    Raises:
        DataError: The library raised anything; errors of our own pass.
    """
    try:
        yield
    except WhisktrainError:
        raise
    except MemoryError:
        raise DataError(
            f"{refusal} (it does not fit into memory).", code="data_too_large", hint=hint
        ) from None
    except Exception as error:  # noqa: BLE001
        raise DataError(f"{refusal} ({_reason(error)}).", code=code, hint=hint) from None


def _reason(error: Exception) -> str:
    """What a library says, without memory addresses and of a bounded length."""
    text = _ADDRESS.sub("it", str(error)).strip().rstrip(".")
    printable = text.encode("utf-8", "replace").decode()
    return printable[:_MOST_DETAIL] or type(error).__name__
