"""Documents from CouchDB's JSON and multipart answers."""

from __future__ import annotations

import base64
import json
from typing import TypedDict, cast

from whisktrain.errors import Damaged
from whisktrain.store.bodies import NONCE
from whisktrain.store.couch.multipart import ATTACHMENT, RawDocument, parts, split
from whisktrain.store.couch.session import Answer
from whisktrain.store.protocol import Document

__all__ = ["plain", "several", "whole"]


class _Stub(TypedDict, total=False):
    """One attachment in a document: `length`, and `data` in base64 or `encoding` where they apply."""

    length: int
    data: str
    encoding: str


def plain(found: RawDocument, attachment: bytes | None = None) -> Document:
    """A document from its JSON, which is used up, and its attachment's bytes."""
    stub = (found.pop("_attachments", None) or {}).get(ATTACHMENT)
    id_, rev = found.pop("_id"), found.pop("_rev")
    body = {key: value for key, value in found.items() if key != NONCE}
    return Document(id_, rev, body, attachment, None if stub is None else stub["length"])


def whole(id_: str, answer: Answer) -> Document:
    """A document from an answer that has its attachment too.

    Raises:
        Damaged: The attachment is not whole.
    """
    content_type = answer.headers.get("Content-Type", "")
    if content_type.startswith("multipart/"):
        return _attached(id_, *split(content_type, answer.content))
    return _attached(id_, cast(RawDocument, answer.json()), None)


def several(answer: Answer) -> list[Document]:
    """The documents, with their attachments, of an answer to `_bulk_get`; what is not there is left out.

    Raises:
        Damaged: An attachment is not whole.
    """
    found = []
    for content_type, body in parts(answer.headers.get("Content-Type", ""), answer.content):
        document: RawDocument
        if content_type.startswith("multipart/"):
            document, data = split(content_type, body)
        else:
            document, data = json.loads(body), None
        if "error" not in content_type and not document.get("_deleted"):
            found.append(_attached(document["_id"], document, data))
    return found


def _attached(id_: str, found: RawDocument, data: bytes | None) -> Document:
    stub: _Stub | None = (found.get("_attachments") or {}).get(ATTACHMENT)
    if stub is None:
        return plain(found, data)
    if "data" in stub:
        data = base64.b64decode(stub["data"])
        stub.setdefault("length", len(data))
    is_whole = data is not None and ("encoding" in stub or len(data) == stub["length"])
    if data is None or not is_whole:
        raise Damaged(
            f"The attachment of {id_!r} came with {len(data or b'')} bytes instead of {stub['length']}."
        )
    stub["length"] = len(data)
    return plain(found, data)
