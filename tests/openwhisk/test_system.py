"""The system itself, deployed from its own manifest."""

from __future__ import annotations

import pytest
import requests

from openwhisk_local import Host
from whisktrain.openwhisk.client import Client
from whisktrain.openwhisk.deployment import deploy, undeploy
from whisktrain.store.opening import open_store

SECRET = "correct horse battery"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("system")
    environment = {"WHISKTRAIN_STORE": f"sqlite:{folder}/store"}
    store = open_store(environment["WHISKTRAIN_STORE"])
    with Host(folder / "host") as host, Client(host.apihost, host.auth) as client:
        yield client, store, environment
    store.close()


def test_deploying_again_as_wskdeploy_does_loses_nothing_of_open_runs(place) -> None:
    client, store, environment = place
    deploy(client, environment=environment)
    (registration,) = store.rounds.list("registration:")
    assert registration.id == "registration:guest:rounds"
    assert client.auth not in str(registration.body)
    store.library.put("summary:kept", {"schema": 1})
    store.rounds.put("stop:open", {"schema": 1})
    deploy(client, environment=environment)
    for event in ("DELETE", "CREATE"):  # wskdeploy's way to update a feed trigger
        arguments = {
            "lifecycleEvent": event,
            "triggerName": "/guest/rounds",
            "authKey": client.auth,
        }
        client.result("whisktrain/changes", arguments)
    assert [d.id for d in store.rounds.list("registration:")] == ["registration:guest:rounds"]
    assert store.rounds.get("stop:open") is not None
    undeploy(client, environment=environment)
    assert store.rounds.list("registration:") == []
    assert store.rounds.get("stop:open") is not None
    assert store.library.get("summary:kept") is not None
    assert client.entities("actions") == client.entities("packages") == []


def ask(client, method, *, query=None, headers=None, **body):
    url = f"{client.apihost}/api/v1/web/guest/whisktrain/predict.json"
    return requests.request(method, url, params=query, headers=headers, timeout=60, **body)


def test_the_web_action_wants_the_key_and_every_kind_of_body_gets_the_same_answer(place) -> None:
    client, _, environment = place
    deploy(client, environment=environment)
    key = dict(zip(("user", "password"), client.auth.split(":"), strict=True))
    auth = (key["user"], key["password"])
    assert ask(client, "GET", query={"model": "none", "rows": "[[1]]"}).status_code == 401
    request = {"model": "none", "rows": [[1, "two"]], "top_k": 1}
    texts = {"model": "none", "rows": '[[1, "two"]]', "top_k": "1"}
    answers = [
        ask(client, "GET", query=texts, auth=auth),
        ask(client, "POST", data=texts, auth=auth),
        ask(client, "POST", json=request, auth=auth),
        ask(client, "POST", query={"model": "none", "top_k": "1"}, json=request["rows"], auth=auth),
    ]
    assert {a.status_code for a in answers} == {200}
    assert {a.text for a in answers} == {answers[0].text}
    assert answers[0].json()["code"] == "no_such_model"
    assert (
        ask(client, "GET", query={**texts, "store": "sqlite:/elsewhere"}, auth=auth).status_code
        == 400
    )


def test_a_secret_takes_the_keys_place(place) -> None:
    client, _, environment = place
    deploy(client, environment={**environment, "WHISKTRAIN_WEB_SECRET": SECRET})
    query = {"model": "none", "rows": "[[1]]"}
    assert ask(client, "GET", query=query).status_code == 401
    assert (
        ask(
            client, "GET", query=query, headers={"X-Require-Whisk-Auth": "wrong horse battery"}
        ).status_code
        == 401
    )
    assert (
        ask(client, "GET", query=query, headers={"X-Require-Whisk-Auth": SECRET}).json()["code"]
        == "no_such_model"
    )
