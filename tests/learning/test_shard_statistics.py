"""What each shard does with its own rows: batch norm's statistics and dropout's draws, against emulations of exactly that."""

from __future__ import annotations

import learning_rig as rig
import numpy as np
from learning_rig import ROUNDS, compare, layers, sequential

from whisktrain.learning import backend
from whisktrain.merge.merging import merge
from whisktrain.spec import Rows


def test_batch_norm_against_an_emulation() -> None:
    """Per-shard statistics in the forward pass; pooled by rows afterwards; moved once."""
    import tensorflow as tf

    keras = backend.keras()
    model = sequential(
        (6,),
        layers().Dense(8),
        layers().BatchNormalization(momentum=0.9),
        layers().Dense(4, "softmax"),
    )
    spec = rig.spec_of(rig.config_of(model), optimizer={"name": "sgd", "learning_rate": 1e-3})
    built, opened = rig.open_of(spec)
    rows = rig.data((6,), 4)
    shards = rig.split(len(rows), 3)
    params, _ = rig.run(spec, built, opened, rows, ROUNDS, 3)

    own = rig.keras_model(built)
    norm = own.layers[1]
    mean, variance = (
        norm.moving_mean.numpy().astype("float64"),
        norm.moving_variance.numpy().astype("float64"),
    )
    for batch in rig.batches(ROUNDS):
        pieces = [np.intersect1d(own_rows, batch) for own_rows in shards]
        inner = [own.layers[0](rows.x[p]).numpy().astype("float64") for p in pieces if len(p)]
        with tf.GradientTape() as tape:
            total = 0.0
            for p in pieces:
                if len(p):
                    output = own(rows.x[p], training=True)
                    loss = keras.losses.sparse_categorical_crossentropy(rows.y[p], output)
                    total = total + tf.reduce_sum(loss)
            total = total / len(batch)
        weights = [v.value for v in own.trainable_weights]
        for v, g in zip(weights, tape.gradient(total, weights), strict=True):
            v.assign_sub(1e-3 * g)
        union = np.concatenate(
            inner
        )  # the union's own mean and variance: what pooling by rows must give
        mean = mean * 0.9 + union.mean(axis=0) * 0.1
        variance = variance * 0.9 + union.var(axis=0) * 0.1
    trained = {
        e["name"]: v.numpy()
        for e, v in zip(built.blueprint.layout["tensors"], own.weights, strict=True)
    }
    for name, value in params.items():
        expected = (
            mean
            if name.endswith("moving_mean")
            else variance
            if name.endswith("moving_variance")
            else trained[name]
        )
        assert np.abs(value - expected).max() < 1e-6


def test_batch_norm_in_local_mode_pools_the_workers_rows() -> None:
    """Workers whose rows differ: the merged variance is the one of all rows, as in gradient mode."""
    model = sequential(
        (6,), layers().BatchNormalization(momentum=0.9), layers().Dense(4, "softmax")
    )
    rows = rig.data((6,), 4)
    rows.x[: len(rows) // 2] += 3.0
    found = []
    for sync in ("local", "gradient"):
        spec = rig.spec_of(
            rig.config_of(model),
            optimizer={"name": "sgd", "learning_rate": 1e-3},
            sync=sync,
            batch=0,
        )
        built, opened = rig.open_of(spec)
        params, everything = built.params, np.arange(len(rows))
        shards = rig.split(len(rows), 3)
        for number in range(1, 6):
            parts = rig.contributions(opened, params, number, everything, rows, shards)
            params = merge(spec, built.blueprint.layout, number, dict(params), {}, parts).params
        found.append({n: v for n, v in params.items() if "moving" in n})
        kept = 0.9**5
        for name, value in found[-1].items():
            union = rows.x.var(axis=0) if name.endswith("variance") else rows.x.mean(axis=0)
            start = 1.0 if name.endswith("variance") else 0.0
            np.testing.assert_allclose(value, kept * start + (1 - kept) * union, atol=1e-5)
    assert len(found[0]) == 2


def test_batch_norm_of_one_worker_equals_keras() -> None:
    norm = layers().BatchNormalization(
        momentum=0.8, gamma_constraint=backend.keras().constraints.MaxNorm(1.0)
    )
    # no bias before the normalisation: its gradient is nothing but rounding, which Adam blows up
    model = sequential(
        (5, 5, 1),
        layers().Conv2D(3, 3, use_bias=False),
        norm,
        layers().Flatten(),
        layers().Dense(4, "softmax"),
    )
    compare(model, rig.data((5, 5, 1), 4), x_shape=(5, 5, 1), workers=(1,))


def test_pooled_variances_are_never_negative() -> None:
    model = sequential(
        (6,), layers().BatchNormalization(momentum=0.0), layers().Dense(4, "softmax")
    )
    spec = rig.spec_of(rig.config_of(model))
    built, opened = rig.open_of(spec)
    x = np.full((rig.ROWS, 6), 1e4, "float32")
    params, _ = rig.run(spec, built, opened, Rows(x, rig.data((6,), 4).y), 3, 3)
    found = next(value for name, value in params.items() if name.endswith("moving_variance"))
    assert (found >= 0).all()
    assert (found < 1.0).all()


def test_dropout_against_an_emulation() -> None:
    """Every shard draws of its own, from (seed, round, shard, step)."""
    import tensorflow as tf

    from whisktrain import seeds

    keras = backend.keras()
    model = sequential(
        (6,), layers().Dense(32, "relu"), layers().Dropout(0.5), layers().Dense(4, "softmax")
    )
    spec = rig.spec_of(
        rig.config_of(model), optimizer={"name": "sgd", "learning_rate": 1e-3}, seed=7
    )
    built, opened = rig.open_of(spec)
    assert all("seed" not in e["name"] for e in built.blueprint.layout["tensors"])
    rows = rig.data((6,), 4)
    shards = rig.split(len(rows), 3)
    params, _ = rig.run(spec, built, opened, rows, ROUNDS, 3)
    own = rig.keras_model(built)
    (state,) = [v for v in own.variables if "seed_generator" in v.path]
    for number, batch in enumerate(rig.batches(ROUNDS), start=1):
        with tf.GradientTape() as tape:
            total = 0.0
            for k, mine in enumerate(shards):
                p = np.intersect1d(mine, batch)
                if len(p):
                    state.assign([seeds.integer(7, "dropout", number, k, 0, 0), 0])
                    loss = keras.losses.sparse_categorical_crossentropy(
                        rows.y[p], own(rows.x[p], training=True)
                    )
                    total = total + tf.reduce_sum(loss)
            total = total / len(batch)
        weights = [v.value for v in own.trainable_weights]
        for v, g in zip(weights, tape.gradient(total, weights), strict=True):
            v.assign_sub(1e-3 * g)
    assert rig.largest_difference(built, params, [v.numpy() for v in own.weights]) < 1e-6
