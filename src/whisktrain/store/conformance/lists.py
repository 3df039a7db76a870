"""Conformance: listing by prefix, in order, in pages."""

# ruff: noqa: D102 - a test is documented by its name

from __future__ import annotations

import pytest

from whisktrain.store.conformance.basis import ODD_IDS, Basis
from whisktrain.store.protocol import Database, Document

__all__ = ["ListTests"]


class ListTests(Basis):
    """Lists of documents."""

    def test_an_empty_database_lists_nothing(self, database: Database) -> None:
        assert database.list("") == []
        assert database.list("run:", descending=True, limit=3, skip=1, bodies=False) == []

    def test_order_is_that_of_code_points(self, database: Database) -> None:
        ids = self.listable(
            [
                "a:1:10",
                "a:1:2",
                "a:1:1",
                "a:10:1",
                "a:2:1",
                "A:1",
                "a",
                "b",
                "a:1:",
                "Z",
                "é",
                "~",
                " ",
                "é:1",
                "z",
                "中",
                "ﬀ",
                "\ue000",
                "\uffff",
                "\U0001f600",
            ]
        )
        for id_ in ids:
            database.put(id_, {"id": id_})
        assert [document.id for document in database.list("")] == sorted(ids)
        assert [document.id for document in database.list("", descending=True)] == sorted(
            ids, reverse=True
        )
        assert [document.id for document in database.list("a:1:")] == [
            "a:1:",
            "a:1:1",
            "a:1:10",
            "a:1:2",
        ]

    def test_a_prefix_means_the_start_of_the_id_literally(self, database: Database) -> None:
        ids = [
            "a:1",
            "a:1:1",
            "a:12",
            "a%3A1",
            "A:1",
            "a:",
            "a",
            "b:a:1",
            "a_1",
            "aX1",
            "a;",
            "a:\uffff",
            "a:\U0001f600",
        ]
        ids = self.listable(ids)
        for id_ in ids:
            database.put(id_, {})
        for prefix in [
            "a:1",
            "a:1:",
            "a:",
            "a",
            "a_",
            "a%",
            "",
            "b",
            "c",
            "a:\uffff",
            "a:\U0001f600",
        ]:
            expected = sorted(id_ for id_ in ids if id_.startswith(prefix))
            assert [document.id for document in database.list(prefix)] == expected
            assert [document.id for document in database.list(prefix, descending=True)] == expected[
                ::-1
            ]

    def test_odd_ids_are_listed_by_their_own_prefix(self, database: Database) -> None:
        ids = self.listable(ODD_IDS)
        for id_ in ids:
            database.put(id_, {"id": id_})
        assert {document.id: document.body["id"] for document in database.list("")} == {
            id_: id_ for id_ in ids
        }
        for id_ in ids:
            expected = {other for other in ids if other.startswith(id_)}
            assert {document.id for document in database.list(id_)} == expected

    def test_pages_in_both_directions(self, database: Database) -> None:
        ids = [f"d:{k:03}" for k in range(25)]
        for id_ in [*ids, "a", "z"]:
            database.put(id_, {})
        for descending, expected in ((False, ids), (True, ids[::-1])):
            pages = [
                database.list("d:", limit=10, skip=skip, descending=descending)
                for skip in (0, 10, 20, 30)
            ]
            assert [len(page) for page in pages] == [10, 10, 5, 0]
            assert [document.id for page in pages for document in page] == expected
        assert database.list("d:", limit=0) == []
        assert [document.id for document in database.list("d:", skip=23)] == ids[23:]
        assert [document.id for document in database.list("d:", limit=1, descending=True)] == [
            ids[-1]
        ]

    def test_bodies_revisions_and_sizes(self, database: Database) -> None:
        first = database.put("d:1", {"n": 1}, attachment=b"12345")
        second = database.put("d:2", {"n": 2, "sub": {"x": [1]}})
        assert database.list("d:") == [
            Document("d:1", first, {"n": 1}, None, 5),
            Document("d:2", second, {"n": 2, "sub": {"x": [1]}}),
        ]
        bare = database.list("d:", bodies=False)
        assert [(document.id, document.rev, document.body) for document in bare] == [
            ("d:1", first, {}),
            ("d:2", second, {}),
        ]

    def test_deleted_documents_are_not_listed(self, database: Database) -> None:
        for k in range(6):
            database.put(f"d:{k}", {})
        database.delete("d:0")
        database.delete_many(["d:2", "d:5"])
        database.put("d:2", {"again": True})
        assert [document.id for document in database.list("d:")] == ["d:1", "d:2", "d:3", "d:4"]
        assert [document.id for document in database.list("d:", limit=2, skip=1)] == ["d:2", "d:3"]
        assert [
            document.id for document in database.list("d:", bodies=False, descending=True, limit=1)
        ] == ["d:4"]

    @pytest.mark.parametrize("bodies", [True, False])
    def test_a_long_list_is_complete(self, database: Database, bodies: bool) -> None:
        ids = [f"d:{k}" for k in range(250)]
        for id_ in ids:
            database.put(id_, {"id": id_})
        assert [document.id for document in database.list("d:", bodies=bodies)] == sorted(ids)
