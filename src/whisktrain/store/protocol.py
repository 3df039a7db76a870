"""The document store protocol, which SQLite and CouchDB implement.

Documents are JSON objects with an id and a revision, each with at most one binary attachment. The semantics are CouchDB's:
a put without a revision creates (and succeeds on a deleted document), a put with a revision replaces exactly that one, and
whatever was written appears, in the order of writing, in the database's feed of changes, never without its attachment.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, runtime_checkable

__all__ = ["Body", "Change", "Changes", "Database", "Document", "Store"]

Body: TypeAlias = dict[str, Any]
"""A document's JSON object as read. Its shape depends on the kind of document: `whisktrain.records` has a type for each."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document as read.

    Attributes:
        id: Its id.
        rev: Its revision, an opaque text.
        body: Its JSON object, without `_id`, `_rev` and `_attachments`.
        attachment: Its attachment's bytes where they were asked for and exist.
        attachment_size: The attachment's length in bytes; None without one.
    """

    id: str
    rev: str
    body: Body
    attachment: bytes | None = field(default=None, repr=False)
    attachment_size: int | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One row of the feed: the newest change of one document.

    Attributes:
        id: The document's id.
        deleted: Whether it was deleted.
        document: The document, without its attachment's bytes, where bodies were asked for and it is there.
    """

    id: str
    deleted: bool
    document: Document | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """Rows of the feed, and the position after them (opaque; pass it as `since` to go on)."""

    position: str
    rows: list[Change]


@runtime_checkable
class Database(Protocol):
    """One database. Every call is bounded in time and safe to use from several threads and processes.

    All calls may raise `StoreUnreachable` (retryable) and `StoreError`.
    """

    @property
    def name(self) -> str:
        """The database's name."""

    def get(self, id: str, *, attachment: bool = False) -> Document | None:  # noqa: A002
        """Read one document in one request; None where it is absent or deleted. `Damaged` where bytes are not whole."""

    def get_many(self, ids: Collection[str]) -> dict[str, Document]:
        """Read several documents with their attachments, in as few requests as possible.

        Returns:
            Those that are there, by id. `Damaged` where the bytes of one are not whole.
        """

    def put(
        self,
        id: str,  # noqa: A002
        body: Mapping[str, object],
        *,
        rev: str | None = None,
        attachment: bytes | None = None,
        content_type: str = "application/octet-stream",
        durable: bool = False,
    ) -> str:
        """Write one document, and its attachment, in one atomic step.

        Args:
            id: The document's id: 1 to 1024 bytes of Unicode text without NUL that does not start with an underscore, and
                is not `.` or `..`.
            body: A JSON object whose keys do not start with an underscore, and are not `~write` (the store's own). Numbers
                are finite; CouchDB takes subnormal ones for zero.
            rev: None to create; the revision to replace otherwise (its attachment goes unless given again).
            attachment: The one attachment's bytes.
            content_type: The attachment's media type.
            durable: Whether it must survive a power cut (models, checkpoints, data); the rest can be computed again.

        Returns:
            The new revision.

        Raises:
            Conflict: The document exists (no `rev`), or its revision is another (or it is deleted).
        """

    def delete(self, id: str, *, rev: str | None = None) -> bool:  # noqa: A002
        """Delete one document: exactly revision `rev`, or whatever is there when None.

        Returns:
            Whether this call deleted it; False where it was already absent.

        Raises:
            Conflict: `rev` was given and the document has another revision.
        """

    def delete_many(self, ids: Iterable[str], *, known: Mapping[str, str] | None = None) -> int:
        """Delete whatever is there of these ids, in as few requests as possible.

        Args:
            ids: The ids.
            known: Revisions that the caller has seen some of them at: where that is the newest one, it need not be looked up.

        Returns:
            How many were deleted.
        """

    def list(
        self,
        prefix: str,
        *,
        bodies: bool = True,
        limit: int | None = None,
        descending: bool = False,
        skip: int = 0,
    ) -> list[Document]:
        """Documents whose id starts with `prefix`, in order of id (code points), without their attachments' bytes.

        Args:
            prefix: The start of the ids; "" lists all.
            bodies: Whether to read the bodies; empty otherwise.
            limit: At most so many.
            descending: Whether in descending order.
            skip: Leave out so many first.
        """

    def changes(
        self,
        since: str | None,
        *,
        timeout: float = 0.0,
        prefix: str | None = None,
        ids: Collection[str] | None = None,
        limit: int = 1000,
        bodies: bool = False,
    ) -> Changes:
        """The feed after a position: waits until something that is asked for has changed, at most `timeout` seconds.

        Args:
            since: A position that an earlier call answered; "0" from the beginning; None: from now (answers at once with
                the present position and no rows).
            timeout: Seconds to wait while there is nothing; 0 answers at once. No transaction or lock is held meanwhile.
            prefix: Only ids that start so.
            ids: Only these ids.
            limit: At most so many rows.
            bodies: Whether to read the documents in the same request: as they are when the answer is made.

        Returns:
            The rows, each document once, by its newest change; and the position to go on from (also when rows are empty).
        """

    def compact(self) -> None:
        """Drop what deleted documents and old revisions leave behind."""


@runtime_checkable
class Store(Protocol):
    """Two databases: `library` for what stays, `rounds` for live runs (the feed follows it)."""

    @property
    def url(self) -> str:
        """Its address without any password."""

    @property
    def library(self) -> Database:
        """Datasets, shards, models, summaries, versions, aliases."""

    @property
    def rounds(self) -> Database:
        """Live runs: what the feed follows."""

    def ensure(self) -> None:
        """Create what is missing, with the design's settings; may need administrator rights."""

    def close(self) -> None:
        """Close connections and files; the object is not used afterwards."""
