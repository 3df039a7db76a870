from __future__ import annotations

import time
from pathlib import Path

import pytest

from openwhisk_local import Host
from whisktrain.errors import DeadlineExceeded, PlatformError, RequestError
from whisktrain.openwhisk.client import Client
from whisktrain.openwhisk.client.activation import activation_of
from whisktrain.openwhisk.client.connection import ApiError

HELLO = "def main(args):\n    print('said hello')\n    return {'greeting': 'hello ' + args.get('name', 'you')}\n"
REFUSES = (
    "def main(args):\n    print('looked at it')\n"
    "    return {'error': {'code': 'bad_request', 'message': 'no such column', 'hint': 'look', 'retryable': False}}\n"
)
CRASHES = "import os\ndef main(args):\n    print('on its way', flush=True)\n    os._exit(3)\n"
SLEEPS = (
    "import time\ndef main(args):\n    time.sleep(args['s'])\n    return {'slept': args['s']}\n"
)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    home: Path = tmp_path_factory.mktemp("host")
    with Host(home) as host, Client(host.apihost, host.auth) as client:
        client.put("packages", "p", {})
        for name, code in {
            "hello": HELLO,
            "refuses": REFUSES,
            "crashes": CRASHES,
            "sleeps": SLEEPS,
        }.items():
            client.put("actions", f"p/{name}", {"exec": {"kind": "python:default", "code": code}})
        components = ["/_/p/hello", "/_/p/refuses", "/_/p/hello"]
        client.put("actions", "p/flow", {"exec": {"kind": "sequence", "components": components}})
        yield client


def test_invoke_result_and_start(client) -> None:
    activation = client.invoke("p/hello", {"name": "Ada"})
    assert activation.succeeded
    assert activation.result == {"greeting": "hello Ada"}
    assert (activation.name, activation.path) == ("hello", "guest/p/hello")
    assert activation.end >= activation.start
    assert client.result("/_/p/hello") == {"greeting": "hello you"}
    again = client.wait(client.start("p/hello"), timeout=10)
    assert again.result == {"greeting": "hello you"}
    assert any("said hello" in line for line in client.logs(again.id))
    assert any(a.id == again.id for a in client.activations(name="p/hello", limit=10))


def test_a_failure_is_the_actions_own_error_with_its_log(client) -> None:
    with pytest.raises(RequestError, match="no such column") as failure:
        client.result("p/refuses")
    assert failure.value.code == "bad_request"
    assert failure.value.hint == "look"
    assert any("looked at it" in line for line in failure.value.activation.logs)


def test_a_failed_sequence_is_explained_by_the_component_that_failed(client) -> None:
    with pytest.raises(RequestError) as failure:
        client.result("p/flow")
    assert failure.value.activation.name == "refuses"
    assert any("looked at it" in line for line in failure.value.activation.logs)


def test_a_crash_names_action_and_activation(client) -> None:
    with pytest.raises(PlatformError) as failure:
        client.result("p/crashes")
    assert failure.value.code == "action_failed"
    assert "guest/p/crashes" in failure.value.message
    assert failure.value.activation.id in failure.value.message


def test_entities(client) -> None:
    assert client.get("actions", "p/nothing") is None
    assert client.delete("actions", "p/nothing") is False
    client.put(
        "actions", "once", {"exec": {"kind": "python:default", "code": HELLO}}, overwrite=False
    )
    with pytest.raises(ApiError) as failure:
        client.put(
            "actions", "once", {"exec": {"kind": "python:default", "code": HELLO}}, overwrite=False
        )
    assert failure.value.status == 409
    assert "code" not in client.get("actions", "once")["exec"]
    assert client.delete("actions", "once") is True
    assert {e["name"] for e in client.entities("actions")} >= {"hello", "flow"}
    assert client.info()["limits"]
    assert client.namespaces() == ["guest"]


def test_triggers_fire_into_rules(client) -> None:
    client.put("triggers", "tick", {})
    assert client.fire("tick", {"name": "Tock"}) is None
    client.put("rules", "onTick", {"trigger": "/_/tick", "action": "/_/p/hello", "status": ""})
    since = int(time.time() * 1000) - 1000
    assert client.fire("tick", {"name": "Tock"})
    until = time.monotonic() + 10
    found = []
    while not found and time.monotonic() < until:
        found = [
            a
            for a in client.activations(name="p/hello", since=since, docs=True)
            if a.result == {"greeting": "hello Tock"}
        ]
        time.sleep(0.05)
    assert found
    client.set_rule("onTick", active=False)
    assert client.get("rules", "onTick")["status"] == "inactive"
    assert client.fire("tick") is None


def test_waiting_has_a_deadline(client) -> None:
    activation_id = client.start("p/sleeps", {"s": 1.5})
    begun = time.monotonic()
    with pytest.raises(DeadlineExceeded, match=activation_id):
        client.wait(activation_id, timeout=0.2)
    assert time.monotonic() - begun < 1
    assert client.wait(activation_id, timeout=10).result == {"slept": 1.5}
    with pytest.raises(DeadlineExceeded):
        client.invoke("p/sleeps", {"s": 1.5}, timeout=0.3)


RECORD = {
    "activationId": "a" * 32,
    "name": "slow",
    "start": 1000,
    "end": 71000,
    "duration": 70000,
    "response": {"status": "success", "success": True, "result": {"done": 1}},
    "annotations": [{"key": "path", "value": "guest/p/slow"}, {"key": "initTime", "value": 800}],
}


def test_a_blocking_call_that_is_answered_202_is_polled_until_its_record_exists(
    platform, key
) -> None:
    looks = [0]

    def answer(method, path, body):
        if method == "POST":
            return 202, {"activationId": "a" * 32}, {}
        looks[0] += 1
        if looks[0] < 4:
            return 404, {"error": "The requested resource does not exist.", "code": "x"}, {}
        return 200, RECORD, {}

    platform.answer = answer
    activation = Client(platform.url, key).invoke("p/slow", {"x": 1})
    assert activation.result == {"done": 1}
    assert activation.init_ms == 800
    method, path, body, _ = platform.calls[0]
    assert (method, body) == ("POST", {"x": 1})
    assert path == "/api/v1/namespaces/_/actions/p/slow?blocking=true&result=false"
    assert looks[0] == 4


def test_lists_go_on_after_a_full_page(platform, key) -> None:
    def answer(method, path, body):
        skip = int(path.rpartition("skip=")[2])
        return 200, [{"name": f"n{i}"} for i in range(skip, min(skip + 200, 430))], {}

    platform.answer = answer
    assert [e["name"] for e in Client(platform.url, key).entities("triggers")] == [
        f"n{i}" for i in range(430)
    ]
    assert len(platform.calls) == 3


def test_names_are_quoted(platform, key) -> None:
    platform.answer = lambda *_: (200, {}, {})
    Client(platform.url, key, namespace="my space").get("triggers", "a b#c")
    assert platform.calls[0][1] == "/api/v1/namespaces/my%20space/triggers/a%20b%23c"


def test_a_missing_action_is_an_error_with_its_status(platform, key) -> None:
    platform.answer = lambda *_: (
        404,
        {"error": "The requested resource does not exist.", "code": "x"},
        {},
    )
    with pytest.raises(ApiError) as failure:
        Client(platform.url, key).invoke("p/nothing")
    assert failure.value.status == 404


def test_records_of_lists_and_triggers_can_be_read() -> None:
    row = activation_of(
        {"activationId": "b", "name": "n", "start": 5, "end": 9, "duration": 4, "statusCode": 1}
    )
    assert (row.status, row.succeeded) == ("application error", False)
    fired = activation_of(
        {
            "activationId": "c",
            "name": "t",
            "start": 5,
            "response": {"status": "success", "result": {}},
        }
    )
    assert fired.end is None


def test_call_returns_an_object_and_nothing_else(client, platform, key) -> None:
    assert client.call("p/hello", {"name": "Ada"}) == {"greeting": "hello Ada"}
    record = {
        "activationId": "a" * 32,
        "response": {"status": "success", "success": True, "result": [1, 2]},
    }
    platform.answer = lambda *_: (200, record, {})
    with (
        Client(platform.url, key) as other,
        pytest.raises(PlatformError, match="list where an object") as failure,
    ):
        other.call("a")
    assert failure.value.code == "not_openwhisk"


def test_an_object_where_a_list_is_expected(platform, key) -> None:
    platform.answer = lambda *_: (200, {"unexpected": 1}, {})
    with Client(platform.url, key) as client:
        for read in (client.namespaces, client.activations, lambda: client.entities("actions")):
            with pytest.raises(PlatformError, match="dict where a list was expected"):
                read()


def test_entities_by_kind(client) -> None:
    assert client.action("p/hello")["exec"]["kind"].startswith("python")
    assert client.package("p")["name"] == "p"
    assert (
        client.action("p/none")
        is client.package("none")
        is client.trigger("none")
        is client.rule("none")
        is None
    )
