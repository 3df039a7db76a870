"""The main job, over HTTP: request in, decision out, the same on either platform."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from whisktrain.data.shards.storage import read_rows

if TYPE_CHECKING:
    from conftest import Platform

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(420)


def test_digits(platform: Platform) -> None:
    """The example of the README: four workers, validation accuracy and the right decisions."""
    request = json.loads((ROOT / "examples" / "digits.json").read_text())
    result = platform.pipeline(request)
    assert result["status"] == "completed"
    assert result["metrics"]["val_accuracy"] >= 0.96
    assert result["workers"] == 4
    assert result["task"] == "classification"
    assert result["classes"] == list(range(10))
    assert [d["class"] for d in result["decisions"]] == [0, 1, 8]
    assert all(
        math.isclose(sum(t["probability"] for t in d["top"]), 1, abs_tol=0.2)
        for d in result["decisions"]
    )
    assert "8" in result["message"] or "3" in result["message"]
    assert result["rounds"] == 20 * math.ceil(1437 / 64)
    assert result["cost"]["invocations"] > 0
    assert result["cost"]["gb_seconds"] > 0
    assert result["round_ms"]["p50"] <= result["round_ms"]["p95"]
    assert platform.leftovers(result["run"]) == []


def test_iris_as_wsk_would(platform: Platform) -> None:
    """Stage by stage, each a plain invocation, the way from one payload to the next."""
    arguments = {
        "data": "iris",
        "train": {"workers": 2, "epochs": 60, "learning_rate": 0.01, "name": "flowers"},
    }
    prepared = platform.invoke("whisktrain/preprocess", arguments)
    assert prepared["dataset"]
    trained = platform.invoke("whisktrain/train", prepared)
    assert trained["status"] == "completed"
    assert trained["metrics"]["val_accuracy"] >= 0.9
    decided = platform.invoke(
        "whisktrain/predict",
        {"model": "flowers", "rows": [[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]]},
    )
    assert "error" not in decided, decided
    assert [d["class"] for d in decided["decisions"]] == ["setosa", "virginica"]


def test_diabetes_is_as_good_as_ridge(platform: Platform) -> None:
    from sklearn.linear_model import Ridge
    from sklearn.metrics import r2_score

    request = {
        "data": "diabetes",
        "model": "linear",
        "train": {"workers": 3, "epochs": 100, "learning_rate": 0.01, "name": "sugar"},
    }
    result = platform.pipeline(request)
    assert result["task"] == "regression"
    assert result["classes"] is None
    dataset = platform.store.library.get(platform_model(platform, result["model"]))
    assert dataset is not None
    parts = [read_rows(platform.store, dataset.body["dataset"], k) for k in range(3)]
    train_x, train_y = (np.concatenate([getattr(p[0], name) for p in parts]) for name in ("x", "y"))
    held_x, held_y = (np.concatenate([getattr(p[1], name) for p in parts]) for name in ("x", "y"))
    ridge = r2_score(held_y, Ridge().fit(train_x, train_y).predict(held_x))
    assert result["metrics"]["val_rows"] == len(held_y)
    assert result["metrics"]["val_r2"] >= ridge - 0.05


def platform_model(platform: Platform, reference: str) -> str:
    name, version = reference.split(":")
    return f"model:{name}:{version}"


@pytest.mark.parametrize(
    "train",
    [{"sync": "local", "local_steps": 10}, {"lease": 0, "batch": "full", "rounds": 6}],
    ids=["local", "no lease"],
)
def test_modes(platform: Platform, train: dict[str, object]) -> None:
    common = {"workers": 2, "name": "modes", "learning_rate": 0.05}
    if "rounds" not in train:
        common["epochs"] = 20
    result = platform.pipeline({"data": "iris", "train": {**common, **train}})
    assert result["status"] == "completed"
    assert result["metrics"]["val_accuracy"] >= 0.6
    assert platform.leftovers(result["run"]) == []


def test_leases_change_speed_not_bytes(platform: Platform) -> None:
    """One activation per worker and round gives the bytes that leased ones give."""
    seen = []
    for lease in (0, 40):
        train = {"workers": 2, "rounds": 4, "lease": lease, "name": f"lease-{lease}"}
        result = platform.pipeline({"data": "iris", "train": train})
        found = platform.store.library.get(
            platform_model(platform, result["model"]), attachment=True
        )
        assert found is not None
        seen.append(found.attachment)
    assert seen[0] == seen[1]


def test_more_shards_than_slots(platform: Platform) -> None:
    result = platform.pipeline(
        {
            "data": "iris",
            "train": {"workers": 8, "epochs": 30, "learning_rate": 0.02, "name": "eight"},
        }
    )
    assert result["status"] == "completed"
    assert result["workers"] == 8
    assert result["metrics"]["val_accuracy"] >= 0.9


def test_a_bad_request_is_refused_before_any_work(platform: Platform) -> None:
    answer = platform.call(
        "POST",
        "actions/whisktrain/pipeline",
        {"data": {"sauce": "digits"}},
        blocking="true",
        result="true",
    )
    assert answer.status_code == 502
    error = answer.json()["error"]
    assert error["code"] == "bad_request"
    assert "did you mean 'source'" in error["message"]
    assert error["retryable"] is False


def test_the_same_key_finds_the_same_run(platform: Platform) -> None:
    request = {
        "data": "iris",
        "train": {"workers": 2, "epochs": 2, "name": "twice", "key": "run-of-mine"},
    }
    first = platform.pipeline(request)
    second = platform.pipeline(request)
    assert first["run"] == second["run"] == "run-of-mine"
    assert first["model"] == second["model"]
    platform.cli("runs", "delete", "run-of-mine")


def test_web_action_answers_the_same_however_it_is_asked(platform: Platform) -> None:
    import requests

    platform.pipeline({"data": "iris", "train": {"workers": 2, "epochs": 5, "name": "web"}})
    namespace = requests.get(
        f"{platform.apihost}/api/v1/namespaces", auth=tuple(platform.auth.split(":", 1)), timeout=30
    ).json()[0]
    url = f"{platform.apihost}/api/v1/web/{namespace}/whisktrain/predict"
    row = [5.1, 3.5, 1.4, 0.2]
    assert requests.post(url, json={"model": "web", "rows": [row]}, timeout=60).status_code in (
        401,
        403,
    )
    auth = tuple(platform.auth.split(":", 1))
    by_json = requests.post(url, json={"model": "web", "rows": [row]}, auth=auth, timeout=60).json()
    by_query = requests.get(
        url, params={"model": "web", "rows": json.dumps([row])}, auth=auth, timeout=60
    ).json()
    by_form = requests.post(
        url, data={"model": "web", "rows": json.dumps([row])}, auth=auth, timeout=60
    ).json()
    assert by_json["decisions"][0]["class"] in ("setosa", "versicolor", "virginica")
    assert by_json == by_query == by_form
    parts = ("sepal length", "sepal width", "petal length", "petal width")
    named = {f"{part} (cm)": value for part, value in zip(parts, row, strict=True)}
    columns = {"model": "web", **named}
    for answer in (
        requests.post(url, json=columns, auth=auth, timeout=60),
        requests.get(url, params=columns, auth=auth, timeout=60),
        requests.post(url, data=columns, auth=auth, timeout=60),
    ):
        assert answer.status_code == 200
        assert answer.json()["decisions"] == by_json["decisions"]
    missing = requests.get(url, params={"model": "no-such", **named}, auth=auth, timeout=60)
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "no_such_model")
    wrong = requests.post(url, json={"model": "web", "sepal": 1}, auth=auth, timeout=60)
    assert wrong.status_code == 400
    assert "sepal" in wrong.json()["error"]["message"]
