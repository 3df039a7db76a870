"""The system itself, deployed from its own manifest."""

from __future__ import annotations

import json

import pytest
import requests

from openwhisk_local import Host
from whisktrain.errors import RequestError, WhisktrainError
from whisktrain.openwhisk import manifest, settings, system
from whisktrain.openwhisk.client import ApiError, Client
from whisktrain.openwhisk.deployment import deploy, undeploy
from whisktrain.store.opening import open_store

PACKAGE = manifest.read(system.manifest_path(), {}).packages[0]
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


def ask(client, method, *, query=None, headers=None, extension="", **body):
    url = f"{client.apihost}/api/v1/web/guest/whisktrain/predict{extension}"
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
    answers.append(ask(client, "GET", query=texts, auth=auth, extension=".http"))
    assert {a.status_code for a in answers} == {404}
    assert {a.text for a in answers} == {answers[0].text}
    assert {a.headers["Content-Type"] for a in answers} == {"application/json"}
    assert answers[0].json()["error"]["code"] == "no_such_model"
    enveloped = ask(client, "GET", query=texts, auth=auth, extension=".json")
    assert enveloped.status_code == 200, "OpenWhisk sends whatever .json is asked for with 200"
    assert enveloped.json()["statusCode"] == 404
    assert enveloped.json()["body"] == answers[0].json()
    broken = ask(client, "POST", data="x", headers={"Content-Type": "text/csv"}, auth=auth)
    assert (broken.status_code, broken.json()["error"]["code"]) == (400, "bad_request")
    elsewhere = {settings.PARAMETERS["store"]: "sqlite:/elsewhere"}
    assert ask(client, "GET", query={**texts, **elsewhere}, auth=auth).status_code == 400
    assert ask(client, "POST", json={**request, **elsewhere}, auth=auth).status_code == 400
    named = ask(client, "GET", query={**texts, "store": "sqlite:/elsewhere"}, auth=auth)
    assert named.status_code == 400
    assert "'store' is not known" in named.json()["error"]["message"]


INVOCABLE = [e.name for part in (PACKAGE.actions, PACKAGE.sequences) for e in part]


@pytest.mark.parametrize("name", INVOCABLE)
def test_no_request_overrides_a_setting_of_the_deployment(place, name) -> None:
    client, store, environment = place
    deploy(client, environment=environment)
    assert set(PACKAGE.inputs) == set(settings.PARAMETERS.values())
    for parameter in PACKAGE.inputs:
        with pytest.raises(ApiError) as refused:
            client.result(f"whisktrain/{name}", {"probe": True, parameter: "sqlite:/elsewhere"})
        assert refused.value.status == 400
        assert refused.value.code == "parameters_not_allowed"
        assert parameter in refused.value.hint
    if name != "pipeline":
        said = client.result(f"whisktrain/{name}", {"probe": True, "store": "sqlite:/elsewhere"})
        assert said["store"]["url"] == store.url


@pytest.mark.parametrize("name", ["preprocess", "pipeline"])
def test_a_setting_under_its_own_name_is_not_one(place, name) -> None:
    client, _, environment = place
    deploy(client, environment=environment)
    for key in settings.PARAMETERS:
        with pytest.raises(RequestError, match=f"'{key}' is not known"):
            client.result(f"whisktrain/{name}", {"data": "http://127.0.0.1:9/x.csv", key: "1"})
    with pytest.raises(WhisktrainError) as refused:
        client.result(f"whisktrain/{name}", {"data": "http://127.0.0.1:9/x.csv"})
    assert "ALLOW_PRIVATE" in refused.value.hint


def test_an_event_overrides_no_setting_either(place) -> None:
    client, _, environment = place
    deploy(client, environment=environment)
    event = {"run": "none", settings.PARAMETERS["store"]: "sqlite:/elsewhere"}
    fired = client.fire("rounds", event)
    (line,) = client.activation(fired).logs
    assert "parameters that are not allowed" in json.loads(line)["error"]


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
        ask(client, "GET", query=query, headers={"X-Require-Whisk-Auth": SECRET}).json()["error"][
            "code"
        ]
        == "no_such_model"
    )
