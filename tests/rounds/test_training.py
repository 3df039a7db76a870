"""Whole runs on the embedded store with a NumPy learner: the weights are those of one process."""

from __future__ import annotations

import time

import numpy as np
import pytest
from numpy_learner import NumpyLearner, gradient
from rounds_rig import Platform, model_bytes, plan_of, put_dataset, train

from whisktrain import tensors
from whisktrain.data.shards.storage import read_rows
from whisktrain.rules import batches
from whisktrain.store.protocol import Store


def by_hand(store: Store, spec, rounds=None):
    """The same training in one process: Adam by its paper's formula, on the union of the rows of each round."""
    params = dict(NumpyLearner().build(spec, {}).params)
    m = {k: np.zeros_like(params[k]) for k in ("w", "b")}
    v = {k: np.zeros_like(params[k]) for k in ("w", "b")}
    shards = [read_rows(store, spec.dataset, k)[0] for k in range(spec.shards)]
    for r in range(1, (rounds or spec.rounds) + 1):
        takes = [batches.work(spec, r, "train", k).steps[0] for k in range(spec.shards)]
        x = np.concatenate([s.x[t] for s, t in zip(shards, takes, strict=True)])
        y = np.concatenate([s.y[t] for s, t in zip(shards, takes, strict=True)])
        g, _ = gradient(params, x, y)
        for k in m:
            d = g[k] / np.float32(len(y))
            m[k] += (d - m[k]) * np.float32(0.1)
            v[k] += (d * d - v[k]) * np.float32(0.001)
            alpha = 0.05 * np.sqrt(1 - 0.999**r) / (1 - 0.9**r)
            params[k] = params[k] - np.float32(alpha) * m[k] / (np.sqrt(v[k]) + np.float32(1e-7))
    return params


@pytest.mark.parametrize("lease", [30.0, 0.0])
def test_a_run_equals_one_process(store: Store, lease: float) -> None:
    put_dataset(store)
    spec = plan_of(lease=lease)
    platform = Platform(store)
    summary = train(store, spec, platform=platform)
    assert summary["status"] == "completed", summary
    held = tensors.decode(model_bytes(store))
    expected = by_hand(store, spec)
    for name in ("w", "b", "c"):
        np.testing.assert_allclose(held[name], expected[name], atol=2e-6)
    assert bytes(held["file/preprocessing"]) == b"fitted"
    assert summary["rounds"] == 6 and summary["workers"] == 2 and summary["model"] == "m:1"
    assert summary["classes"] == ["a", "b", "c"]
    assert summary["metrics"]["rows"] == 50 and summary["metrics"]["val_rows"] == 18
    assert 0 < summary["metrics"]["val_accuracy"] <= 1
    assert [e["epoch"] for e in summary["history"]] == [1, 2]
    assert summary["cost"]["invocations"] >= 3
    assert store.library.get("alias:m").body["version"] == 1


def test_the_lengths_of_rounds_are_those_of_the_clock(store: Store) -> None:
    put_dataset(store)
    began = time.perf_counter()
    summary = train(store, plan_of(rounds=60))
    elapsed_ms = (time.perf_counter() - began) * 1000
    median, longest = summary["round_ms"]["p50"], summary["round_ms"]["p95"]
    assert 0 < median <= longest
    # The histogram's buckets are 5 % apart. Half of the rounds took the median or longer, three of them the 95th percentile.
    assert 30 * median <= 1.05 * elapsed_ms
    assert 3 * longest <= 1.05 * elapsed_ms
    assert summary["cost"]["gb_seconds"] > 0
