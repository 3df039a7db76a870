"""multipart/related messages (RFC 2387) of CouchDB: a JSON document and its one attachment."""

from __future__ import annotations

import gzip
import json
import secrets
from typing import Any, TypeAlias

from whisktrain.errors import Damaged

__all__ = ["ATTACHMENT", "RawDocument", "join", "parts", "split"]

RawDocument: TypeAlias = dict[str, Any]
"""A document as CouchDB answers it: the body with `_id`, `_rev` and `_attachments`."""

ATTACHMENT = "data"
"""The name of the one attachment of a document."""


def join(document: str, attachment: bytes) -> tuple[str, bytes]:
    """Build the message.

    Args:
        document: The JSON text; its attachment's stub must say `follows` and the length.
        attachment: The bytes that follow.

    Returns:
        The content type, and the message.
    """
    boundary = secrets.token_hex(16)
    head = (
        f"--{boundary}\r\nContent-Type: application/json\r\n\r\n{document}\r\n--{boundary}\r\n\r\n"
    )
    return f'multipart/related; boundary="{boundary}"', b"".join(
        (head.encode(), attachment, f"\r\n--{boundary}--".encode())
    )


def split(content_type: str, message: bytes) -> tuple[RawDocument, bytes | None]:
    """Parse a message of one document.

    Args:
        content_type: The answer's header, with the boundary.
        message: The whole body.

    Returns:
        The document, and its attachment's bytes; None where it has none.

    Raises:
        Damaged: The message is cut short or is something else.
    """
    boundary = _boundary(content_type)
    # JSON text has no line ends of its own here, so the first line end and boundary end it.
    start = message.find(b"\r\n\r\n", message.find(boundary)) + 4
    end = message.find(b"\r\n" + boundary, start)
    if len(boundary) <= 2 or start < 4 or end < start:
        raise Damaged("The store's answer is no whole multipart message.", retryable=True)
    document: RawDocument = json.loads(message[start:end])
    stub = (document.get("_attachments") or {}).get(ATTACHMENT)
    if stub is None:
        return document, None
    head_end = message.find(b"\r\n\r\n", end)
    last = message.rfind(b"\r\n" + boundary + b"--")
    if head_end < 0 or last < head_end + 4:
        raise Damaged("The store's answer ends before the attachment does.", retryable=True)
    data = message[head_end + 4 : last]
    # CouchDB keeps attachments of compressible types compressed.
    if stub.get("encoding") == "gzip" or b"gzip" in message[end:head_end].lower():
        data = gzip.decompress(data)
    return document, data


def parts(content_type: str, message: bytes) -> list[tuple[str, bytes]]:
    """Parse a message of several messages.

    Args:
        content_type: The answer's header, with the boundary.
        message: The whole body.

    Returns:
        The content type and the body of each.

    Raises:
        Damaged: The message is cut short or is something else.
    """
    boundary = _boundary(content_type)
    # A part cannot contain the boundary: its sender drew one that does not occur.
    opened = message if message.startswith(b"\r\n") else b"\r\n" + message
    first, *found = opened.split(b"\r\n" + boundary)
    if len(boundary) <= 2 or first or not found or not found[-1].startswith(b"--"):
        raise Damaged("The store's answer is no whole multipart message.", retryable=True)
    taken = []
    for part in found[:-1]:
        head, gap, body = part.partition(b"\r\n\r\n")
        kinds = [
            line.partition(b":")[2].strip()
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-type:")
        ]
        if not gap or not kinds:
            raise Damaged("A part of the store's answer has no content type.", retryable=True)
        taken.append((kinds[0].decode(), body))
    return taken


def _boundary(content_type: str) -> bytes:
    return (
        b"--" + content_type.partition("boundary=")[2].partition(";")[0].strip().strip('"').encode()
    )
