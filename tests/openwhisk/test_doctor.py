from __future__ import annotations

import threading

import pytest

from whisktrain.embedded import Host
from whisktrain.embedded import Limits as HostLimits
from whisktrain.openwhisk.client import Client
from whisktrain.openwhisk.deployment import deploy
from whisktrain.openwhisk.doctor import examine


@pytest.fixture
def place(tmp_path):
    address = f"sqlite:{tmp_path}/store"
    environment = {"WHISKTRAIN_STORE": address, "WHISKTRAIN_CONTAINER_MEMORY": "1024"}
    with Host(tmp_path / "host") as host, Client(host.apihost, host.auth) as client:
        yield client, address, environment


def findings(client, address, environment):
    return {f.name: f for f in examine(client, address, environment)}


def test_a_deployment_in_order(place) -> None:
    client, address, environment = place
    deploy(client, environment=environment)
    told = []
    found = examine(client, address, environment, narrate=told.append)
    assert told == found
    assert all(f.ok and not f.fix for f in found), [f for f in found if not f.ok]
    names = [f.name for f in found]
    assert names == [
        "platform",
        "key",
        "limits",
        "actions",
        "image of train",
        "image of worker",
        "store, from an action",
        "trigger",
        "rule",
        "store",
        "feed",
        "follower",
    ]
    by_name = {f.name: f for f in found}
    assert "1 workers at a time" in by_name["limits"].detail
    assert set(found[0].to_record()) == {"name", "ok", "detail", "fix"}


def test_each_fault_is_found_with_its_fix(place) -> None:
    client, address, environment = place
    before = findings(client, address, environment)
    assert {n for n, f in before.items() if not f.ok} == {"actions", "trigger", "rule", "feed"}
    assert all(f.fix for f in before.values() if not f.ok)
    deploy(client, environment=environment)
    client.set_rule("rounds-aggregate", active=False)
    action = client.get("actions", "whisktrain/worker")
    client.put("actions", "whisktrain/worker", {"limits": {**action["limits"], "memory": 128}})
    found = findings(client, address, environment)
    assert "inactive" in found["rule"].detail
    assert "worker (128 MB instead of 512)" in found["actions"].detail


def test_an_image_of_another_version_and_a_store_out_of_reach(place) -> None:
    client, address, environment = place
    deploy(client, environment=environment)
    code = (
        "def main(args):\n    return {'lib_version': '0.0.9', 'python': '3', 'store': {'ok': False, 'detail': 'no answer'}}\n"
    )
    client.put("actions", "whisktrain/worker", {"exec": {"kind": "python:default", "code": code}})
    found = findings(client, address, environment)
    assert "it has whisktrain 0.0.9" in found["image of worker"].detail
    assert not found["store, from an action"].ok
    assert found["image of train"].ok


def test_an_image_that_does_not_start(place) -> None:
    client, address, environment = place
    deploy(client, environment=environment)
    client.put("actions", "whisktrain/train", {"exec": {"kind": "python:default", "code": "import nothing_of_the_kind\n"}})
    found = findings(client, address, environment)
    assert not found["image of train"].ok
    assert "WHISKTRAIN_IMAGE" in found["image of train"].fix


def test_a_wrong_key_and_no_platform(place) -> None:
    client, address, environment = place
    with Client(client.apihost, "u:k") as stranger:
        found = findings(stranger, address, environment)
        assert found["platform"].ok
        assert not found["key"].ok
        assert "actions" not in found
    with Client("http://127.0.0.1:9", "u:k") as nobody:
        found = findings(nobody, None, environment)
    assert list(found) == ["platform", "follower"]
    assert not found["platform"].ok


def test_limits_that_are_too_small_for_tensorflow(tmp_path) -> None:
    limits = HostLimits(max_memory_mb=256, user_memory_mb=1024)
    with Host(tmp_path / "host", limits=limits) as host, Client(host.apihost, host.auth) as client:
        found = findings(client, None, {})
    assert not found["limits"].ok
    assert "512 MB" in found["limits"].fix


def test_the_followers_own_word(place, platform) -> None:
    client, _, environment = place
    for answer, ok in (
        ((200, {"ok": True}, {}), True),
        ((503, {"ok": False, "error": "store"}, {}), False),
        ((200, b"?", {}), False),
    ):
        platform.answer = lambda *_, answer=answer: answer
        found = findings(client, None, {**environment, "WHISKTRAIN_FOLLOWER_URL": platform.url})
        assert found["follower"].ok is ok


def test_couchdbs_settings(platform, key) -> None:
    """What a CouchDB says of itself, in its own words."""
    from whisktrain.openwhisk.doctor import couch_settings

    cluster, buffer = {"n": 1, "q": 1}, (200, "1048576", {})

    def answer(method, path, body):
        if path.startswith("/_node"):
            return buffer
        if path == "/":
            return 200, {"couchdb": "Welcome", "version": "3.5.0"}, {}
        return 200, {"db_name": path[1:], "cluster": cluster}, {}

    platform.answer = answer
    address = platform.url.replace("http://", "http://someone:hidden@")

    def check():
        return {f.name: f for f in couch_settings(address, "whisktrain-rounds")}

    assert all(f.ok for f in check().values())
    cluster, buffer = {"n": 3, "q": 8}, (200, "4096", {})
    assert [f.ok for f in check().values()] == [False, False]
    buffer = (404, {"error": "not_found", "reason": "unknown_config_value"}, {})
    assert "4096" in check()["store buffer"].detail
    buffer = (401, {"error": "unauthorized"}, {})
    assert check()["store buffer"].ok
    assert "hidden" not in repr(check())


def test_a_run_that_nobody_looks_after_shows_that_the_follower_is_dead(place, monkeypatch) -> None:
    from whisktrain.store.opening import open_store

    monkeypatch.setattr("whisktrain.openwhisk.doctor._FOLLOWER_S", 1.5)
    client, address, environment = place
    deploy(client, environment=environment)
    assert findings(client, address, environment)["follower"].detail == "no run waits for it"
    store = open_store(address)
    store.rounds.put("stop:lost", {"schema": 1})
    found = findings(client, address, environment)["follower"]
    assert not found.ok
    assert "lost" in found.detail
    assert "whisktrain follow" in found.fix
    timer = threading.Timer(0.5, lambda: store.rounds.delete("stop:lost"))

    def narrate(finding) -> None:
        if finding.name == "feed":  # the follower is looked for next: somebody comes while doctor waits
            timer.start()

    found = examine(client, address, environment, narrate=narrate)
    timer.join()
    assert {f.name: f.ok for f in found}["follower"]
    store.close()
