"""The keys: which run a caller's key names now, what was asked for under it, and the deletion of a run.

A key's document is there from before its run is created until after everything of that run is deleted. So a run whose key
does not name it (any more) is what a late writer has made of a deleted one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict, cast

from whisktrain.errors import Conflict
from whisktrain.jsontypes import Json, JsonObject
from whisktrain.records import ids
from whisktrain.records.archive import RunArchive
from whisktrain.records.run_records import RunRecords
from whisktrain.store.protocol import Document, Store

__all__ = ["KeyBody", "RunKeys", "delete_run"]


class KeyBody(TypedDict):
    """The body of a key's document.

    Attributes:
        schema: The schema number.
        run: The id of the run that the key names.
        request: What was asked for, by setting (`whisktrain.request.comparison`).
        deleted: Whether the run is being deleted: then the key names nothing.
    """

    schema: int
    run: str
    request: JsonObject
    deleted: bool


class RunKeys:
    """Every read and write of the keys' documents.

    Args:
        store: The store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._library = store.library

    def find(self, key: str) -> KeyBody | None:
        """What a key names; None where it names nothing."""
        found = self._library.get(ids.key(key))
        body = _body_of(found) if found is not None else None
        return body if body is not None and not body["deleted"] else None

    def find_run(self, name: str) -> str | None:
        """The id of the run that a key, or a run's own id of a key, stands for; None where there is no such key."""
        if ids.has_key(name):
            return name
        found = self.find(name)
        return found["run"] if found is not None else None

    def owned_by(self, name: str) -> str | None:
        """The id of the run that a key's document is about, also while it is being deleted; None without one.

        Args:
            name: The key, or the id of a run of a key: then only a document about exactly that run counts.
        """
        found = self._library.get(ids.key(ids.key_of(name)))
        run = _body_of(found)["run"] if found is not None else None
        return run if name in (run, ids.key_of(name)) else None

    def resolve(self, name: str) -> str:
        """The id of the run that a name stands for: a key, or the id of a run, which may not exist.

        Raises:
            RequestError: It can be neither.
        """
        return self.find_run(ids.check_run(name)) or name

    def names(self, run: str) -> bool:
        """Whether a run is what its key names; of a run without a key always."""
        if not ids.has_key(run):
            return True
        found = self.find(ids.key_of(run))
        return found is not None and found["run"] == run

    def wait(self, key: str, position: str | None, seconds: float) -> str:
        """Wait until a key's document changes, at most `seconds`; the position to go on from (None: from now)."""
        return self._library.changes(position, timeout=seconds, ids=[ids.key(key)]).position

    def runs(self) -> frozenset[str]:
        """The ids of the runs that keys name."""
        bodies = (_body_of(document) for document in self._library.list(ids.key("")))
        return frozenset(body["run"] for body in bodies if not body["deleted"])

    def claim(self, key: str, request: Mapping[str, Json]) -> KeyBody:
        """Have a key name a new run, or find out what it names already.

        Args:
            key: The key.
            request: What is asked for.

        Returns:
            What the key names now: of several callers at once, one wins and all get the same answer.
        """
        while True:
            found = self._library.get(ids.key(key))
            if found is not None and not _body_of(found)["deleted"]:
                return _body_of(found)
            if found is not None:
                delete_run(self._store, _body_of(found)["run"])  # it was interrupted
                continue
            body: KeyBody = {
                "schema": ids.SCHEMA,
                "run": ids.new_run(key),
                "request": dict(request),
                "deleted": False,
            }
            try:
                self._library.put(ids.key(key), body, durable=True)
            except Conflict:
                continue
            return body

    def mark_deleted(self, run: str) -> None:
        """Have the key of a run name nothing any more; other keys, and a run without one, are left alone."""
        while (found := self._document_of(run)) is not None and not _body_of(found)["deleted"]:
            try:
                body = {**_body_of(found), "deleted": True}
                self._library.put(found.id, body, rev=found.rev, durable=True)
            except Conflict:
                continue
            return

    def release(self, run: str) -> None:
        """Delete the key's document of a run that was deleted."""
        found = self._document_of(run)
        if found is None:
            return
        try:
            self._library.delete(found.id, rev=found.rev)
        except Conflict:
            return  # another execution was faster

    def _document_of(self, run: str) -> Document | None:
        """The key's document, where it is this run's."""
        if not ids.has_key(run):
            return None
        found = self._library.get(ids.key(ids.key_of(run)))
        return found if found is not None and _body_of(found)["run"] == run else None


def _body_of(document: Document) -> KeyBody:
    return cast(KeyBody, document.body)


def delete_run(store: Store, run: str) -> None:
    """Delete everything of a run but its model: whatever state it is in, however often, and after any interruption.

    The key is marked first, so that nothing of the run is taken for its successor, and goes last, so that the deletion can be
    continued by the key.

    Args:
        store: The store.
        run: The run's id.
    """
    keys = RunKeys(store)
    keys.mark_deleted(run)
    RunRecords(store, run).delete_all()
    RunArchive(store, run).delete()
    keys.release(run)
