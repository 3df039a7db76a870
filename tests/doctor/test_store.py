"""The store's faults: in CouchDB's own words, and made on a real CouchDB where WHISKTRAIN_TEST_COUCHDB names one."""

from __future__ import annotations

import os
import secrets
from urllib.parse import urlsplit

import pytest
import requests

from whisktrain.doctor.storage import check_feed, check_store, couch_settings
from whisktrain.store.opening import open_store

REAL = os.environ.get("WHISKTRAIN_TEST_COUCHDB", "")
WRONG_PASSWORD = 401, {"error": "unauthorized", "reason": "Name or password is incorrect."}, {}
NO_WRITES = 403, {"error": "forbidden", "reason": "read only"}, {}
NO_DATABASE = 404, {"error": "not_found", "reason": "Database does not exist."}, {}


def check(address):
    store = open_store(address)
    try:
        return {f.name: f for f in check_store(store, address)}
    finally:
        store.close()


@pytest.mark.parametrize(
    ("answer", "words", "hint"),
    [
        (
            WRONG_PASSWORD,
            "does not accept the user or the password",
            "--store http://USER:PASSWORD@",
        ),
        (
            NO_WRITES,
            "does not let this user do that in the database whisktrain",
            "Let the user write",
        ),
        (NO_DATABASE, "has no database whisktrain", "whisktrain deploy --store http://ADMIN"),
    ],
)
def test_a_couchdb_that_refuses(platform, answer, words, hint) -> None:
    def reply(method, path, body):
        return (200, {"couchdb": "Welcome", "version": "3.5.0"}, {}) if path == "/" else answer

    platform.answer = reply
    found = check(platform.url.replace("http://", "http://someone:hidden@"))
    assert list(found) == ["store"]
    assert not found["store"].ok
    assert words in found["store"].detail
    assert hint in found["store"].hint
    assert "hidden" not in repr(found)


def test_a_store_that_is_down(monkeypatch) -> None:
    monkeypatch.setattr("whisktrain.store.couch.session.FIRST_RETRY_SECONDS", 0.1)
    found = check("http://someone:hidden@127.0.0.1:9")["store"]
    assert "does not answer" in found.detail
    assert "docker compose up --detach couchdb" in found.hint
    assert "hidden" not in repr(found)


def test_couchdbs_settings(platform) -> None:
    """What a CouchDB says of itself, in its own words."""
    cluster, buffer, version, delayed = (
        {"n": 1, "q": 1},
        (200, "1048576", {}),
        "3.5.0",
        (404, {"error": "not_found"}, {}),
    )

    def answer(method, path, body):
        if path.startswith("/_node"):
            return delayed if path.endswith("delayed_commits") else buffer
        if path == "/":
            return 200, {"couchdb": "Welcome", "version": version}, {}
        return 200, {"db_name": path[1:], "cluster": cluster}, {}

    platform.answer = answer
    address = platform.url.replace("http://", "http://someone:hid%40den@")

    def settings():
        return {f.name: f for f in couch_settings(address, "whisktrain-rounds")}

    found = settings()
    assert list(found) == ["store settings", "store buffer", "store commits"]
    assert all(f.ok and not f.hint for f in found.values())
    assert platform.calls[-1][3]["Authorization"] == "Basic c29tZW9uZTpoaWRAZGVu"
    cluster, buffer = {"n": 3, "q": 8}, (200, "4096", {})
    found = settings()
    assert [f.ok for f in found.values()] == [False, False, True]
    assert found["store settings"].detail == "whisktrain-rounds has n=3, q=8"
    assert (
        "curl -X DELETE http://ADMIN:PASSWORD@HOST:5984/whisktrain-rounds"
        in found["store settings"].hint
    )
    assert "curl -X PUT" in found["store buffer"].hint
    buffer = (404, {"error": "not_found", "reason": "unknown_config_value"}, {})
    assert settings()["store buffer"].detail == "attachment_stream_buffer_size is 4096, the default"
    buffer = (401, {"error": "unauthorized"}, {})
    assert settings()["store buffer"].ok
    version, delayed = "2.3.1", (200, "true", {})
    found = settings()["store commits"]
    assert (found.ok, found.detail) == (False, "CouchDB 2.3.1 delays them")
    assert "delayed_commits" in found.hint
    assert "hid" not in repr(settings())


def test_the_feeds_registrations(tmp_path) -> None:
    store = open_store(f"sqlite:{tmp_path}/store")
    store.ensure()
    wanted = ["/guest/rounds"]
    assert check_feed(store, wanted).detail == "/guest/rounds is not registered in the store"
    rev = store.rounds.put(
        "registration:guest:rounds", {"trigger": "/guest/rounds", "active": False}
    )
    assert check_feed(store, wanted).detail == "/guest/rounds is paused"
    store.rounds.put(
        "registration:guest:rounds", {"trigger": "/guest/rounds", "active": True}, rev=rev
    )
    assert check_feed(store, wanted).ok
    store.close()


def faults_of_a_real_couchdb(address) -> None:
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    prefix = f"doctor-{secrets.token_hex(6)}"
    store = open_store(f"{address}/{prefix}")
    auth = (parts.username, parts.password)
    base, user, password = f"http://{host}", f"u{secrets.token_hex(4)}", secrets.token_hex(8)
    ours = f"http://{user}:{password}@{host}/{prefix}"
    try:
        assert "has no database" in check(f"{address}/{prefix}")["store"].detail
        store.ensure()
        found = check(f"{address}/{prefix}")
        assert found["store"].ok
        assert found["store settings"].detail.endswith("n=1, q=1")
        assert found["store commits"].ok
        member = {"name": user, "password": password, "roles": [], "type": "user"}
        requests.put(f"{base}/_users", auth=auth, timeout=10)
        made = requests.put(
            f"{base}/_users/org.couchdb.user:{user}", json=member, auth=auth, timeout=10
        )
        assert made.status_code == 201, made.text
        assert "does not let this user" in check(ours)["store"].detail, "no member yet"
        store.admit(user)
        found = check(ours)
        assert found["store"].ok
        assert "administrator" in found["store buffer"].detail
        design = {"validate_doc_update": "function(doc) { throw({forbidden: 'read only'}); }"}
        put = requests.put(f"{base}/{prefix}/_design/readonly", json=design, auth=auth, timeout=10)
        assert put.status_code == 201, put.text
        assert "read only" in check(ours)["store"].detail
        assert (
            "does not accept the user or the password"
            in check(f"http://{user}:wrong@{host}/{prefix}")["store"].detail
        )
        setting = f"{base}/_node/_local/_config/couchdb/attachment_stream_buffer_size"
        before = requests.get(setting, auth=auth, timeout=10).json()
        try:
            requests.delete(setting, auth=auth, timeout=10)
            requests.delete(
                f"{base}/{prefix}/_design/readonly",
                auth=auth,
                params={"rev": put.json()["rev"]},
                timeout=10,
            )
            found = check(f"{address}/{prefix}")["store buffer"]
            assert found.detail == "attachment_stream_buffer_size is 4096, the default"
        finally:
            requests.put(setting, json=before, auth=auth, timeout=10)
    finally:
        document = requests.get(
            f"{base}/_users/org.couchdb.user:{user}", auth=auth, timeout=10
        ).json()
        requests.delete(
            f"{base}/_users/org.couchdb.user:{user}",
            params={"rev": document.get("_rev")},
            auth=auth,
            timeout=10,
        )
        store.drop()
        store.close()


if REAL:

    def test_faults_of_a_real_couchdb() -> None:
        faults_of_a_real_couchdb(REAL)
