"""Exported files against `predict`: raw inputs as the file beside them describes, in any process, on every kind of data."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from whisktrain.data.preprocessing import preprocessor
from whisktrain.learning import backend, inference
from whisktrain.records.models import ModelFiles, ModelRecords, StoredModel
from whisktrain.serving import decisions, exporting
from whisktrain.spec import Spec
from whisktrain.store.protocol import Store

Publish = Callable[..., str]
EPOCH = datetime.datetime(1970, 1, 1)
CITIES = ["Köln", "Bonn", "Ulm", "Trier", "Kiel"]


def row(i: int) -> dict[str, Any]:
    return {
        "age": None if i % 9 == 0 else 20.5 + i % 50,
        "far": 1e9 + 3 * i,
        "member": None if i % 11 == 0 else bool(i % 2),
        "city": None if i % 10 == 0 else CITIES[min(i % 7, 4)],
        "zone": [10, 20, 30][i % 3] if i % 8 else None,
        "since": (EPOCH + datetime.timedelta(days=18000 + 5 * i, hours=i % 24)).isoformat(),
        "churned": "yes" if (i * 7) % 3 else "no",
    }


ROWS = [row(i) for i in range(120)]
ASKED = [*ROWS[:40], {**row(5), "city": "Rom", "zone": 99}]
NUMBERS = ("age", "far", "member")


def only(*columns: str, target: str) -> dict[str, Any]:
    records = [{key: entry[key] for key in (*columns, target)} for entry in ROWS]
    return {"records": records, "target": target}


def dense(*shape: int, units: int, activation: str | None = None) -> dict[str, Any]:
    keras = backend.keras()
    stack = [keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(units, activation)]
    return {"config": json.loads(keras.Sequential(stack).to_json())}


TABLES: dict[str, dict[str, Any]] = {
    "all kinds": only("age", "far", "member", "city", "zone", "since", target="churned"),
    "numbers": only(*NUMBERS, target="churned"),
    "minmax": {**only(*NUMBERS, target="churned"), "scale": "minmax"},
    "unscaled": {**only("age", "member", "city", target="churned"), "scale": "none"},
    "values": only("age", "member", "city", "zone", target="far"),
    "categories by number": {
        **only("zone", "age", target="churned"),
        "types": {"zone": "categorical"},
    },
}


def date_part(when: str, part: str) -> float:
    moment = datetime.datetime.fromisoformat(when)
    days = (moment - EPOCH) / datetime.timedelta(days=1)
    found = {
        "month": moment.month,
        "day": moment.day,
        "weekday": moment.weekday(),
        "hour": moment.hour,
    }
    return days if part == "days" else float(found[part])


def as_input(described: dict[str, Any], entry: dict[str, Any]) -> float:
    """One number of a row, as docs/reference/export.md says."""
    value, holds = entry[described["column"]], described["holds"]
    if value is None:
        return float("nan")
    if holds == "category":
        return described["categories"].get(str(value), described["other"])
    return float(value) if holds in ("number", "boolean") else date_part(value, holds)


def published(store: Store, reference: str) -> tuple[StoredModel, ModelFiles]:
    """A published model with weights that are not zero."""
    name, _, version = reference.partition(":")
    found = ModelRecords(store).read(name, int(version))
    assert found is not None
    model, files = found
    draw = np.random.default_rng(3)
    params = {
        key: draw.normal(size=value.shape).astype(value.dtype) * 0.1
        for key, value in files.params.items()
    }
    return model, replace(files, params=params)


def predicted(model: StoredModel, files: ModelFiles, rows: Any) -> np.ndarray:
    """The answers of `predict`, before they are rounded."""
    fitted = preprocessor.load(files.preprocessing)
    spec = Spec.from_json(model.body["spec"])
    forward = inference.predictor(spec, model.blueprint(files), files.params)
    outputs = forward(fitted.transform(rows, missing="fill").x)
    if spec.task == "regression":
        return fitted.to_original(outputs)
    return decisions.shares(outputs, spec.classes)


@pytest.mark.parametrize("name", TABLES)
def test_a_table(name: str, store: Store, publish: Publish, tmp_path: Path) -> None:
    data = TABLES[name]
    model, files = published(store, publish("m", data, model="mlp"))
    beside = exporting.export(model, files, tmp_path / "m.keras")
    assert beside == tmp_path / "m.keras.json"
    described = json.loads(beside.read_text(encoding="utf-8"))
    asked = [
        {key: entry[key] for key in data["records"][0] if key != data["target"]} for entry in ASKED
    ]
    inputs = np.array(
        [[as_input(given, entry) for given in described["inputs"]] for entry in asked]
    )
    whole = backend.keras().models.load_model(tmp_path / "m.keras")
    answers = np.asarray(whole(inputs))  # in float64: `whole.predict` would read numbers as float32
    expected = predicted(model, files, asked)
    if described["task"] == "regression":
        answers = answers[:, 0]
        assert abs(expected).max() > 1e8, "in the target's own units"
    else:
        assert described["classes"] == ["no", "yes"]
    np.testing.assert_allclose(answers, expected, rtol=1e-5, atol=1e-5)
    assert np.ptp(expected, axis=0).max() > 1e-3
    assert whole.optimizer is not None


@pytest.mark.parametrize(
    ("ending", "classes"),
    [
        ({"units": 3}, 3),
        ({"units": 3, "activation": "softmax"}, 3),
        ({"units": 3, "activation": "sigmoid"}, 3),
        ({"units": 1}, 2),
        ({"units": 1, "activation": "sigmoid"}, 2),
    ],
)
def test_answers_are_probabilities_whatever_the_model_ends_in(
    ending: dict[str, Any], classes: int, store: Store, publish: Publish, tmp_path: Path
) -> None:
    records = [{"a": i % 5, "b": i * 0.1, "t": f"c{i % classes}"} for i in range(60)]
    data = {"records": records, "target": "t"}
    for loss in ("auto", "squared_hinge") if ending == {"units": 1} else ("auto",):
        given = {**dense(2, **ending), "loss": loss}
        model, files = published(store, publish(f"m-{loss}", data, model=given))
        exporting.export(model, files, tmp_path / "m.keras")
        whole = backend.keras().models.load_model(tmp_path / "m.keras")
        answers = whole.predict(np.array([[r["a"], r["b"]] for r in records]), verbose=0)
        if answers.shape[1] == 1:
            answers = np.hstack([1 - answers, answers])
        np.testing.assert_allclose(
            answers, predicted(model, files, [{**r} for r in records]), atol=1e-5
        )


def test_pictures_are_given_as_they_are(store: Store, publish: Publish, tmp_path: Path) -> None:
    model, files = published(store, publish("digits", {"source": "digits"}, model="cnn"))
    beside = exporting.export(model, files, tmp_path / "digits.keras")
    described = json.loads(beside.read_text(encoding="utf-8"))
    assert described["pixels"] == [8, 8, 1]
    pixels = np.random.default_rng(1).integers(0, 17, (9, 8, 8, 1))
    whole = backend.keras().models.load_model(tmp_path / "digits.keras")
    np.testing.assert_allclose(
        whole.predict(pixels, verbose=0), predicted(model, files, pixels[..., 0]), atol=1e-5
    )


ELSEWHERE = """
import sys
import keras, numpy as np
keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).predict(np.zeros((3, 2)), verbose=0)
import whisktrain.sdk.models as models
from types import SimpleNamespace
from whisktrain.store.opening import open_store
models.Models(SimpleNamespace(store=open_store(sys.argv[1]))).export("m", sys.argv[2])
print(keras.models.load_model(sys.argv[2]).input_shape)
"""


def test_in_a_process_that_has_used_keras(store: Store, publish: Publish, tmp_path: Path) -> None:
    publish("m", TABLES["numbers"], model="mlp")
    command = [sys.executable, "-c", ELSEWHERE, store.url, str(tmp_path / "m.keras")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-800:]
    assert done.stdout.split("\n")[-2] == "(None, 3)"
    assert (tmp_path / "m.keras.json").exists()
