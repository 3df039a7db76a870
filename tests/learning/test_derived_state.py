"""State beside the weights (adapted statistics, bins, vocabularies) in worker, prediction and export, against Keras itself."""

from __future__ import annotations

import tempfile
from pathlib import Path

import learning_rig as rig
import numpy as np
import pytest
from learning_rig import layers, sequential

from whisktrain.learning import backend, exporting, inference
from whisktrain.rules import scores
from whisktrain.spec import Rows

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

ROUNDS = 5


def numbers() -> Rows:
    x = np.random.default_rng(5).normal(size=(48, 3)) * [100, 50, 3] + [500, -300, 40]
    return Rows(x, (x[:, 0] > 500).astype(np.int64))


def keys() -> Rows:
    draw = np.random.default_rng(5)
    x = draw.choice([3, 7, 20, 41], size=(48, 2))
    return Rows(x, (x[:, 0] == 7).astype(np.int64))


def head():
    return layers().Dense(2, "softmax", kernel_initializer="zeros")


def adapted(layer, x):
    layer.adapt(x)
    return layer


def normalized():
    return sequential((3,), adapted(layers().Normalization(), numbers().x), head())


def nested():
    inner = sequential((3,), adapted(layers().Normalization(), numbers().x), layers().Dense(4))
    return sequential((3,), sequential((3,), inner, layers().ReLU()), head())


def distributed():
    inner = adapted(layers().Normalization(axis=None), numbers().x.reshape(-1, 1))
    return sequential(
        (3,), layers().Reshape((3, 1)), layers().TimeDistributed(inner), layers().Flatten(), head()
    )


def inverted():
    x = numbers().x
    first = adapted(layers().Normalization(), x)
    second = adapted(layers().Normalization(invert=True), x / 100)
    return sequential((3,), first, layers().Dense(3), second, head())


def binned():
    bins = adapted(layers().Discretization(num_bins=4, output_mode="multi_hot"), numbers().x)
    return sequential((3,), bins, head())


def looked_up(mode: str):
    def make():
        lookup = adapted(layers().IntegerLookup(output_mode=mode), keys().x)
        return sequential((2,), lookup, head(), dtype="int64")

    return make


def embedded():
    lookup = adapted(layers().IntegerLookup(), keys().x)
    embedding = layers().Embedding(5, 3)
    return sequential((2,), lookup, embedding, layers().Flatten(), head(), dtype="int64")


def hashed():
    hashing = layers().Hashing(5, output_mode="multi_hot")
    return sequential((2,), hashing, head(), dtype="int64")


MODELS = {
    "normalization": (normalized, numbers),
    "models in models": (nested, numbers),
    "layer in a layer": (distributed, numbers),
    "inverse": (inverted, numbers),
    "discretization": (binned, numbers),
    "one-hot lookup": (looked_up("multi_hot"), keys),
    "weighted lookup": (looked_up("tf_idf"), keys),
    "lookup and embedding": (embedded, keys),
    "hashing": (hashed, keys),
}


def saved(model) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "given.keras"
        model.save(path)
        return path.read_bytes()


def opened_by_keras(data: bytes, tmp_path: Path):
    path = tmp_path / "given.keras"
    path.write_bytes(data)
    return backend.keras().models.load_model(path)


@pytest.mark.parametrize(
    ("name", "sync"),
    [*((name, "gradient") for name in MODELS), ("normalization", "local"), ("hashing", "local")],
)
def test_a_model_trains_answers_and_exports_as_in_keras(
    name: str, sync: str, tmp_path: Path
) -> None:
    keras = backend.keras()
    make, data = MODELS[name]
    file, rows = saved(make()), data()
    spec = rig.spec_of(
        {"file": "upload:x"},
        classes=2,
        x_shape=rows.x.shape[1:],
        shard_rows=(len(rows),),
        optimizer={"name": "sgd", "learning_rate": 0.1},
        sync=sync,
    )
    built, opened = rig.open_of_files(spec, {"file": file})

    own = opened_by_keras(file, tmp_path)
    own.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    params, history = rig.full_batch_run(spec, built, opened, rows, ROUNDS)
    expected = own.fit(rows.x, rows.y, batch_size=len(rows), epochs=ROUNDS, verbose=0)
    losses = [scores.combine(spec, [n["train"] for n in parts])["loss"] for parts in history]
    assert losses == pytest.approx(expected.history["loss"], abs=1e-5)
    assert rig.largest_difference(built, params, [v.numpy() for v in own.weights]) < 1e-5

    answers = own.predict(rows.x, verbose=0)
    predicted = inference.predictor(spec, built.blueprint, params)(rows.x)
    assert predicted == pytest.approx(answers, abs=1e-5)
    exporting.export(spec, built.blueprint, params, tmp_path / "out.keras")
    exported = keras.models.load_model(tmp_path / "out.keras")
    assert exported.predict(rows.x, verbose=0) == pytest.approx(answers, abs=1e-5)


def test_an_adapted_normalization_gives_known_numbers() -> None:
    """The figures of Keras 3.15's own `fit`: SGD 0.1, full batch, 5 steps from zero."""
    rows = numbers()
    spec = rig.spec_of(
        {"file": "upload:x"},
        classes=2,
        x_shape=(3,),
        shard_rows=(48,),
        optimizer={"name": "sgd", "learning_rate": 0.1},
    )
    built, opened = rig.open_of_files(spec, {"file": saved(normalized())})
    params, _ = rig.full_batch_run(spec, built, opened, rows, ROUNDS)
    kernel = next(value for name, value in params.items() if name.endswith("kernel"))
    expected = np.array([[-0.1814, 0.1814], [-0.0479, 0.0479], [-0.0071, 0.0071]])
    assert kernel == pytest.approx(expected, abs=5e-5)
    _, history = rig.full_batch_run(spec, built, opened, rows, ROUNDS + 1)
    last = scores.combine(spec, [numbers["train"] for numbers in history[-1]])
    assert last["loss"] == pytest.approx(0.551949, abs=1e-6)
