"""One database of a CouchDB.

Plain documents go through the couchdb package; a document with its attachment is one multipart request of our own. Every
write stores a nonce of its own in the document (`NONCE`): where an answer was lost, the document is read again, and the write
has happened exactly if the nonce is there.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

import couchdb
from couchdb import http as couchdb_http

from whisktrain.errors import Conflict, StoreError
from whisktrain.jsontypes import JsonObject
from whisktrain.store.bodies import NONCE, after_prefix, check_id, encode
from whisktrain.store.couch.documents import plain, several, whole
from whisktrain.store.couch.errors import is_document_missing, translate_errors
from whisktrain.store.couch.feed import Feed, Selection
from whisktrain.store.couch.listing import IdRange, Row, document_of
from whisktrain.store.couch.multipart import ATTACHMENT, RawDocument, join
from whisktrain.store.couch.session import HttpSession
from whisktrain.store.protocol import Changes, Document

__all__ = ["CouchDatabase"]

PAGE = 1000
DELETES_AT_ONCE = 500
DELETE_ATTEMPTS = 20


class CouchDatabase:
    """One database; see `whisktrain.store.protocol.Database`.

    Args:
        database: The couchdb package's database, on our session.
        session: That session.
        url: The store's address for messages.
        is_pouch: Returns whether the server is PouchDB.
    """

    def __init__(
        self,
        database: couchdb.Database,
        session: HttpSession,
        url: str,
        is_pouch: Callable[[], bool],
    ) -> None:
        self._database = database
        self._session = session
        self._url = url
        self._is_pouch = is_pouch

    def __repr__(self) -> str:
        return f"CouchDatabase({self.name!r}, {self._url!r})"

    @property
    def name(self) -> str:
        """The database's name."""
        return str(self._database.name)

    def get(self, id: str, *, attachment: bool = False) -> Document | None:  # noqa: A002
        """Read one document; see the protocol."""
        check_id(id)
        with translate_errors(self.name, self._url):
            try:
                if not attachment:
                    return plain(dict(self._database[id]))
                answer = self._session.send(
                    "GET",
                    self._address(id, attachments=True),
                    headers={
                        "Accept": "application/json"
                        if self._is_pouch()
                        else "multipart/related, application/json"
                    },
                )
            except couchdb_http.ResourceNotFound as error:
                if is_document_missing(error):
                    return None
                raise
        return whole(id, answer)

    def get_many(self, ids: Collection[str]) -> dict[str, Document]:
        """Read several documents with their attachments; see the protocol."""
        wanted = list(dict.fromkeys(check_id(id_) for id_ in ids))
        if len(wanted) > 1 and not self._is_pouch():
            with translate_errors(self.name, self._url):
                answer = self._session.send(
                    "POST",
                    str(
                        couchdb_http.urljoin(
                            self._database.resource.url, "_bulk_get", attachments=True
                        )
                    ),
                    body=json.dumps({"docs": [{"id": id_} for id_ in wanted]}).encode(),
                    headers={"Accept": "multipart/related", "Content-Type": "application/json"},
                )
            # A server that answers in JSON, attachments as text, is better asked one by one.
            if answer.headers.get("Content-Type", "").startswith("multipart/"):
                return {document.id: document for document in several(answer)}
        found = [self.get(id_, attachment=True) for id_ in wanted]
        return {document.id: document for document in found if document is not None}

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
        """Write one document, and its attachment, in one atomic step; see the protocol.

        CouchDB syncs every write before it answers, so `durable` changes nothing.
        """
        del durable
        check_id(id)
        document: RawDocument = json.loads(encode(body))
        if attachment is None:
            return self._write(id, document, rev)
        stub: JsonObject = {"content_type": content_type}
        document["_attachments"] = {ATTACHMENT: stub}
        if self._is_pouch():
            stub["data"] = base64.b64encode(attachment).decode()
            return self._write(id, document, rev)
        stub |= {"follows": True, "length": len(attachment)}
        return self._write(id, document, rev, attachment)

    def delete(self, id: str, *, rev: str | None = None) -> bool:  # noqa: A002
        """Delete one document; see the protocol."""
        check_id(id)
        for _ in range(DELETE_ATTEMPTS):
            # Read first, also where the revision is known: CouchDB makes a tombstone for a document that never was.
            present = self.get(id)
            if present is None:
                return False
            if rev is not None and rev != present.rev:
                raise Conflict(
                    f"The document {id!r} is at revision {present.rev}; the deletion expected {rev}."
                )
            try:
                self._write(id, {"_deleted": True}, present.rev)
            except Conflict:
                continue  # another writer was quicker: read again
            return True
        raise StoreError(
            f"The document {id!r} changed {DELETE_ATTEMPTS} times while it was to be deleted.",
            retryable=True,
            hint="Try again.",
        )

    def delete_many(self, ids: Iterable[str], *, known: Mapping[str, str] | None = None) -> int:
        """Delete whatever is there of these ids; see the protocol."""
        wanted = sorted({check_id(id_) for id_ in ids})
        pages = (
            wanted[start : start + DELETES_AT_ONCE]
            for start in range(0, len(wanted), DELETES_AT_ONCE)
        )
        return sum(self._delete_page(page, known or {}) for page in pages)

    def list(
        self,
        prefix: str,
        *,
        bodies: bool = True,
        limit: int | None = None,
        descending: bool = False,
        skip: int = 0,
    ) -> list[Document]:
        """Documents whose id starts with `prefix`, in order of id; see the protocol."""
        if limit == 0:
            return []
        wanted = None if limit is None else skip + limit
        end = after_prefix(prefix)
        start, stop = (end, prefix) if descending else (prefix, end)
        range_ = IdRange(start, stop, bodies, descending)
        found: list[Document] = []
        while True:
            # The end of the range may be part of the answer, and design documents are: so the filter is here.
            page = PAGE if wanted is None else min(PAGE, wanted - len(found) + 1)
            rows = self._rows(range_, page)
            found += [
                document_of(row)
                for row in rows
                if row["id"].startswith(prefix) and not row["id"].startswith("_")
            ]
            if len(rows) < page or (wanted is not None and len(found) >= wanted):
                return found[skip:wanted]
            range_ = replace(range_, start=rows[-1]["id"], is_continued=True)

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
        """The feed after a position; see the protocol."""
        selection = Selection(prefix, None if ids is None else frozenset(ids), limit, bodies)
        with translate_errors(self.name, self._url):
            address = couchdb_http.urljoin(self._database.resource.url, "_changes")
            feed = Feed(self._session, address, ignores_timeout=self._is_pouch())
            return (
                Changes(feed.position(), [])
                if since is None
                else feed.changes(since, selection, timeout)
            )

    def compact(self) -> None:
        """Ask the server to drop old revisions, in the background; needs an administrator of the database."""
        with translate_errors(self.name, self._url):
            self._database.resource.post_json("_compact", body={})

    def exists(self) -> bool:
        """Whether the server has this database."""
        try:
            self.information()
        except StoreError as error:
            if error.code == "store_missing":
                return False
            raise
        return True

    def information(self) -> JsonObject:
        """The server's information on this database: its size, and how many copies and shards it has."""
        with translate_errors(self.name, self._url):
            found: JsonObject = self._database.info()
        return found

    def create(self, **settings: int) -> None:
        """Create the database; needs an administrator.

        Args:
            **settings: `n`, the number of copies, and `q`, the number of shards.
        """
        with translate_errors(self.name, self._url):
            try:
                self._database.resource.put_json(
                    **{key: str(value) for key, value in settings.items()}
                )
            except couchdb_http.PreconditionFailed:
                return  # another process was quicker

    def admit(self, user: str) -> None:
        """Make a user a member of this database; needs an administrator."""
        with translate_errors(self.name, self._url):
            security = self._database.security
            names = security.setdefault("members", {}).setdefault("names", [])
            if user not in names:
                names.append(user)
                self._database.security = security

    def drop(self) -> None:
        """Delete the database with everything in it; needs an administrator."""
        with translate_errors(self.name, self._url):
            try:
                self._database.resource.delete_json()
            except couchdb_http.ResourceNotFound:
                return

    def _write(
        self, id_: str, document: RawDocument, rev: str | None, attachment: bytes | None = None
    ) -> str:
        """Write one revision; an uncertain answer is settled by reading the document again."""
        nonce = secrets.token_hex(8)
        document |= {"_id": id_, NONCE: nonce} | ({"_rev": rev} if rev is not None else {})
        with translate_errors(self.name, self._url), self._session.lost_answers() as lost:
            try:
                written = self._send(id_, document, attachment)
            except couchdb_http.ResourceConflict:
                if not lost.possible:
                    expected = "absent" if rev is None else f"at revision {rev}"
                    raise Conflict(
                        f"The document {id_!r} is not what the write expected: {expected}."
                    ) from None
                written = None  # the conflict may be with our own first attempt
            written = written or self._revision_with(id_, nonce)
        if written is None:
            raise Conflict(f"The document {id_!r} was written by another process meanwhile.")
        return written

    def _send(self, id_: str, document: RawDocument, attachment: bytes | None) -> str | None:
        """Send one revision; returns it as stored, or None for a 202: too few copies have answered."""
        if attachment is None:
            status, _, answer = self._database.resource.put_json([id_], body=document)
        else:
            content_type, message = join(json.dumps(document, separators=(",", ":")), attachment)
            headers = {"Content-Type": content_type, "Accept": "application/json"}
            sent = self._session.send("PUT", self._address(id_), body=message, headers=headers)
            status, answer = sent.status, sent.json()
        return str(answer["rev"]) if status in (200, 201) else None

    def _revision_with(self, id_: str, nonce: str) -> str | None:
        """The newest revision of a document, deleted or not, if it was written with this nonce."""
        _, _, found = self._database.resource.get_json([id_], open_revs="all")
        for leaf in found:
            if leaf.get("ok", {}).get(NONCE) == nonce:
                return str(leaf["ok"]["_rev"])
        return None

    def _delete_page(self, ids: Sequence[str], known: Mapping[str, str]) -> int:
        deleted = 0
        revisions = {id_: known[id_] for id_ in ids if id_ in known}
        unknown = [id_ for id_ in ids if id_ not in known]
        for _ in range(DELETE_ATTEMPTS):
            revisions |= self._revisions(unknown)
            if not revisions:
                return deleted
            refused = self._delete_revisions(revisions)
            deleted += len(revisions) - len(refused)
            if not refused:
                return deleted
            # Another writer was quicker, or a known revision was not the newest one: look them up.
            unknown, revisions = list(refused), {}
        raise StoreError(
            f"{len(unknown)} documents kept changing while they were to be deleted.",
            retryable=True,
            hint="Try again.",
        )

    def _delete_revisions(self, revisions: Mapping[str, str]) -> Sequence[str]:
        """Delete documents at these revisions in one request; returns the ids that were refused."""
        nonce = secrets.token_hex(8)
        tombstones = [
            {"_id": id_, "_rev": rev, "_deleted": True, NONCE: nonce}
            for id_, rev in revisions.items()
        ]
        with translate_errors(self.name, self._url), self._session.lost_answers() as lost:
            answers = self._database.update(tombstones)
            refused = [id_ for ok, id_, _ in answers if not ok]
            if lost.possible:  # an earlier attempt may have deleted them
                refused = [id_ for id_ in refused if self._revision_with(id_, nonce) is None]
        return refused

    def _revisions(self, ids: Sequence[str]) -> dict[str, str]:
        """The present revisions of those that are there."""
        if not ids:
            return {}
        with translate_errors(self.name, self._url):
            _, _, found = self._database.resource.post_json("_all_docs", body={"keys": ids})
        return {
            row["id"]: row["value"]["rev"]
            for row in found["rows"]
            if "id" in row and row.get("value") and not row["value"].get("deleted")
        }

    def _rows(self, range_: IdRange, page: int) -> Sequence[Row]:
        with translate_errors(self.name, self._url):
            _, _, found = self._database.resource.get_json("_all_docs", **range_.query(page))
        rows: Sequence[Row] = found["rows"]
        return rows

    def _address(self, id_: str, **query: bool) -> str:
        return str(couchdb_http.urljoin(self._database.resource.url, id_, **query))
