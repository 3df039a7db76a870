"""Lists of documents by id, from CouchDB's `_all_docs`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from whisktrain.store.couch.documents import plain
from whisktrain.store.couch.multipart import RawDocument
from whisktrain.store.protocol import Document

__all__ = ["IdRange", "Row", "document_of"]


class RowValue(TypedDict):
    """The newest revision in a row."""

    rev: str
    deleted: NotRequired[bool]


class Row(TypedDict):
    """A row of `_all_docs`: no `id` where a key is unknown, `doc` where bodies were asked for."""

    id: str
    value: RowValue
    doc: NotRequired[RawDocument]


@dataclass(frozen=True, slots=True)
class IdRange:
    """A range of ids for `_all_docs`.

    Attributes:
        start: The first id.
        end: The last id; None for no end.
        bodies: Whether to read the documents.
        descending: Whether in descending order.
        is_continued: Whether `start` has been read already.
    """

    start: str | None
    end: str | None
    bodies: bool
    descending: bool
    is_continued: bool = False

    def query(self, page: int) -> dict[str, str | int]:
        """The query of one request for at most `page` rows."""
        keys = {"startkey": self.start, "endkey": self.end}
        query: dict[str, str | int] = {
            key: json.dumps(value) for key, value in keys.items() if value is not None
        }
        query |= {
            "include_docs": json.dumps(self.bodies),
            "descending": json.dumps(self.descending),
            "limit": page,
        }
        return query | {"skip": 1} if self.is_continued else query


def document_of(row: Row) -> Document:
    """The document of a row: without its body where bodies were not asked for."""
    if "doc" in row:
        return plain(dict(row["doc"]))
    return Document(row["id"], row["value"]["rev"], {})
