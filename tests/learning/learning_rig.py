"""What the tests of learning share: a run without any rounds machinery, and the same run in one Keras process."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import numpy as np

from whisktrain.learning import KerasLearner, backend
from whisktrain.learning.learner import KerasModel
from whisktrain.merge.merging import merge
from whisktrain.spec import Built, Rows, Spec, Work

ROWS = 61
BATCH = 16
ROUNDS = 10


def spec_of(model: dict, **changes) -> Spec:
    base = Spec(
        dataset="d",
        name="n",
        task="classification",
        classes=4,
        x_shape=(6,),
        shard_rows=(ROWS,),
        validation_rows=(0,),
        model=model,
        loss={"name": "sparse_categorical_crossentropy"},
        metrics=("accuracy",),
        optimizer={"name": "adam", "learning_rate": 1e-3},
    )
    return replace(base, **changes)


def data(shape: tuple[int, ...], classes: int, n: int = ROWS, dtype: str = "float32") -> Rows:
    draw = np.random.default_rng(5)
    x = draw.normal(size=(n, *shape)).astype(dtype)
    if classes:
        return Rows(x, draw.integers(0, classes, n))
    return Rows(x, (x.reshape(n, -1)[:, 0] * 2 + draw.normal(size=n) * 0.1).astype(dtype))


def batches(rounds: int, n: int = ROWS, batch: int = BATCH) -> list[np.ndarray]:
    """Global batches, epoch after epoch; the last of each epoch is ragged."""
    found: list[np.ndarray] = []
    epoch = 0
    while len(found) < rounds:
        order = np.random.default_rng(100 + epoch).permutation(n)
        found += [order[i : i + batch] for i in range(0, n, batch)]
        epoch += 1
    return found[:rounds]


def split(n: int, workers: int) -> list[np.ndarray]:
    """Unequal shards: each about half as large as the one before."""
    edges = [0, *(n - n // 2**k for k in range(1, workers)), n]
    return [np.arange(a, b) for a, b in itertools.pairwise(edges)]


def contributions(
    opened: KerasModel,
    params: dict,
    number: int,
    batch: np.ndarray,
    rows: Rows,
    shards: list[np.ndarray],
) -> list:
    found = []
    none = Rows(rows.x[:0], rows.y[:0])
    for k, own in enumerate(shards):
        chosen = np.flatnonzero(np.isin(own, batch))
        work = Work(number, k, "train", 0, (chosen,))
        found.append(opened.contribute(params, work, Rows(rows.x[own], rows.y[own]), none))
    return found


def run(
    spec: Spec, built: Built, opened: KerasModel, rows: Rows, rounds: int, workers: int
) -> tuple[dict, list]:
    """Rounds of whisktrain, merged; the last tensors, and the numbers of every round."""
    params = {name: tensor.copy() for name, tensor in built.params.items()}
    moments, story = {}, []
    for number, batch in enumerate(batches(rounds, len(rows)), start=1):
        parts = contributions(opened, params, number, batch, rows, split(len(rows), workers))
        merged = merge(spec, built.blueprint.layout, number, params, moments, parts)
        params, moments = merged.params, merged.optimizer_state
        story.append([part.numbers for part in parts])
    return params, story


def full_batch_run(
    spec: Spec, built: Built, opened: KerasModel, rows: Rows, rounds: int, workers: int = 3
) -> tuple[dict, list]:
    """Rounds on all rows at once (local mode: one worker, one step a round); the last tensors, and every round's numbers."""
    params = {name: tensor.copy() for name, tensor in built.params.items()}
    moments, story = {}, []
    shards = split(len(rows), workers if spec.sync == "gradient" else 1)
    for number in range(1, rounds + 1):
        parts = contributions(opened, params, number, np.arange(len(rows)), rows, shards)
        merged = merge(spec, built.blueprint.layout, number, params, moments, parts)
        params, moments = merged.params, merged.optimizer_state
        story.append([part.numbers for part in parts])
    return params, story


def open_of(spec: Spec, **arguments) -> tuple[Built, KerasModel]:
    learner = KerasLearner(**arguments)
    built = learner.build(spec, {})
    return built, learner.open(spec, built.blueprint)


def keras_model(built: Built):
    """A model of Keras' own with the same first weights."""
    keras = backend.keras()
    model = keras.models.model_from_json(built.blueprint.config.decode())
    model.set_weights([built.params[e["name"]] for e in built.blueprint.layout["tensors"]])
    return model


def keras_run(
    built: Built, optimizer, loss, rows: Rows, rounds: int, **arguments
) -> list[np.ndarray]:
    """The same steps in one Keras process."""
    model = keras_model(built)
    model.compile(optimizer=optimizer, loss=loss)
    for batch in batches(rounds, len(rows)):
        chosen = np.sort(batch)
        model.train_on_batch(rows.x[chosen], rows.y[chosen], **arguments)
    return [v.numpy() for v in model.weights]


def config_of(model) -> dict:
    return {"config": json.loads(model.to_json())}


def largest_difference(built: Built, params: dict, weights: list[np.ndarray]) -> float:
    names = [e["name"] for e in built.blueprint.layout["tensors"]]
    return max(
        float(np.abs(params[n].astype("float64") - w).max())
        for n, w in zip(names, weights, strict=True)
    )


def open_of_files(spec: Spec, files: dict[str, bytes]) -> tuple[Built, KerasModel]:
    learner = KerasLearner()
    built = learner.build(spec, files)
    return built, learner.open(spec, built.blueprint)


def layers():
    return backend.keras().layers


def sequential(shape: tuple[int, ...], *stack, dtype: str | None = None):
    keras = backend.keras()
    return keras.Sequential([keras.Input(shape, dtype=dtype), *stack])


def compare(
    model,
    rows: Rows,
    *,
    workers: tuple[int, ...] = (1, 3),
    target=(),
    kind=None,
    optimizer=None,
    **changes,
) -> None:
    """Ten rounds against ten steps."""
    keras = backend.keras()
    options = optimizer or {"name": "adam", "learning_rate": 1e-3}
    spec = spec_of(config_of(model), optimizer=options, **changes)
    built, opened = open_of(spec, target=target)
    own = {k: v for k, v in options.items() if k != "name"}
    kind = kind or {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam}[options["name"]]
    expected = keras_run(built, kind(**own), spec.loss["name"], rows, ROUNDS)
    for n in workers:
        params, _ = run(spec, built, opened, rows, ROUNDS, n)
        assert largest_difference(built, params, expected) < 1e-6
    assert largest_difference(built, params, list(built.params.values())) > 1e-5
