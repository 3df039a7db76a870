"""One database of a CouchDB.

Plain documents go through the couchdb package; a document with its attachment is one multipart request of our own. Every
write carries a word of its own in the document (`NONCE`), so that a write whose answer was lost is never guessed about: the
document is read again, and it is ours exactly if it carries our word.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import couchdb
from couchdb import http as couchdb_http

from whisktrain.errors import Conflict, StoreError
from whisktrain.store.bodies import NONCE, after_prefix, check_id, encode
from whisktrain.store.couch.documents import plain, several, whole
from whisktrain.store.couch.feed import follow
from whisktrain.store.couch.multipart import ATTACHMENT, join
from whisktrain.store.couch.session import HttpSession, in_our_words
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
        is_pouch: Tells whether the server is PouchDB.
    """

    def __init__(self, database: couchdb.Database, session: HttpSession, url: str, is_pouch: Callable[[], bool]) -> None:
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
        with in_our_words(self.name, self._url):
            try:
                if not attachment:
                    return plain(dict(self._database[id]))
                answer = self._session.send(
                    "GET",
                    self._address(id, attachments=True),
                    headers={"Accept": "application/json" if self._is_pouch() else "multipart/related, application/json"},
                )
            except couchdb_http.ResourceNotFound as error:
                if _is_document_missing(error):
                    return None
                raise
        return whole(id, answer)

    def get_many(self, ids: Collection[str]) -> dict[str, Document]:
        """Read several documents with their attachments; see the protocol."""
        wanted = list(dict.fromkeys(check_id(id_) for id_ in ids))
        if len(wanted) > 1 and not self._is_pouch():
            with in_our_words(self.name, self._url):
                answer = self._session.send(
                    "POST",
                    str(couchdb_http.urljoin(self._database.resource.url, "_bulk_get", attachments=True)),
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
        body: dict[str, Any],
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
        document = json.loads(encode(body))
        if attachment is not None:
            stub: dict[str, Any] = {"content_type": content_type}
            if self._is_pouch():
                stub["data"] = base64.b64encode(attachment).decode()
                document["_attachments"], attachment = {ATTACHMENT: stub}, None
            else:
                document["_attachments"] = {ATTACHMENT: stub | {"follows": True, "length": len(attachment)}}
        return self._write(id, document, rev, attachment)

    def delete(self, id: str, *, rev: str | None = None) -> bool:  # noqa: A002
        """Delete one document; see the protocol."""
        check_id(id)
        for _ in range(DELETE_ATTEMPTS):
            # Look first, also where the revision is known: CouchDB makes a tombstone of what never was.
            present = self.get(id)
            if present is None:
                return False
            if rev is not None and rev != present.rev:
                raise Conflict(f"The document {id!r} is at revision {present.rev}; the deletion expected {rev}.")
            try:
                self._write(id, {"_deleted": True}, present.rev, None)
            except Conflict:
                continue  # somebody was quicker: look again
            return True
        raise StoreError(f"The document {id!r} changed {DELETE_ATTEMPTS} times while it was to be deleted.", retryable=True)

    def delete_many(self, ids: Iterable[str], *, known: Mapping[str, str] | None = None) -> int:
        """Delete whatever is there of these ids; see the protocol."""
        wanted = sorted({check_id(id_) for id_ in ids})
        pages = (wanted[start : start + DELETES_AT_ONCE] for start in range(0, len(wanted), DELETES_AT_ONCE))
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
        options: dict[str, Any] = {"include_docs": bodies, "descending": descending, "endkey": stop}
        found: list[Document] = []
        while True:
            # What ends the range may be part of the answer, and design documents are: so the filter is here.
            page = PAGE if wanted is None else min(PAGE, wanted - len(found) + 1)
            rows = self._rows(options | {"startkey": start, "limit": page})
            found += [_listed(row, bodies) for row in rows if row["id"].startswith(prefix) and not row["id"].startswith("_")]
            if len(rows) < page or (wanted is not None and len(found) >= wanted):
                return found[skip:wanted]
            start, options["skip"] = rows[-1]["id"], 1

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
        with in_our_words(self.name, self._url):
            return follow(
                self._session,
                couchdb_http.urljoin(self._database.resource.url, "_changes"),
                since,
                timeout=timeout,
                prefix=prefix,
                ids=ids,
                limit=limit,
                bodies=bodies,
                deaf=self._is_pouch(),
            )

    def compact(self) -> None:
        """Ask the server to drop old revisions, in the background; needs an administrator of the database."""
        with in_our_words(self.name, self._url):
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

    def information(self) -> dict[str, Any]:
        """What the server says of this database: its size, and how many copies and shards it has."""
        with in_our_words(self.name, self._url):
            found: dict[str, Any] = self._database.info()
        return found

    def create(self, **settings: int) -> None:
        """Create the database; needs an administrator.

        Args:
            **settings: `n`, the number of copies, and `q`, the number of shards.
        """
        with in_our_words(self.name, self._url):
            try:
                self._database.resource.put_json(**{key: str(value) for key, value in settings.items()})
            except couchdb_http.PreconditionFailed:
                return  # somebody else was quicker

    def admit(self, user: str) -> None:
        """Make a user a member of this database; needs an administrator."""
        with in_our_words(self.name, self._url):
            security = self._database.security
            names = security.setdefault("members", {}).setdefault("names", [])
            if user not in names:
                names.append(user)
                self._database.security = security

    def drop(self) -> None:
        """Delete the database with everything in it; needs an administrator."""
        with in_our_words(self.name, self._url):
            try:
                self._database.resource.delete_json()
            except couchdb_http.ResourceNotFound:
                return

    def _write(self, id_: str, document: dict[str, Any], rev: str | None, attachment: bytes | None) -> str:
        """Write one revision; an answer that does not say for certain is settled by reading again."""
        nonce = secrets.token_hex(8)
        document |= {"_id": id_, NONCE: nonce} | ({"_rev": rev} if rev is not None else {})
        with in_our_words(self.name, self._url), self._session.watching() as uncertain:
            try:
                if attachment is None:
                    status, _, said = self._database.resource.put_json([id_], body=document)
                else:
                    content_type, message = join(json.dumps(document, separators=(",", ":")), attachment)
                    headers = {"Content-Type": content_type, "Accept": "application/json"}
                    answer = self._session.send("PUT", self._address(id_), body=message, headers=headers)
                    status, said = answer.status, answer.json()
                if status in (200, 201):
                    return str(said["rev"])
            except couchdb_http.ResourceConflict:
                if not uncertain.yes:
                    raise Conflict(
                        f"The document {id_!r} is not what the write expected: "
                        f"{'absent' if rev is None else f'at revision {rev}'}."
                    ) from None
            # 202 (too few copies answered), or a conflict that may be with our own first attempt.
            written = self._revision_with(id_, nonce)
        if written is not None:
            return written
        raise Conflict(f"The document {id_!r} was written by somebody else meanwhile.")

    def _revision_with(self, id_: str, nonce: str) -> str | None:
        """The newest revision of a document, deleted or not, if it carries this word."""
        _, _, found = self._database.resource.get_json([id_], open_revs="all")
        for leaf in found:
            if leaf.get("ok", {}).get(NONCE) == nonce:
                return str(leaf["ok"]["_rev"])
        return None

    def _delete_page(self, ids: Sequence[str], known: Mapping[str, str]) -> int:
        deleted = 0
        nonce = secrets.token_hex(8)
        revs = {id_: known[id_] for id_ in ids if id_ in known}
        unknown = [id_ for id_ in ids if id_ not in known]
        for _ in range(DELETE_ATTEMPTS):
            with in_our_words(self.name, self._url), self._session.watching() as uncertain:
                if unknown:
                    revs |= self._revisions(unknown)
                if not revs:
                    return deleted
                uncertain.yes = False
                written = self._database.update(
                    [{"_id": id_, "_rev": rev, "_deleted": True, NONCE: nonce} for id_, rev in revs.items()]
                )
                refused = [id_ for ok, id_, _ in written if not ok]
                deleted += len(revs) - len(refused)
                if uncertain.yes:
                    mine = {id_ for id_ in refused if self._revision_with(id_, nonce) is not None}
                    deleted += len(mine)
                    refused = [id_ for id_ in refused if id_ not in mine]
            if not refused:
                return deleted
            # Somebody was quicker, or what was believed of a revision was wrong: look.
            unknown, revs = refused, {}
        raise StoreError(f"{len(unknown)} documents kept changing while they were to be deleted.", retryable=True)

    def _revisions(self, ids: Sequence[str]) -> dict[str, str]:
        """The present revisions of those that are there."""
        _, _, found = self._database.resource.post_json("_all_docs", body={"keys": ids})
        return {
            row["id"]: row["value"]["rev"]
            for row in found["rows"]
            if "id" in row and row.get("value") and not row["value"].get("deleted")
        }

    def _rows(self, options: dict[str, Any]) -> Sequence[dict[str, Any]]:
        query = {
            key: value if key in ("limit", "skip") else json.dumps(value) for key, value in options.items() if value is not None
        }
        with in_our_words(self.name, self._url):
            _, _, found = self._database.resource.get_json("_all_docs", **query)
        rows: Sequence[dict[str, Any]] = found["rows"]
        return rows

    def _address(self, id_: str, **query: Any) -> str:
        return str(couchdb_http.urljoin(self._database.resource.url, id_, **query))


def _is_document_missing(error: couchdb_http.ResourceNotFound) -> bool:
    """Whether a 404 means the document; otherwise it means the database."""
    said = error.args[0] if error.args else ()
    return isinstance(said, tuple) and said[-1] in ("missing", "deleted")


def _listed(row: dict[str, Any], bodies: bool) -> Document:
    if bodies:
        return plain(dict(row["doc"]))
    return Document(row["id"], row["value"]["rev"], {})
