"""Conformance: single documents, revisions and tombstones."""

# ruff: noqa: D102 - a test is documented by its name

from __future__ import annotations

import math
from typing import Any

import pytest

from whisktrain.errors import Conflict, StoreError
from whisktrain.store.conformance.basis import ODD_IDS, Basis
from whisktrain.store.opening import open_store
from whisktrain.store.protocol import Database, Document, Store

__all__ = ["DocumentTests"]

AWKWARD_BODY: dict[str, Any] = {
    "": "empty key",
    "id": "x",
    "rev": "1-x",
    "key with spaces": 1,
    "constructor": {
        "prototype": 1,
        "hasOwnProperty": 2,
        "_id": "nested",
        "_rev": "nested",
        "_attachments": {},
    },
    "reduce": ["a", ["b", [None, True, False]]],
    "ключ": "значение",
    "emoji \U0001f600": "\U0001f600 \u2028 \x7f \\ \" ' / \b\f\n\r\t",
    "$ref": "#/a",
    "a.b": {"c/d": {}},
    # CouchDB takes subnormal numbers for zero, so the smallest here is the smallest normal one.
    "floats": [
        0.1,
        1e-300,
        1.7976931348623157e308,
        2.2250738585072014e-308,
        -2.5,
        3.141592653589793,
    ],
    "long": "x" * 20000,
    "list": [],
    "zero": 0,
}


class DocumentTests(Basis):
    """Reading, creating, replacing and deleting one document."""

    def test_an_absent_document_reads_as_none(self, database: Database) -> None:
        assert database.get("absent") is None
        assert database.get("absent", attachment=True) is None

    def test_a_document_reads_as_it_was_put(self, database: Database) -> None:
        body = {"schema": 1, "words": ["a", "b"], "nothing": None}
        rev = database.put("run:a", body)
        assert database.get("run:a") == Document(
            "run:a", rev, {"schema": 1, "words": ["a", "b"], "nothing": None}
        )
        assert body == {"schema": 1, "words": ["a", "b"], "nothing": None}

    def test_an_empty_body(self, database: Database) -> None:
        rev = database.put("empty", {})
        assert database.get("empty") == Document("empty", rev, {})

    def test_awkward_keys_and_values_are_kept(self, database: Database) -> None:
        database.put("awkward", AWKWARD_BODY)
        found = database.get("awkward")
        assert found is not None
        assert found.body == AWKWARD_BODY
        assert [repr(x) for x in found.body["floats"]] == [repr(x) for x in AWKWARD_BODY["floats"]]

    def test_integers_beyond_2_to_53_are_exact(self, database: Database) -> None:
        numbers = [2**53 - 1, -(2**53) + 1]
        if self.EXACT_NUMBERS:
            numbers += [2**53 + 1, -(2**63), 2**64 + 1, 10**40 + 7]
        database.put("big", {"numbers": numbers})
        found = database.get("big")
        assert found is not None
        assert found.body == {"numbers": numbers}
        assert all(isinstance(number, int) for number in found.body["numbers"])

    @pytest.mark.parametrize(
        "body",
        [
            {"x": math.nan},
            {"x": [math.inf]},
            {"x": -math.inf},
            {"_id": "y"},
            {"_x": 1},
            {"x": b"bytes"},
            {"x": {1, 2}},
            {"x": object()},
        ],
        ids=["nan", "inf", "minus-inf", "_id", "_x", "bytes", "set", "object"],
    )
    def test_what_is_no_document_is_refused(self, database: Database, body: dict[str, Any]) -> None:
        with pytest.raises(StoreError) as caught:
            database.put("bad", body)
        assert not caught.value.retryable
        assert database.get("bad") is None

    @pytest.mark.parametrize("bad", ["", "_local", "_design/x", ".", "..", "a\0", "\ud800"])
    def test_bad_ids_are_refused(self, database: Database, bad: str) -> None:
        with pytest.raises(StoreError):
            database.put(bad, {})

    @pytest.mark.parametrize("odd", ODD_IDS)
    def test_odd_ids_work_everywhere(self, database: Database, odd: str) -> None:
        position = database.changes(None).position
        rev = database.put(odd, {"n": 1}, attachment=b"first")
        rev = database.put(odd, {"n": 2}, rev=rev, attachment=b"second")
        found = database.get(odd, attachment=True)
        assert found == Document(odd, rev, {"n": 2}, b"second", 6)
        if self.listable([odd]):
            assert [document.id for document in database.list(odd)] == [odd]
        assert [(row.id, row.deleted) for row in database.changes(position).rows] == [(odd, False)]
        assert [row.id for row in database.changes(position, ids=[odd]).rows] == [odd]
        assert [row.id for row in database.changes(position, prefix=odd).rows] == [odd]
        assert database.delete(odd, rev=rev)
        database.put(odd, {})
        assert database.delete_many([odd]) == 1
        assert database.get(odd) is None

    def test_a_put_without_revision_only_creates(self, database: Database) -> None:
        rev = database.put("d", {"n": 1})
        for body in ({"n": 2}, {"n": 1}):
            with pytest.raises(Conflict):
                database.put("d", body)
        assert database.get("d") == Document("d", rev, {"n": 1})

    def test_a_put_with_a_revision_replaces_exactly_that_one(self, database: Database) -> None:
        first = database.put("d", {"n": 1})
        second = database.put("d", {"n": 2}, rev=first)
        assert second != first
        for stale in (first, "1-00000000000000000000000000000000", "7-cafe"):
            with pytest.raises(Conflict):
                database.put("d", {"n": 3}, rev=stale)
        assert database.get("d") == Document("d", second, {"n": 2})

    def test_replacing_by_the_same_body_is_a_new_revision(self, database: Database) -> None:
        first = database.put("d", {"n": 1})
        second = database.put("d", {"n": 1}, rev=first)
        with pytest.raises(Conflict):
            database.put("d", {"n": 1}, rev=first)
        assert second != first

    def test_a_put_with_a_revision_on_an_absent_document_conflicts(
        self, database: Database
    ) -> None:
        with pytest.raises(Conflict):
            database.put("absent", {}, rev="1-967a00dff5e02add41819138abb3284d")
        assert database.get("absent") is None

    def test_a_deleted_document_conflicts_with_its_old_revisions_and_can_be_created_again(
        self, database: Database
    ) -> None:
        first = database.put("d", {"n": 1})
        second = database.put("d", {"n": 2}, rev=first)
        assert database.delete("d")
        for old in (first, second):
            with pytest.raises(Conflict):
                database.put("d", {"n": 3}, rev=old)
        assert database.get("d") is None
        again = database.put("d", {"n": 1})
        assert again not in (first, second)
        for old in (first, second):
            with pytest.raises(Conflict):
                database.put("d", {"n": 3}, rev=old)
        assert database.get("d") == Document("d", again, {"n": 1})

    def test_deleting_and_creating_again_many_times_never_repeats_a_revision(
        self, database: Database
    ) -> None:
        seen = set()
        for _ in range(5):
            seen.add(database.put("d", {"n": 1}))
            assert database.delete("d")
        assert len(seen) == 5

    def test_a_deletion_says_whether_it_deleted(self, database: Database) -> None:
        assert database.delete("d") is False
        rev = database.put("d", {})
        assert database.delete("d") is True
        assert database.delete("d") is False
        assert database.delete("d", rev=rev) is False
        assert database.delete("never", rev=rev) is False

    def test_a_deletion_with_a_revision_deletes_exactly_that_one(self, database: Database) -> None:
        first = database.put("d", {"n": 1})
        second = database.put("d", {"n": 2}, rev=first)
        with pytest.raises(Conflict):
            database.delete("d", rev=first)
        assert database.get("d") == Document("d", second, {"n": 2})
        assert database.delete("d", rev=second) is True
        assert database.get("d") is None

    def test_deleting_many_counts_what_was_there(self, database: Database) -> None:
        for k in range(40):
            database.put(f"d:{k}", {"k": k}, attachment=b"x")
        database.delete("d:0")
        wanted = [f"d:{k}" for k in range(30)] + ["d:5", "absent", "über/?"]
        assert database.delete_many(iter(wanted)) == 29
        assert database.delete_many(wanted) == 0
        assert database.delete_many([]) == 0
        assert {document.id for document in database.list("")} == {f"d:{k}" for k in range(30, 40)}
        assert database.put("d:7", {"again": True})

    def test_known_revisions_of_what_is_deleted_may_be_old(self, database: Database) -> None:
        known = {f"d:{k}": database.put(f"d:{k}", {"n": k}) for k in range(4)}
        database.put("d:1", {"n": 9}, rev=known["d:1"])
        database.delete("d:2")
        database.put("d:5", {})
        assert database.delete_many([*known, "d:5", "absent"], known=known) == 4
        assert database.list("") == []
        assert database.delete_many(known, known=known) == 0
        for k in range(4):
            database.put(f"d:{k}", {"again": True})
        assert len(database.list("")) == 4

    def test_the_two_databases_are_apart(self, store: Store) -> None:
        store.library.put("d", {"in": "library"})
        assert store.rounds.get("d") is None
        store.rounds.put("d", {"in": "rounds"})
        assert store.library.delete("d")
        found = store.rounds.get("d")
        assert found is not None
        assert found.body == {"in": "rounds"}
        assert store.library.name != store.rounds.name

    def test_what_one_opened_store_writes_another_reads(self, store: Store, address: str) -> None:
        other = open_store(address)
        rev = store.library.put("d", {"n": 1}, durable=True, attachment=b"kept")
        assert other.library.get("d", attachment=True) == Document("d", rev, {"n": 1}, b"kept", 4)
        other.close()
        store.library.put("d", {"n": 2}, rev=rev)

    def test_making_what_is_there_changes_nothing(self, store: Store) -> None:
        rev = store.rounds.put("d", {"n": 1})
        store.ensure()
        assert store.rounds.get("d") == Document("d", rev, {"n": 1})

    def test_compaction_keeps_documents_revisions_and_the_feed(self, database: Database) -> None:
        kept = database.put("kept", {"n": 1}, attachment=b"k" * 100_000)
        gone = database.put("gone", {"n": 1}, attachment=b"g" * 100_000)
        position = database.changes(None).position
        database.delete("gone")
        database.compact()
        assert database.get("kept", attachment=True) == Document(
            "kept", kept, {"n": 1}, b"k" * 100_000, 100_000
        )
        assert database.get("gone") is None
        assert [(row.id, row.deleted) for row in database.changes(position).rows] == [
            ("gone", True)
        ]
        with pytest.raises(Conflict):
            database.put("gone", {}, rev=gone)
        assert database.put("gone", {}) != gone

    def test_no_password_in_address_or_repr(self, store: Store, address: str) -> None:
        user_and_password = address.partition("//")[2].rpartition("@")[0]
        password = user_and_password.partition(":")[2]
        shown = f"{store.url} {store!r} {store.rounds!r} {store.library!r}"
        assert not password or password not in shown
