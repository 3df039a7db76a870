"""Conformance: attachments, whole and together with their documents."""

# ruff: noqa: D102 - a test is documented by its name

from __future__ import annotations

import random

import pytest

from whisktrain.errors import Conflict
from whisktrain.store.conformance.basis import Basis
from whisktrain.store.protocol import Database, Document

__all__ = ["AttachmentTests"]

KIB = 1024
SIZES = [0, 1, 1000, 4 * KIB, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 800_000, 8 * KIB * KIB]


class AttachmentTests(Basis):
    """Bytes beside a document."""

    @pytest.mark.parametrize("size", SIZES)
    def test_bytes_come_back_as_they_were_put(self, database: Database, size: int) -> None:
        data = random.Random(size).randbytes(size)
        rev = database.put("d", {"n": 1}, attachment=data, content_type="application/x-tensors")
        assert database.get("d", attachment=True) == Document("d", rev, {"n": 1}, data, size)

    @pytest.mark.parametrize(
        "data",
        [
            bytes(range(256)) * 3,
            b"\r\n--\r\n\r\n--x--\r\n",
            b"\r\n",
            b"--",
            b"\x00" * 70_000,
            b"\x1f\x8b\x08compressed?",
        ],
        ids=["every byte", "like a boundary", "line end", "dashes", "zeros", "like gzip"],
    )
    def test_bytes_that_look_like_something_else(self, database: Database, data: bytes) -> None:
        database.put("d", {}, attachment=data, content_type="text/plain")
        found = database.get("d", attachment=True)
        assert found is not None
        assert found.attachment == data

    def test_a_reader_that_does_not_ask_gets_the_size_only(self, database: Database) -> None:
        rev = database.put("d", {"n": 1}, attachment=b"12345")
        assert database.get("d") == Document("d", rev, {"n": 1}, None, 5)

    def test_a_document_without_attachment(self, database: Database) -> None:
        rev = database.put("d", {"n": 1})
        assert database.get("d", attachment=True) == Document("d", rev, {"n": 1}, None, None)

    def test_several_documents_at_once(self, database: Database) -> None:
        sizes = {
            "a": 5,
            "ü/?": 70_000,
            "gzip": 20_000,
            "none": None,
            "empty": 0,
            "boundary": 33,
            "gone": 7,
        }
        datas = {
            id_: None if size is None else random.Random(size).randbytes(size)
            for id_, size in sizes.items()
        }
        datas |= {"boundary": b"\r\n----\r\n\r\n\r\n--\r\nContent-Type: x"}
        revs = {}
        for id_, data in datas.items():
            kind = "text/plain" if id_ == "gzip" else "application/octet-stream"
            revs[id_] = database.put(id_, {"id": id_}, attachment=data, content_type=kind)
        database.delete("gone")
        found = database.get_many([*datas, "absent", "a"])
        assert found == {
            id_: Document(id_, revs[id_], {"id": id_}, data, None if data is None else len(data))
            for id_, data in datas.items()
            if id_ != "gone"
        }
        assert database.get_many(["a"]) == {"a": found["a"]}
        assert database.get_many(["absent", "gone"]) == database.get_many([]) == {}

    @pytest.mark.parametrize("size", [10, 100_000])
    def test_an_attachment_goes_unless_it_is_given_again(
        self, database: Database, size: int
    ) -> None:
        first = database.put("d", {"n": 1}, attachment=b"a" * size)
        second = database.put("d", {"n": 2}, rev=first, attachment=b"b" * (size + 1))
        assert database.get("d", attachment=True) == Document(
            "d", second, {"n": 2}, b"b" * (size + 1), size + 1
        )
        third = database.put("d", {"n": 3}, rev=second)
        assert database.get("d", attachment=True) == Document("d", third, {"n": 3})

    @pytest.mark.parametrize("size", [10, 100_000])
    def test_a_document_created_again_has_no_old_attachment(
        self, database: Database, size: int
    ) -> None:
        database.put("d", {"n": 1}, attachment=b"a" * size)
        database.delete("d")
        rev = database.put("d", {"n": 2})
        assert database.get("d", attachment=True) == Document("d", rev, {"n": 2})

    def test_a_refused_write_leaves_the_attachment_alone(self, database: Database) -> None:
        rev = database.put("d", {"n": 1}, attachment=b"a" * 100_000)
        with pytest.raises(Conflict, match="'d'"):
            database.put("d", {"n": 2}, attachment=b"b" * 100_000)
        assert database.get("d", attachment=True) == Document(
            "d", rev, {"n": 1}, b"a" * 100_000, 100_000
        )

    @pytest.mark.parametrize("size", [100, 500_000])
    def test_durable_writes_read_the_same(self, database: Database, size: int) -> None:
        data = random.Random(size).randbytes(size)
        rev = database.put("d", {"n": 1}, attachment=data, durable=True)
        assert database.get("d", attachment=True) == Document("d", rev, {"n": 1}, data, size)
