"""Each fault of a deployment, made on a real host, with the finding that names it and its hint."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest

from openwhisk_local import Host
from openwhisk_local import Limits as HostLimits
from whisktrain import __version__
from whisktrain.doctor import deployed, examine, follower
from whisktrain.doctor.activations import check_fires
from whisktrain.openwhisk import manifest, system
from whisktrain.openwhisk.client import Client
from whisktrain.openwhisk.deployment import deploy
from whisktrain.rounds.follower import Follower
from whisktrain.store.opening import open_store

CRASHES = "import os\ndef main(args):\n    os._exit(3)\n"


@contextlib.contextmanager
def following(client, address):
    """A follower of the store, in a thread."""
    store, stop = open_store(address), threading.Event()
    found = Follower(store, client.fire)
    thread = threading.Thread(target=found.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        store.close()


@pytest.fixture
def place(tmp_path):
    address = f"sqlite:{tmp_path}/store"
    environment = {"WHISKTRAIN_STORE": address, "WHISKTRAIN_CONTAINER_MEMORY": "1024"}
    with Host(tmp_path / "host") as running, Client(running.apihost, running.auth) as client:
        yield client, address, environment


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(follower, "FIRE_S", 3.0)


def findings(client, address, environment):
    return {f.name: f for f in examine(client, address, environment)}


def failures(client, address, environment):
    return {n: f for n, f in findings(client, address, environment).items() if not f.ok}


def test_a_deployment_in_order(place) -> None:
    client, address, environment = place
    deploy(client, environment=environment)
    told, waited = [], []
    with following(client, address):
        found = examine(
            client,
            address,
            environment,
            report=told.append,
            progress=lambda *word: waited.append(word),
        )
    assert told == found
    assert all(f.ok and not f.hint for f in found), [f for f in found if not f.ok]
    assert [f.name for f in found] == [
        "platform",
        "key",
        "limits",
        "actions",
        "images",
        "store, from an action",
        "trigger",
        "rule",
        "fires of rounds",
        "store",
        "feed",
        "follower",
        "wake-up",
    ]
    by_name = {f.name: f for f in found}
    assert "1 worker of 512 MB at a time" in by_name["limits"].detail
    assert f"6 actions start, with whisktrain {__version__}" in by_name["images"].detail
    assert by_name["feed"].detail == "registered: /guest/rounds"
    assert set(found[0].to_record()) == {"name", "ok", "detail", "hint"}
    assert {what.partition(":")[0] for what, _, _ in waited} >= {
        "image of worker",
        "image of changes",
    }
    assert all(0 <= seconds < most <= 60 for _, seconds, most in waited), "every wait says its end"
    store = open_store(address)
    assert [d.id for d in store.rounds.list("", bodies=False)] == ["registration:guest:rounds"], (
        "it leaves nothing"
    )
    assert store.library.list("", bodies=False) == []
    store.close()


def test_nothing_is_deployed(place) -> None:
    client, address, environment = place
    found = failures(client, address, environment)
    assert found.keys() == {"actions", "trigger", "rule", "feed"}
    assert all("whisktrain deploy" in f.hint for f in found.values())
    assert found["actions"].detail == "none is deployed"


def test_one_action_is_missing_and_the_rule_starts_nothing(place) -> None:
    client, address, environment = place
    deploy(client, environment=environment)
    client.delete("actions", "whisktrain/aggregate")
    with following(client, address):
        found = failures(client, address, environment)
    assert found["actions"].detail == "not deployed: whisktrain/aggregate"
    wake_up = found["wake-up"]
    assert (
        "the follower fires, but the rule cannot start guest/whisktrain/aggregate: The requested resource"
        in wake_up.detail
    )
    assert "whisktrain deploy" in wake_up.hint
    assert "follower" not in found, "the follower does its part"


def test_a_rule_that_is_inactive_missing_or_leads_elsewhere(place) -> None:
    client, address, environment = place
    deploy(client, environment=environment)
    client.set_rule("rounds-aggregate", active=False)
    found = findings(client, address, environment)
    assert (found["rule"].ok, found["rule"].detail) == (False, "rounds-aggregate is inactive")
    assert "wsk rule enable rounds-aggregate" in found["rule"].hint
    assert "not checked" in found["follower"].detail, (
        "a fire without an active rule leaves no trace"
    )
    client.put(
        "rules", "rounds-aggregate", {"trigger": "/_/rounds", "action": "/_/whisktrain/predict"}
    )
    client.set_rule("rounds-aggregate", active=True)
    assert "from rounds to predict" in failures(client, address, environment)["rule"].detail
    client.delete("rules", "rounds-aggregate")
    found = failures(client, address, environment)
    assert found["rule"].detail == "rounds-aggregate is missing"
    assert "whisktrain deploy" in found["rule"].hint


def test_a_trigger_that_is_missing(place) -> None:
    client, address, environment = place
    deploy(client, environment=environment)
    client.delete("triggers", "rounds")
    found = failures(client, address, environment)
    assert found["trigger"].detail == "rounds is missing"
    assert "whisktrain deploy" in found["trigger"].hint


def test_a_trigger_that_is_not_registered_or_paused(place) -> None:
    client, address, environment = place
    deploy(client, environment=environment)
    feed = {"triggerName": "/_/rounds", "lifecycleEvent": "PAUSE"}
    client.result("whisktrain/changes", feed)
    assert "/guest/rounds is paused" in failures(client, address, environment)["feed"].detail
    client.result("whisktrain/changes", {**feed, "lifecycleEvent": "DELETE"})
    client.result("whisktrain/changes", {"triggerName": "/_/other", "lifecycleEvent": "CREATE"})
    found = failures(client, address, environment)["feed"]
    assert found.detail == "/guest/rounds is not registered in the store; registered: /guest/other"
    assert "whisktrain deploy" in found.hint


def test_too_little_memory_for_an_action_and_for_all_containers(place) -> None:
    client, address, environment = place
    deploy(client, environment=environment)
    action = client.get("actions", "whisktrain/worker")
    client.put("actions", "whisktrain/worker", {"limits": {**action["limits"], "memory": 128}})
    assert (
        "worker (128 MB instead of 512)" in failures(client, address, environment)["actions"].detail
    )
    deploy(client, environment=environment)
    found = failures(client, address, {**environment, "WHISKTRAIN_CONTAINER_MEMORY": "768"})[
        "actions"
    ]
    assert "a run needs 1024 MB at once" in found.detail
    assert "user-memory=1024m" in found.hint
    del environment["WHISKTRAIN_CONTAINER_MEMORY"]
    deploy(client, environment={**environment, "WHISKTRAIN_CONTAINER_MEMORY": "700"})
    found = failures(client, address, environment)["actions"]
    assert "all containers together have 700 MB" in found.detail, "what the deployment was told"


def test_an_action_whose_settings_callers_can_override(place) -> None:
    client, address, environment = place
    deploy(client, environment=environment)
    for name in ("worker", "pipeline"):
        without = {"annotations": [{"key": "final", "value": False}]}
        client.put("actions", f"whisktrain/{name}", without)
    found = failures(client, address, environment)["actions"]
    assert "override the deployment's settings in: worker, pipeline" in found.detail
    assert "whisktrain deploy" in found.hint
    deploy(client, environment=environment)
    assert "actions" not in failures(client, address, environment)


def test_an_action_of_another_version_and_a_store_out_of_reach(place) -> None:
    client, address, environment = place
    deploy(client, environment=environment)
    answer = {"lib_version": "0.0.9", "python": "3", "store": {"ok": False, "detail": "no answer"}}
    code = f"def main(args):\n    return {answer!r}\n"
    client.put("actions", "whisktrain/worker", {"exec": {"kind": "python:default", "code": code}})
    found = findings(client, address, environment)
    assert f"it has whisktrain 0.0.9, here is {__version__}" in found["image of worker"].detail
    assert "whisktrain deploy" in found["image of worker"].hint
    assert found["images"].detail.startswith("5 actions start")
    assert found["store, from an action"].detail == "worker says: no answer", (
        "one that does not reach it is enough"
    )
    assert "WHISKTRAIN_STORE=" in found["store, from an action"].hint
    for name in ("preprocess", "train", "predict", "aggregate", "changes"):
        client.put(
            "actions", f"whisktrain/{name}", {"exec": {"kind": "python:default", "code": code}}
        )
    assert "images" not in findings(client, address, environment)


def test_an_action_that_does_not_start(place) -> None:
    client, address, environment = place
    deploy(client, environment=environment)
    code = "import nothing_of_the_kind\n"
    for name in ("preprocess", "aggregate"):
        client.put(
            "actions", f"whisktrain/{name}", {"exec": {"kind": "python:default", "code": code}}
        )
    with following(client, address):
        found = failures(client, address, environment)
    image, wake_up = found["image of preprocess"], found["wake-up"]
    assert "No module named 'nothing_of_the_kind'" in image.detail, (
        "the log says it, so the finding does"
    )
    assert "runtime-image/smoke.py --image whisktrain/runtime:0.1.0" in image.hint
    assert "the rule starts guest/whisktrain/aggregate, which fails" in wake_up.detail
    assert "smoke.py" in wake_up.hint


def test_an_action_that_does_not_answer_in_time(place, monkeypatch) -> None:
    client, address, environment = place
    monkeypatch.setattr(deployed, "ANSWER_S", 1.0)
    deploy(client, environment=environment)
    code = "import time\ndef main(args):\n    time.sleep(20)\n    return {}\n"
    client.put("actions", "whisktrain/train", {"exec": {"kind": "python:default", "code": code}})
    found = failures(client, address, environment)["image of train"]
    assert "no answer in 1 s" in found.detail
    assert "256 MB" in found.hint
    assert "user-memory" in found.hint


def test_what_went_wrong_lately_is_told(place) -> None:
    client, _, environment = place
    deploy(client, environment=environment)
    code = "import os\ndef main(args):\n    return {'lib_version': '%s'} if args.get('probe') else {'big': 'x' * 2000000}\n"
    client.put(
        "actions",
        "whisktrain/worker",
        {"exec": {"kind": "python:default", "code": code % __version__}},
    )
    client.invoke("whisktrain/worker")
    crashing = "import os\ndef main(args):\n    return {'lib_version': '%s'} if args.get('probe') else os._exit(1)\n"
    client.put(
        "actions",
        "whisktrain/train",
        {"exec": {"kind": "python:default", "code": crashing % __version__}},
    )
    client.invoke("whisktrain/train")
    client.put(
        "actions",
        "whisktrain/predict",
        {"exec": {"kind": "python:default", "code": "import nothing_at_all\n"}},
    )
    client.invoke("whisktrain/predict")
    deploy(client, environment=environment)
    lately = {
        n: f
        for n, f in failures(client, None, environment).items()
        if n.startswith("last activation")
    }
    assert lately.keys() == {"last activation of train"}, (
        "neither a caller's fault, nor a start that works now"
    )
    assert "command exited" in lately["last activation of train"].detail
    assert (
        "WHISKTRAIN_TRAIN_MEMORY=512 whisktrain deploy" in lately["last activation of train"].hint
    )


def test_memory_that_did_not_suffice_is_told_though_the_action_starts(tmp_path) -> None:
    address = f"sqlite:{tmp_path}/store"
    environment = {"WHISKTRAIN_STORE": address, "WHISKTRAIN_CONTAINER_MEMORY": "4096"}
    code = (
        "import time\ndef main(args):\n    if args.get('probe'):\n        return {'lib_version': '%s'}\n"
        "    kept = bytearray(400 * 2**20)\n    kept[::4096] = b'x' * len(kept[::4096])\n    time.sleep(20)\n    return {}\n"
    )
    with Host(tmp_path / "host") as running, Client(running.apihost, running.auth) as client:
        deploy(client, environment=environment)
        client.put(
            "actions",
            "whisktrain/train",
            {"exec": {"kind": "python:default", "code": code % __version__}},
        )
        client.invoke("whisktrain/train")
        found = failures(client, None, environment)["last activation of train"]
    assert "exhausted its memory" in found.detail
    assert "WHISKTRAIN_TRAIN_MEMORY=512 whisktrain deploy" in found.hint


def test_a_platform_that_is_too_busy_to_start_the_rules_action(tmp_path, monkeypatch) -> None:
    address = f"sqlite:{tmp_path}/store"
    environment = {"WHISKTRAIN_STORE": address, "WHISKTRAIN_CONTAINER_MEMORY": "4096"}
    with (
        Host(tmp_path / "host", limits=HostLimits(concurrent=1)) as running,
        Client(running.apihost, running.auth) as client,
    ):
        deploy(client, environment=environment)
        code = "import time\ndef main(args):\n    time.sleep(30)\n    return {}\n"
        client.put("actions", "busy", {"exec": {"kind": "python:default", "code": code}})
        client.start("busy")
        monkeypatch.setattr("whisktrain.doctor.deployed.check_images", lambda *_: iter(()))
        with following(client, address):
            found = failures(client, address, environment)
            assert found.keys() == {"wake-up"}
            assert "Too many concurrent requests in flight" in found["wake-up"].detail
            assert "limits-actions-invokes-concurrent" in found["wake-up"].hint
        lately = findings(client, None, environment)["fires of rounds"]
        assert not lately.ok
        assert "did not start guest/whisktrain/aggregate: Too many concurrent" in lately.detail


def test_the_platforms_internal_error_in_a_triggers_record(platform, key) -> None:
    """A standalone whose controller cannot reach itself: its record, in its own words."""
    line = (
        '{"rule":"guest/rounds-aggregate","action":"guest/whisktrain/aggregate","statusCode":3,"success":false,'
        '"error":"There was an internal server error."}'
    )

    def answer(method, path, body):
        if "/activations?name=rounds" in path:
            now = int(time.time() * 1000)
            record = {
                "activationId": "a" * 32,
                "name": "rounds",
                "start": now,
                "response": {"result": {"run": "r"}},
            }
            return 200, [{**record, "logs": [line]}], {}
        return 404, {"error": "The requested resource does not exist.", "code": "x"}, {}

    platform.answer = answer
    package = manifest.read(system.manifest_path(), {}).packages[0]
    (found,) = check_fires(Client(platform.url, key), package)
    assert not found.ok
    assert (
        "did not start guest/whisktrain/aggregate: There was an internal server error."
        in found.detail
    )
    assert "-Dwhisk.controller.interface=0.0.0.0" in found.hint


def test_nobody_follows(place) -> None:
    client, address, environment = place
    deploy(client, environment=environment)
    found = failures(client, address, environment)
    assert found.keys() == {"follower"}
    assert "the follower has not fired in 3 s" in found["follower"].detail
    assert "whisktrain follow" in found["follower"].hint


def test_actions_that_work_on_another_store(place, tmp_path) -> None:
    client, address, environment = place
    deploy(client, environment={**environment, "WHISKTRAIN_STORE": f"sqlite:{tmp_path}/other"})
    store = open_store(address)
    store.ensure()
    store.rounds.put(
        "registration:guest:rounds",
        {"schema": 1, "trigger": "/guest/rounds", "active": True, "created": ""},
    )
    store.close()
    with following(client, address):
        found = failures(client, address, environment)["wake-up"]
    assert "the deployment has another store" in found.detail
    assert "--store" in found.hint


def test_a_wrong_key(place) -> None:
    client, address, environment = place
    with Client(client.apihost, "u:k3y") as stranger:
        found = findings(stranger, address, environment)
    assert found["platform"].ok
    assert not found["key"].ok
    assert f"--apihost {client.apihost} --auth" in found["key"].hint
    assert "actions" not in found
    assert "k3y" not in repr(found)
