"""CouchDB: what only a cluster, another writer or an odd server answers, made by the meddler or by a writer in between."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from whisktrain.errors import Conflict, Damaged, StoreError
from whisktrain.store.couch import CouchDatabase, CouchStore, database, multipart, session
from whisktrain.store.couch.documents import several, whole
from whisktrain.store.couch.session import Answer

from .meddler import Meddle, Meddler, status
from .meddler import whole as unchanged
from .multipart_front import MultipartFront


def reply(code: int, content: object) -> Meddle:
    """Another answer altogether."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    head = f"HTTP/1.1 {code} Scripted\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return lambda _: head.encode() + body


@contextlib.contextmanager
def writing_between(
    store: CouchStore, monkeypatch: pytest.MonkeyPatch, write: Callable[[], object]
):
    """Let another writer write before each write of the store."""
    send = CouchDatabase._send

    def quicker(self: CouchDatabase, *arguments):
        monkeypatch.setattr(CouchDatabase, "_send", send)
        write()
        monkeypatch.setattr(CouchDatabase, "_send", quicker)
        return send(self, *arguments)

    monkeypatch.setattr(CouchDatabase, "_send", quicker)
    yield
    monkeypatch.setattr(CouchDatabase, "_send", send)


def test_reprs_name_the_address_without_the_password() -> None:
    with contextlib.closing(CouchStore("http://someuser:geheim@localhost:5984")) as store:
        assert repr(store) == "CouchStore('http://localhost:5984')"
        assert repr(store.rounds) == "CouchDatabase('whisktrain-rounds', 'http://localhost:5984')"
        assert repr(store._session) == "HttpSession('http://localhost:5984')"


def test_a_document_that_keeps_changing_is_not_deleted(
    store: CouchStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "DELETE_ATTEMPTS", 3)
    store.rounds.put("d", {"n": 0})

    def change() -> None:
        present = store.rounds.get("d")
        assert present is not None
        store.rounds.put("d", {"n": 1}, rev=present.rev)

    with (
        writing_between(store, monkeypatch, change),
        pytest.raises(StoreError, match="changed 3 times") as caught,
    ):
        store.rounds.delete("d")
    assert caught.value.retryable
    assert store.rounds.get("d") is not None


def test_a_deletion_of_an_older_revision_conflicts(store: CouchStore) -> None:
    first = store.rounds.put("d", {})
    store.rounds.put("d", {"n": 1}, rev=first)
    with pytest.raises(Conflict, match="the deletion expected"):
        store.rounds.delete("d", rev=first)


def test_many_documents_that_keep_changing_are_not_deleted(
    store: CouchStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "DELETE_ATTEMPTS", 2)
    rev = store.rounds.put("d", {})
    old = store.rounds.put("d", {"n": 1}, rev=rev)
    update = store.rounds._database.update

    def quicker(documents: list[dict[str, object]]) -> list[tuple[bool, str, object]]:
        present = store.rounds.get("d")
        assert present is not None
        store.rounds.put("d", {"n": 2}, rev=present.rev)
        return update(documents)

    monkeypatch.setattr(store.rounds._database, "update", quicker)
    with pytest.raises(StoreError, match="1 documents kept changing") as caught:
        store.rounds.delete_many(["d"], known={"d": old})
    assert caught.value.retryable


def test_a_wrong_known_revision_is_looked_up(store: CouchStore) -> None:
    known = {"d": store.rounds.put("d", {})}
    store.rounds.put("d", {"n": 1}, rev=known["d"])
    assert store.rounds.delete_many(["d", "absent"], known=known) == 1


def test_a_database_that_was_made_or_dropped_meanwhile(store: CouchStore) -> None:
    store.rounds.create()
    assert store.rounds.exists()
    store.rounds.drop()
    store.rounds.drop()
    assert not store.rounds.exists()
    store.ensure()


def test_other_failures_of_the_database_are_raised(store: CouchStore, meddler: Meddler) -> None:
    meddler.answers = [status(403)]
    with pytest.raises(StoreError) as caught:
        store.rounds.exists()
    assert caught.value.code == "store_forbidden"


def test_a_user_is_admitted_once(store: CouchStore, meddler: Meddler) -> None:
    security = {"members": {"names": ["other"]}}
    meddler.answers = [
        reply(200, security),
        reply(200, {"ok": True}),
        reply(200, {}),
        reply(200, {"ok": True}),
    ]
    store.admit("someuser")
    assert b'{"members":{"names":["other","someuser"]}}' in meddler.raw
    meddler.answers = [reply(200, {"members": {"names": ["someuser"]}})] * 2
    meddler.requests.clear()
    store.admit("someuser")
    assert {line.split()[0] for line in meddler.requests} == {"GET"}, "nothing is written"


def test_settings(store: CouchStore, meddler: Meddler) -> None:
    meddler.answers = [
        reply(200, "5984"),
        reply(404, {"error": "not_found", "reason": "unknown_config_value"}),
    ]
    assert store.setting("chttpd", "port") == "5984"
    assert store.setting("chttpd", "none") is None


def test_a_server_that_says_nothing_of_couchdb(store: CouchStore, meddler: Meddler) -> None:
    for answer in ({"hello": 1}, [1]):
        meddler.answers = [reply(200, answer)]
        with pytest.raises(StoreError, match="does not say that it is a CouchDB"):
            store.greeting()


def test_answers_that_are_not_json(store: CouchStore, meddler: Meddler) -> None:
    meddler.answers = [reply(200, b"<html>")]
    with pytest.raises(StoreError, match="expected JSON") as caught:
        store.rounds.changes("0")
    assert caught.value.code == "store_protocol"


def test_too_many_requests_are_repeated_and_are_no_lost_answers(
    store: CouchStore, meddler: Meddler
) -> None:
    store.rounds.put("d", {})
    meddler.answers = [status(429)]
    assert store.rounds.get("d") is not None
    meddler.requests.clear()
    meddler.answers = [status(429)]
    with pytest.raises(Conflict):
        store.rounds.put("d", {})
    assert [line.split()[0] for line in meddler.requests] == ["PUT", "PUT"], (
        "nothing is read: no answer was lost"
    )


def test_a_refusal_whose_body_says_nothing(store: CouchStore, meddler: Meddler) -> None:
    for body in (b"no json", b"[1]"):
        meddler.answers = [reply(418, body)]
        with pytest.raises(StoreError, match="refused a request"):
            store.rounds.get("d")


def test_a_conflict_of_the_database_itself(store: CouchStore, meddler: Meddler) -> None:
    meddler.answers = [reply(409, {"error": "conflict", "reason": "Document update conflict."})]
    with pytest.raises(Conflict, match="another revision"):
        store.rounds.compact()


def test_a_restart_before_the_first_answer(meddler: Meddler, prefix: str) -> None:
    with contextlib.closing(CouchStore(f"{meddler.address}?prefix={prefix}")) as store:
        meddler.answers = [status(503), unchanged]
        assert store.greeting()


def test_a_bundle_of_authorities_may_be_a_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv("CURL_CA_BUNDLE", str(tmp_path))
    pools = session._pools(None)
    assert pools.connection_pool_kw["ca_cert_dir"] == str(tmp_path)
    assert session._pools("proxy.invalid:1").proxy is not None, "a proxy without a scheme"


def test_the_couchdb_package_may_send_text_and_bytes(store: CouchStore) -> None:
    base = store._session._base
    for body in ('{"keys":[]}', b'{"keys":[]}'):
        code, _, content = store._session.request(
            "POST",
            f"{base}/{store.rounds.name}/_all_docs",
            body,
            {"Content-Type": "application/json"},
        )
        assert code == 200
        assert json.load(content)["rows"] == []


@pytest.fixture
def front(multipart_front: MultipartFront, prefix: str):
    with contextlib.closing(CouchStore(f"{multipart_front.address}?prefix={prefix}")) as store:
        store.ensure()
        yield store
        store.drop()


def test_several_documents_are_one_request(
    front: CouchStore, multipart_front: MultipartFront
) -> None:
    datas = {f"d:{k}": bytes([k]) * 1000 for k in range(4)}
    for id_, data in datas.items():
        front.rounds.put(id_, {}, attachment=data)
    front.rounds.put("plain", {"n": 1})
    multipart_front.requests.clear()
    found = front.rounds.get_many([*datas, "plain", "absent"])
    assert {id_: document.attachment for id_, document in found.items()} == {**datas, "plain": None}
    assert len(multipart_front.requests) == 1
    multipart_front.json_bulk = True
    assert front.rounds.get_many(list(datas)) == {id_: found[id_] for id_ in datas}, (
        "asked one by one"
    )


def test_an_attachment_that_is_not_whole_is_damaged() -> None:
    stub = {"length": 5, "follows": True}
    document = json.dumps({"_id": "d", "_rev": "1-a", "_attachments": {"data": stub}})
    content_type, message = multipart.join(document, b"1234")
    with pytest.raises(Damaged, match="4 bytes instead of 5"):
        whole("d", Answer(200, {"Content-Type": content_type}, message))
    with pytest.raises(Damaged, match="0 bytes instead of 5"):
        whole("d", Answer(200, {}, document.encode()))


def test_a_deleted_document_and_one_without_attachment_among_several() -> None:
    deleted = json.dumps({"_id": "gone", "_rev": "2-a", "_deleted": True})
    plain = json.dumps({"_id": "d", "_rev": "1-a", "n": 1})
    content_type, inner = multipart.join(plain, b"")
    message = b"".join(
        b"\r\n--outer\r\nContent-Type: " + kind.encode() + b"\r\n\r\n" + body
        for kind, body in (("application/json", deleted.encode()), (content_type, inner))
    )
    found = several(
        Answer(200, {"Content-Type": "multipart/mixed; boundary=outer"}, message + b"\r\n--outer--")
    )
    assert [(document.id, document.body, document.attachment) for document in found] == [
        ("d", {"n": 1}, None)
    ]


def test_an_attachment_that_the_server_compressed() -> None:
    import gzip

    data = b"x" * 1000
    packed = gzip.compress(data)
    stub = {"length": len(data), "encoding": "gzip", "encoded_length": len(packed), "follows": True}
    content_type, message = multipart.join(
        json.dumps({"_id": "d", "_rev": "1-a", "_attachments": {"data": stub}}), packed
    )
    found = whole("d", Answer(200, {"Content-Type": content_type}, message))
    assert (found.attachment, found.attachment_size) == (data, len(data))


def test_a_part_without_a_content_type_is_damaged() -> None:
    with pytest.raises(Damaged, match="no content type"):
        multipart.parts("multipart/mixed; boundary=b", b"--b\r\nX: y\r\n\r\nbody\r\n--b--")
