"""The SDK on a real embedded host: one connection for all tests, so that its processes stay warm."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import whisktrain
from whisktrain.errors import NotFound, RequestError
from whisktrain.sdk.hosts import HostsOfHome

# Keras' own variables meet NumPy 2 in the models that these tests make.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

QUICK = {"workers": 1, "epochs": 2, "learning_rate": 0.05}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def connection(home: Path) -> Iterator[whisktrain.Connection]:
    with whisktrain.connect(platform="embedded", home=home) as opened:
        yield opened
    assert HostsOfHome(home, "").alive() == []


def test_train_reports_progress_and_returns_the_result(connection: whisktrain.Connection) -> None:
    seen: list[whisktrain.Progress] = []
    result = connection.train(
        "iris", model="linear", workers=2, epochs=3, name="flowers", progress=seen.append
    )
    assert (result["status"], result["model"], result["workers"]) == ("completed", "flowers:1", 2)
    assert seen[-1].status == "completed"
    assert [entry["epoch"] for entry in seen[-1].history] == [1, 2, 3]
    assert [p.round for p in seen] == sorted(p.round for p in seen)
    assert "decisions" not in result


def test_predict_takes_rows_in_many_forms(
    connection: whisktrain.Connection, tmp_path: Path
) -> None:
    import pandas as pd

    row = [5.1, 3.5, 1.4, 0.2]
    answer = connection.predict("flowers", [row])
    names = connection.models.show("flowers")["features"]
    frame = pd.DataFrame([row], columns=names)
    frame.to_csv(tmp_path / "rows.csv", index=False)
    forms = (row, dict(zip(names, row, strict=True)), np.array([row]), frame, tmp_path / "rows.csv")
    for form in forms:
        assert connection.predict("flowers", form)["decisions"] == answer["decisions"]
    many = connection.predict("flowers:1", [row] * 30_000, top_k=1)
    assert len(many["decisions"]) == 30_000, "uploaded, answered as a file, and fetched"
    assert many["decisions"][17] == {
        **answer["decisions"][0],
        "top": answer["decisions"][0]["top"][:1],
    }
    with pytest.raises(NotFound):
        connection.predict("nothing", [row])


def test_fit_trains_the_keras_model_in_place_from_its_own_weights(
    connection: whisktrain.Connection,
) -> None:
    from whisktrain.learning import backend

    keras = backend.keras()
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, activation="softmax")], name="own"
    )
    model.compile(
        optimizer=keras.optimizers.SGD(learning_rate=0.1),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    draw = np.random.default_rng(0)
    y = np.arange(90) % 3
    x = draw.normal(size=(90, 4)).astype("float32") + np.eye(3, 4, dtype="float32")[y] * 4
    before = [w.copy() for w in model.get_weights()]
    result = connection.fit(model, x, y, workers=2, epochs=6, batch=30)
    assert result["model"] == "own:1"
    assert connection.models.show("own")["training"]["optimizer"]["name"] == "sgd", (
        "as the model was compiled"
    )
    assert not np.allclose(before[0], model.get_weights()[0])
    answers = connection.predict("own", x[:5])["decisions"]
    assert [a["class"] for a in answers] == model.predict(x[:5], verbose=0).argmax(axis=1).tolist()


def test_fit_of_a_regression_is_the_one_of_keras(connection: whisktrain.Connection) -> None:
    """Whole numbers as targets: the model decides, not what they look like."""
    from whisktrain.learning import backend

    keras = backend.keras()
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)], name="line")
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss=keras.losses.Huber(delta=0.5))
    alone = keras.models.clone_model(model)
    alone.set_weights(model.get_weights())
    alone.compile(keras.optimizers.SGD(0.1), keras.losses.Huber(delta=0.5))
    x = np.random.default_rng(1).normal(size=(60, 2)).astype("float32")
    y = np.tile([1.0, 3.0, 5.0, 7.0], 15)
    alone.fit(x, y, epochs=5, batch_size=60, verbose=0)
    result = connection.fit(model, x, y, workers=2, epochs=5, batch="full", validation=0.0)
    assert (result["task"], result.get("classes")) == ("regression", None)
    for ours, theirs in zip(model.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    value = connection.predict("line", x[:1])["decisions"][0]["value"]
    assert value == pytest.approx(float(alone.predict(x[:1], verbose=0)[0, 0]), abs=1e-5)
    scaled = connection.fit(model, x, y, workers=1, epochs=1, scale="standard")
    assert "predict" in " ".join(scaled["notices"])


def test_fit_refuses_what_it_cannot_train_before_anything_starts(
    connection: whisktrain.Connection,
) -> None:
    from whisktrain.learning import backend

    keras = backend.keras()
    x, y = np.zeros((4, 2), "float32"), np.arange(4) % 2

    def own(values):
        return values

    def with_layer(*stack):
        return keras.Sequential([keras.Input((2,)), *stack, keras.layers.Dense(2, "softmax")])

    class Own(keras.layers.Layer):
        def call(self, values):
            return values

    class Net(keras.Model):
        def call(self, values):
            return values

    one, other = keras.Input((2,)), keras.Input((2,))
    several = keras.Model([one, other], keras.layers.add([one, other]))
    before = len(connection.data.list())
    for model, words in (
        (with_layer(Own(name="mine")), r"layer 'mine' \(Own\)"),
        (with_layer(keras.layers.Dense(2, lambda v: v, name="d")), "activation of the layer 'd'"),
        (with_layer(keras.layers.Dense(2, own, name="d")), "activation 'own' of the layer 'd'"),
        (Net(), "a Net, a class of its own"),
        (several, "2 inputs"),
        (keras.layers.Dense(2), "given a Dense; expected a Keras model"),
        ("mlp", "given a str; expected a Keras model"),
    ):
        with pytest.raises(RequestError, match=words), backend.quiet():
            connection.fit(model, x, y)
    with pytest.raises(RequestError, match="no targets"):
        connection.fit(with_layer(), x)
    assert len(connection.data.list()) == before


def test_own_code_and_earlier_models_are_starting_points(
    connection: whisktrain.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model.py").write_text(
        "import keras\n\n\ndef build(x_shape, classes):\n"
        "    return keras.Sequential([keras.Input(x_shape), keras.layers.Dense(classes, activation='softmax')])\n"
    )
    assert (
        connection.train("iris", model="model.py:build", name="mine", **QUICK)["status"]
        == "completed"
    )
    again = connection.train("iris", init="mine", name="mine", **{**QUICK, "epochs": 1})
    assert again["model"] == "mine:2"
    with pytest.raises(RequestError, match=r"package\.missing"):
        connection.train("iris", model="package.missing:build", **QUICK)


def test_the_same_key_finds_the_same_run(connection: whisktrain.Connection) -> None:
    first = connection.train("iris", model="linear", key="mine-1", name="keyed", **QUICK)
    second = connection.train("iris", model="linear", key="mine-1", name="keyed", **QUICK)
    assert first["model"] == second["model"] == "keyed:1"
    assert first["metrics"] == second["metrics"]
    with pytest.raises(RequestError):
        connection.train("iris", key="not a key", **QUICK)


def test_two_connections_on_one_home_work_at_the_same_time(
    connection: whisktrain.Connection, home: Path
) -> None:
    with whisktrain.connect(platform="embedded", home=home) as other:
        assert other.hosting.apihost != connection.hosting.apihost
        assert len(HostsOfHome(home, "").alive()) == 2
        result = other.train("iris", model="linear", name="other", **QUICK)
        assert result["status"] == "completed"
        assert connection.predict("other", [[5.1, 3.5, 1.4, 0.2]])["model"] == "other:1"
    assert len(HostsOfHome(home, "").alive()) == 1
    assert connection.predict("flowers", [[5.1, 3.5, 1.4, 0.2]])["model"] == "flowers:1"


def test_the_follower_is_started_again_when_it_dies(connection: whisktrain.Connection) -> None:
    import os
    import signal
    import time

    [pid] = connection.hosting.pids
    os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + 20
    while connection.hosting.pids in ([], [pid]):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert connection.train("iris", model="linear", name="after", **QUICK)["status"] == "completed"


def test_runs_can_be_stopped_from_elsewhere_and_resumed(
    connection: whisktrain.Connection, home: Path
) -> None:
    stopped: list[bool] = []

    def stop_it(shown: whisktrain.Progress) -> None:
        if shown.round > 3 and not stopped:
            stopped.append(True)
            with whisktrain.connect(platform="embedded", home=home) as other:
                other.runs.stop(shown.run, wait=False)

    result = connection.train(
        "iris", model="linear", workers=1, epochs=2000, name="long", progress=stop_it
    )
    assert result["status"] == "stopped"
    assert 3 < result["rounds"] < 4000
    shown = connection.runs.show(result["run"])
    assert shown["status"] == "stopped"
    again = connection.runs.resume(
        result["run"],
        lambda p: stopped.append(p.round > result["rounds"] and _stop(connection, p.run)),
    )
    assert again["rounds"] > result["rounds"]
    connection.runs.delete(again["run"])
    with pytest.raises(NotFound):
        connection.runs.show(again["run"])


def _stop(connection: whisktrain.Connection, run: str) -> bool:
    connection.runs.ask_to_stop(run)
    return True


def test_fit_leaves_the_scaling_of_pixels_to_the_model(connection: whisktrain.Connection) -> None:
    from whisktrain.learning import backend

    keras = backend.keras()
    keras.utils.set_random_seed(4)
    model = keras.Sequential(
        [
            keras.Input((6, 5, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(2, activation="softmax"),
        ],
        name="pixels",
    )
    model.compile(
        optimizer=keras.optimizers.SGD(learning_rate=0.1), loss="sparse_categorical_crossentropy"
    )
    draw = np.random.default_rng(2)
    x = draw.integers(0, 256, (48, 6, 5), dtype=np.uint8)
    y = np.arange(48) % 2
    alone = keras.models.clone_model(model)
    alone.set_weights(model.get_weights())
    alone.compile(
        optimizer=keras.optimizers.SGD(learning_rate=0.1), loss="sparse_categorical_crossentropy"
    )
    alone.fit(x[..., None].astype("float32"), y, epochs=5, batch_size=48, verbose=0)
    connection.fit(model, x, y, workers=2, epochs=5, batch="full", validation=0.0)
    for ours, theirs in zip(model.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    answers = connection.predict("pixels", x[:8])["decisions"]
    expected = alone.predict(x[:8, ..., None].astype("float32"), verbose=0)
    found = [[a["top"][k]["probability"] for k in range(2)] for a in answers]
    np.testing.assert_allclose(np.sort(found), np.sort(expected), atol=1e-5)
