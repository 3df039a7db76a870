"""Where models come from, how they were compiled, how they are answered with and exported; metrics against Keras."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import learning_rig as rig
import numpy as np
import pytest

from whisktrain import metrics, tensors
from whisktrain.errors import RequestError
from whisktrain.learning import KerasLearner, backend, checks, compiled, exporting, inference
from whisktrain.rules import scores
from whisktrain.spec import Rows, Work


def layers():
    return backend.keras().layers


def sequential(*stack, shape=(6,)):
    keras = backend.keras()
    return keras.Sequential([keras.Input(shape), *stack])


def archive(model, path: Path) -> bytes:
    file = path / "given.keras"
    with backend.quiet():
        model.save(file)
    return file.read_bytes()


def test_a_file_keeps_its_own_weights_and_how_it_was_compiled(tmp_path: Path) -> None:
    keras = backend.keras()
    model = sequential(layers().Dense(8, "relu"), layers().BatchNormalization(), layers().Dense(4))
    model.compile(
        optimizer=keras.optimizers.SGD(
            keras.optimizers.schedules.CosineDecay(0.1, 100, warmup_target=0.2, warmup_steps=5), 0.9
        ),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["acc", keras.metrics.SparseTopKCategoricalAccuracy(k=3)],
    )
    data = archive(model, tmp_path)
    built = KerasLearner().build(rig.spec_of({"file": "upload:x"}), {"file": data})
    for value, own in zip(built.params.values(), model.get_weights(), strict=True):
        assert value.tobytes() == own.tobytes()
    config = checks.read_archive(data)
    optimizer = compiled.optimizer_of(config)
    assert optimizer is not None
    assert (optimizer["name"], optimizer["momentum"], optimizer["nesterov"]) == ("sgd", 0.9, False)
    assert optimizer["schedule"]["name"] == "CosineDecay"
    assert optimizer["schedule"]["warmup_target"] == 0.2
    loss = compiled.loss_of(config)
    assert loss is not None
    assert loss["name"] == "SparseCategoricalCrossentropy"
    assert loss["from_logits"] is True
    assert compiled.metrics_of(config, "classification") == ("accuracy", "top_3_accuracy")


def test_compile_settings_of_all_kinds() -> None:
    keras = backend.keras()
    config = rig.config_of(sequential(layers().Dense(1)))["config"]
    assert (
        compiled.optimizer_of(config),
        compiled.loss_of(config),
        compiled.metrics_of(config, "regression"),
    ) == (None,) * 3
    for optimizer, expected in (
        ("adam", {"name": "adam"}),
        (
            keras.optimizers.AdamW(0.01, weight_decay=0.1, clipnorm=1.0),
            {"name": "adamw", "weight_decay": 0.1, "clipnorm": 1.0},
        ),
    ):
        model = sequential(layers().Dense(1))
        model.compile(optimizer, loss="mse", metrics=["mae", keras.metrics.RootMeanSquaredError()])
        config = json.loads(json.dumps(keras.saving.serialize_keras_object(model)))
        found = compiled.optimizer_of(config)
        assert found is not None
        assert expected.items() <= found.items()
        assert compiled.loss_of(config) == {"name": "mse"}
        assert compiled.metrics_of(config, "regression") == ("mae", "rmse")
    for optimizer, word in (
        ("rmsprop", "RMSprop|rmsprop"),
        (keras.optimizers.Adam(use_ema=True), "use_ema"),
    ):
        model = sequential(layers().Dense(1))
        model.compile(optimizer, loss={"dense": "mse"})
        config = json.loads(json.dumps(keras.saving.serialize_keras_object(model)))
        with pytest.raises(RequestError, match=word):
            compiled.optimizer_of(config)


def test_damaged_and_dangerous_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"no \.keras file"):
        KerasLearner().build(rig.spec_of({"file": "upload:x"}), {"file": b"PK\x03\x04 not a model"})
    empty = io.BytesIO()
    with zipfile.ZipFile(empty, "w") as file:
        file.writestr("config.json", "{}")
    with pytest.raises(RequestError, match=r"model\.weights\.h5"):
        checks.read_archive(empty.getvalue())
    data = archive(sequential(layers().Lambda(lambda x: x + 1), layers().Dense(4)), tmp_path)
    with pytest.raises(RequestError, match="embedded code") as caught:
        KerasLearner().build(rig.spec_of({"file": "upload:x"}), {"file": data})
    assert caught.value.code == "embedded_code"


def test_custom_objects_are_refused_before_anything_is_built() -> None:
    config = rig.config_of(sequential(layers().Dense(4, "softmax")))["config"]
    for change in (
        {"module": "evil", "class_name": "Layer", "registered_name": "evil>Layer"},
        {"module": None, "class_name": "Mine", "registered_name": "Custom>Mine"},
        {
            "module": "builtins",
            "class_name": "function",
            "config": "steal",
            "registered_name": "function",
        },
        {"class_name": "__lambda__", "config": {"value": "x"}},
        {"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "/tmp/x"}},
    ):
        bad = json.loads(json.dumps(config))
        bad["config"]["layers"][1]["config"]["activation"] = change
        with pytest.raises(RequestError, match=r"embedded code|not Keras' own|not supported"):
            checks.check_config(bad, (6,))
    checks.check_config(config, (6,))
    with pytest.raises(RequestError, match="class_name"):
        checks.check_config({"layers": []})


FACTORY = """
import keras

@keras.saving.register_keras_serializable(package="whisktrain_test_factory")
class Twice(keras.layers.Layer):
    def call(self, x):
        return x * 2

def build(x_shape, classes):
    return keras.Sequential([keras.Input(x_shape), Twice(), keras.layers.Dense(classes, activation="softmax")])

def broken(x_shape, classes):
    return 3
"""


def test_factories_come_from_an_allow_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend.keras()
    (tmp_path / "whisktrain_test_factory.py").write_text(FACTORY)
    monkeypatch.syspath_prepend(str(tmp_path))
    spec = rig.spec_of({"factory": "whisktrain_test_factory:build"})
    with pytest.raises(RequestError, match="allow-list"):
        KerasLearner().build(spec, {})
    monkeypatch.setenv(
        "WHISKTRAIN_FACTORIES", "whisktrain_test_factory:build, whisktrain_test_factory:broken"
    )
    built, opened = rig.open_of(spec)
    rows = rig.data((6,), 4)
    params, _ = rig.run(spec, built, opened, rows, 3, 2)
    assert rig.largest_difference(built, params, list(built.params.values())) > 0
    monkeypatch.setenv(
        "WHISKTRAIN_FACTORIES",
        "whisktrain_test_factory:build,whisktrain_test_factory:broken,no_such_module:f",
    )
    with pytest.raises(RequestError, match="cannot be imported: ModuleNotFoundError"):
        KerasLearner().build(replace(spec, model={"factory": "no_such_module:f"}), {})
    with pytest.raises(RequestError, match="returned int"):
        KerasLearner().build(replace(spec, model={"factory": "whisktrain_test_factory:broken"}), {})


def test_a_model_py_runs_on_the_embedded_host_only(monkeypatch: pytest.MonkeyPatch) -> None:
    source = b"import keras\ndef build(x_shape, classes):\n    return keras.Sequential([keras.layers.Dense(classes)])\n"
    spec = rig.spec_of({"factory": "model.py:build", "file": "upload:x"}, loss={"name": "auto"})
    with pytest.raises(RequestError, match="embedded host"):
        KerasLearner().build(spec, {"factory": source})
    monkeypatch.setenv("WHISKTRAIN_EMBEDDED", "1")
    built, _ = rig.open_of_files(spec, {"factory": source})
    assert built.blueprint.layout["loss"]["from_logits"] is True
    with pytest.raises(RequestError, match="no function make"):
        KerasLearner().build(replace(spec, model={"factory": "model.py:make"}), {"factory": source})
    with pytest.raises(RequestError, match=r"model\.py failed: NameError"):
        KerasLearner().build(spec, {"factory": b"nothing"})


def test_starting_from_an_earlier_model() -> None:
    spec = rig.spec_of({"preset": "mlp"}, seed=3)
    first = KerasLearner().build(spec, {})
    held = tensors.encode({**first.params, "file/preprocessing": np.zeros(3, np.uint8)})
    again = KerasLearner().build(
        replace(spec, model={"init": "m:1"}), {"init": held, "config": first.blueprint.config}
    )
    assert again.blueprint == first.blueprint
    assert all(again.params[n].tobytes() == first.params[n].tobytes() for n in first.params)
    with pytest.raises(RequestError, match=r"\(6,\).*\(5,\)"):
        KerasLearner().build(
            replace(spec, model={"init": "m:1"}, x_shape=(5,)),
            {"init": held, "config": first.blueprint.config},
        )


@pytest.mark.parametrize("preset", ["linear", "mlp", "cnn"])
@pytest.mark.parametrize("classes", [0, 3])
def test_a_row_has_the_same_bits_alone_and_in_a_batch(preset: str, classes: int) -> None:
    shape = (8, 8) if preset == "cnn" else (13,)
    task = "classification" if classes else "regression"
    spec = rig.spec_of(
        {"preset": preset},
        x_shape=shape,
        classes=classes,
        task=task,
        loss={"name": "auto"},
        metrics=(),
    )
    built = KerasLearner().build(spec, {})
    answer = inference.predictor(spec, built.blueprint, built.params)
    x = np.random.default_rng(0).normal(size=(77, *shape)).astype("float32")
    together = answer(x)
    assert together.shape == ((77, classes) if classes else (77,))
    assert answer(x[:0]).shape[0] == 0
    for i in (0, 1, 31, 32, 50, 76):
        assert answer(x[i : i + 1]).tobytes() == together[i : i + 1].tobytes()
    assert answer(x[::-1]).tobytes() == together[::-1].tobytes()
    expected = rig.keras_model(built).predict(x, verbose=0)
    assert np.abs(together - (expected if classes else expected[:, 0])).max() < 1e-6


def test_place_dependent_models_are_answered_row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = rig.spec_of({"preset": "mlp"})
    built = KerasLearner().build(spec, {})
    monkeypatch.setattr(inference, "_position_independent", lambda *_: False)
    answer = inference.predictor(spec, built.blueprint, built.params)
    x = rig.data((6,), 4).x
    assert answer(x[3:4]).tobytes() == answer(x)[3:4].tobytes()


@pytest.mark.parametrize(
    ("units", "activation", "classes", "loss"),
    [
        (3, None, 3, {"name": "sparse_categorical_crossentropy", "from_logits": True}),
        (1, None, 2, {"name": "binary_crossentropy", "from_logits": True}),
        (1, "sigmoid", 2, {"name": "binary_crossentropy"}),
    ],
)
def test_answers_are_probabilities(
    units: int, activation: str | None, classes: int, loss: dict
) -> None:
    spec = rig.spec_of(
        rig.config_of(sequential(layers().Dense(units, activation))), classes=classes, loss=loss
    )
    built = KerasLearner().build(spec, {})
    x = rig.data((6,), classes).x
    found = inference.predictor(spec, built.blueprint, built.params)(x)
    raw = rig.keras_model(built).predict(x, verbose=0).astype("float64")
    if units == 3:
        expected = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    else:
        one = raw if activation else 1 / (1 + np.exp(-raw))
        expected = np.hstack([1 - one, one])
    assert np.abs(found - expected).max() < 1e-6


def test_exported_models_answer_alike(tmp_path: Path) -> None:
    spec = rig.spec_of({"preset": "cnn"}, x_shape=(8, 8))
    built = KerasLearner().build(spec, {})
    target = tmp_path / "out.keras"
    exporting.export(spec, built.blueprint, built.params, target)
    assert list(tmp_path.iterdir()) == [target]
    loaded = backend.keras().models.load_model(target)
    assert (
        compiled.optimizer_of(checks.read_archive(target.read_bytes())).items()
        >= {"name": "adam"}.items()
    )
    x = rig.data((8, 8), 4).x
    answer = inference.predictor(spec, built.blueprint, built.params)
    assert np.abs(loaded.predict(x, verbose=0) - answer(x)).max() < 1e-6
    again = KerasLearner().build(
        replace(spec, model={"file": "upload:x"}), {"file": target.read_bytes()}
    )
    assert all(again.params[n].tobytes() == built.params[n].tobytes() for n in built.params)


def test_metrics_equal_keras_over_any_split() -> None:
    keras = backend.keras()
    for classes, asked in (
        (2, ("accuracy", "precision", "recall", "auc")),
        (7, ("accuracy", "top_3_accuracy")),
    ):
        spec = rig.spec_of({"preset": "mlp"}, classes=classes, metrics=asked)
        built, opened = rig.open_of(spec)
        rows = rig.data((6,), classes, n=500)
        parts = []
        for k, chosen in enumerate(rig.split(len(rows), 4)):
            mine = Rows(rows.x[chosen], rows.y[chosen])
            parts.append(
                opened.contribute(
                    built.params, Work(9, k, "evaluate", 1, (), True, False), mine, mine
                ).numbers
            )
        ours = scores.combine(spec, [p["validation"] for p in parts])
        json.dumps(ours)
        p = rig.keras_model(built).predict(rows.x, verbose=0)
        for name in asked:
            if name == "top_3_accuracy":
                oracle = keras.metrics.SparseTopKCategoricalAccuracy(k=3)
                oracle.update_state(rows.y, p)
            elif name == "accuracy":
                oracle = keras.metrics.SparseCategoricalAccuracy()
                oracle.update_state(rows.y, p)
            else:
                oracle = {
                    "precision": keras.metrics.Precision,
                    "recall": keras.metrics.Recall,
                    "auc": keras.metrics.AUC,
                }[name]()
                oracle.update_state(rows.y, p[:, 1])
            assert ours[name] == pytest.approx(float(oracle.result()), abs=1e-6), name
    assert set(metrics.BASE) == {"classification", "regression"}


PROCESS = """
import sys, hashlib
import numpy as np
sys.path.insert(0, {here!r})
import learning_rig as rig
spec = rig.spec_of({{"preset": "cnn"}}, x_shape=(8, 8))
built, opened = rig.open_of(spec)
params, story = rig.run(spec, built, opened, rig.data((8, 8), 4), 3, 3)
print(hashlib.sha256(built.blueprint.config + b"".join(params[n].tobytes() for n in params) + repr(story).encode()).hexdigest())
"""


def test_a_new_process_gives_the_same_bits() -> None:
    code = PROCESS.format(here=str(Path(__file__).parent))
    there = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()[-1]
    import hashlib

    spec = rig.spec_of({"preset": "cnn"}, x_shape=(8, 8))
    built, opened = rig.open_of(spec)
    params, story = rig.run(spec, built, opened, rig.data((8, 8), 4), 3, 3)
    here = (
        built.blueprint.config
        + b"".join(params[n].tobytes() for n in params)
        + repr(story).encode()
    )
    assert hashlib.sha256(here).hexdigest() == there


def test_importing_the_room_imports_no_keras() -> None:
    code = (
        "import sys, whisktrain.learning, whisktrain.learning.compiled, whisktrain.learning.checks, whisktrain.learning.losses,"
        " whisktrain.merge.merging, whisktrain.rules.scores, whisktrain.metrics;"
        "print(sorted({'keras', 'tensorflow', 'sklearn', 'pandas'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
