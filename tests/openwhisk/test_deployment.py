from __future__ import annotations

import json

import pytest

from openwhisk_local import Host
from whisktrain.errors import ConfigurationError, PlatformError, WhisktrainError
from whisktrain.openwhisk import manifest
from whisktrain.openwhisk.client import Client
from whisktrain.openwhisk.deployment import deploy, undeploy

TEXT = """
packages:
  pack:
    version: 1.2.3
    license: Apache-2.0
    inputs: {log: $LOG}
    annotations: {about: a test}
    actions:
      echo:
        function: echo.py
        docker: $IMAGE
        web: true
        limits: {timeout: 5000, memorySize: 128, logSize: 0}
        inputs: {l: [1, 2]}
      feed: {function: feed.py, annotations: {feed: true}}
    sequences: {twice: {actions: 'echo, echo', annotations: {description: two times}}}
    triggers: {tick: {feed: /_/pack/feed, inputs: {every: 7}}}
    rules: {onTick: {trigger: tick, action: echo}}
"""
ECHO = "def main(args):\n    return {k: v for k, v in args.items() if not k.startswith('__ow') and k != 'log'}\n"
FEED = """
import json
def main(args):
    with open(args['log'], 'a') as log:
        log.write(json.dumps({k: v for k, v in args.items() if k != 'log' and not k.startswith('__ow')}) + chr(10))
    return {'error': {'code': 'bad_configuration', 'message': 'no', 'hint': '', 'retryable': False}} if VERDICT else {}
"""


@pytest.fixture
def client(tmp_path):
    with Host(tmp_path / "host") as host, Client(host.apihost, host.auth) as client:
        yield client


def read(tmp_path, *, refuse: bool = False):
    (tmp_path / "echo.py").write_text(ECHO)
    (tmp_path / "feed.py").write_text(FEED.replace("VERDICT", str(refuse)))
    (tmp_path / "wskdeploy.yaml").write_text(TEXT)
    return manifest.read(
        tmp_path / "wskdeploy.yaml", {"LOG": str(tmp_path / "log"), "IMAGE": "whisk/any:1"}
    )


def events(tmp_path):
    return [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]


def left(client):
    return {
        kind: [e["name"] for e in client.entities(kind)]
        for kind in ("actions", "packages", "triggers", "rules")
    }


NOTHING = {"actions": [], "packages": [], "triggers": [], "rules": []}


def test_deploy_makes_everything_and_undeploy_leaves_nothing(client, tmp_path) -> None:
    told: list[str] = []
    done = deploy(client, read(tmp_path), report=told.append)
    assert done == told
    assert done == [
        "package pack",
        "action pack/echo",
        "action pack/feed",
        "sequence pack/twice",
        "trigger tick",
        "rule onTick",
    ]
    echo = client.get("actions", "pack/echo")
    assert (echo["exec"]["kind"], echo["exec"]["image"]) == ("blackbox", "whisk/any:1")
    assert {k: echo["limits"][k] for k in ("timeout", "memory", "logs")} == {
        "timeout": 5000,
        "memory": 128,
        "logs": 0,
    }
    annotations = {a["key"]: a["value"] for a in echo["annotations"]}
    assert annotations["web-export"] is True
    assert client.get("packages", "pack")["version"] == "1.2.3"
    assert client.result("pack/twice", {"x": 1}) == {"l": [1, 2], "x": 1}
    assert client.get("rules", "onTick")["status"] == "active"
    assert client.fire("tick", {"y": 2})
    assert events(tmp_path) == [
        {"lifecycleEvent": "CREATE", "triggerName": "/_/tick", "authKey": client.auth, "every": 7},
    ]
    assert undeploy(client, read(tmp_path)) == list(reversed(done))
    assert left(client) == NOTHING
    assert events(tmp_path)[-1] == {
        "lifecycleEvent": "DELETE",
        "triggerName": "/_/tick",
        "authKey": client.auth,
    }
    assert undeploy(client, read(tmp_path)) == []
    assert len(events(tmp_path)) == 2


def test_deploying_again_updates_in_place_and_never_deletes_the_registration(
    client, tmp_path
) -> None:
    deploy(client, read(tmp_path))
    client.set_rule("onTick", active=False)
    deploy(client, read(tmp_path))
    assert [e["lifecycleEvent"] for e in events(tmp_path)] == ["CREATE", "CREATE"]
    assert client.get("rules", "onTick")["status"] == "active"
    assert client.get("actions", "pack/echo")["version"] == "0.0.2"
    assert client.fire("tick")


def test_a_new_trigger_goes_where_its_feed_refuses(client, tmp_path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"feed action /_/pack/feed of the trigger tick failed: no"
    ) as failure:
        deploy(client, read(tmp_path, refuse=True))
    assert client.auth not in str(failure.value)
    assert client.get("triggers", "tick") is None


def test_an_existing_trigger_stays_where_its_feed_refuses(client, tmp_path) -> None:
    deploy(client, read(tmp_path))
    with pytest.raises(WhisktrainError):
        deploy(client, read(tmp_path, refuse=True))
    assert client.get("triggers", "tick") is not None


def test_undeploy_goes_on_where_the_feed_does_not_answer(client, tmp_path) -> None:
    deploy(client, read(tmp_path))
    deploy_again = read(tmp_path, refuse=True)
    client.put(
        "actions",
        "pack/feed",
        {
            "exec": {
                "kind": "python:default",
                "code": "def main(args):\n    return {'error': 'gone'}\n",
            }
        },
    )
    told: list[str] = []
    undeploy(client, deploy_again, report=told.append)
    assert left(client) == NOTHING
    assert any("did not answer" in line for line in told)


def test_a_refusal_of_the_platform_is_an_error(client, tmp_path) -> None:
    found = read(tmp_path)
    (tmp_path / "wskdeploy.yaml").write_text(TEXT.replace("memorySize: 128", "memorySize: 64"))
    found = manifest.read(tmp_path / "wskdeploy.yaml", {"LOG": "x", "IMAGE": "whisk/any:1"})
    with pytest.raises(PlatformError, match="below allowed threshold"):
        deploy(client, found)
