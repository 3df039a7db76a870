"""Checks of document ids and JSON bodies, the same for every store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from whisktrain.errors import Damaged, StoreError

__all__ = ["NONCE", "after_prefix", "check_id", "decode", "encode"]

MAX_ID_BYTES = 1024

NONCE = "~write"
"""The one top-level key of a body that is not the caller's: CouchDB documents keep their writer's nonce there."""


def check_id(id_: str) -> str:
    """Return `id_` if it may name a document.

    Raises:
        StoreError: It is empty, too long, starts with an underscore, or is no valid Unicode text.
    """
    try:
        size = len(id_.encode())
    except UnicodeEncodeError:
        size = 0
    if (
        0 < size <= MAX_ID_BYTES
        and not id_.startswith("_")
        and "\0" not in id_
        and id_ not in (".", "..")
    ):
        return id_
    raise StoreError(
        f"A document's id was {id_[:80]!a}; expected 1 to {MAX_ID_BYTES} bytes of Unicode text that does not start with "
        "an underscore, has no NUL, and is not '.' or '..' (which no address can carry).",
        code="bad_document",
    )


def encode(body: Mapping[str, object]) -> str:
    """A document's body as JSON text.

    Raises:
        StoreError: It is no JSON object (NaN and infinities are not JSON), or a key at its top starts with an underscore.
    """
    reserved = [
        key for key in body if not isinstance(key, str) or key.startswith("_") or key == NONCE
    ]
    if reserved:
        raise StoreError(
            f"A document has the key {reserved[0]!a} at its top; expected keys that do not start with an underscore, "
            f"and not {NONCE!r}.",
            code="bad_document",
        )
    try:
        return json.dumps(body, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise StoreError(
            f"A document's body is not JSON: {error}.",
            code="bad_document",
            hint="Use strings, finite Python numbers, booleans, None, lists and dictionaries only.",
        ) from None


def decode(id_: str, text: str) -> dict[str, Any]:
    """The body that `encode` wrote.

    Raises:
        Damaged: It is not JSON any more.
    """
    try:
        body: dict[str, Any] = json.loads(text)
    except ValueError:
        raise Damaged(f"The body of the document {id_!r} is not JSON any more.") from None
    return body


def after_prefix(prefix: str) -> str | None:
    """The least text above everything that starts with `prefix`, in order of code points; None where there is none."""
    for end in range(len(prefix), 0, -1):
        code = ord(prefix[end - 1])
        if code < 0x10FFFF:
            # UTF-8 has no surrogates: the code point after U+D7FF is U+E000.
            return prefix[: end - 1] + chr(0xE000 if code == 0xD7FF else code + 1)
    return None
