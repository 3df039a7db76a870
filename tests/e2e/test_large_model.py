"""A model of 25 million parameters: its actions get the memory that it needs, or the run is refused with the numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import whisktrain
from whisktrain.errors import ConfigurationError, TrainingError
from whisktrain.learning import backend

if TYPE_CHECKING:
    from conftest import Platform

    from whisktrain.openwhisk.client import Activation, Client

WIDTH = 5000
SMALLEST = {"worker": 512, "aggregate": 256}
"""The memory of actions that were not raised."""


def killed(client: Client, action: str) -> list[Activation]:
    """The activations of an action that were killed for their memory."""
    ended = client.activations(name=f"whisktrain/{action}", limit=200, docs=True)
    return [activation for activation in ended if "exhausted its memory" in str(activation.result)]


@pytest.mark.timeout(420)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of h5py, while Keras writes the file
def test_a_model_of_25_million_parameters(platform: Platform) -> None:
    keras = backend.keras()
    layers = keras.layers
    stack = [layers.Dense(WIDTH, "relu"), layers.Dense(WIDTH, "relu"), layers.Dense(2, "softmax")]
    model = keras.Sequential([keras.Input((8,)), *stack], name="wide")
    model.compile(keras.optimizers.Adam(1e-4), "sparse_categorical_crossentropy")
    draw = np.random.default_rng(3)
    x = draw.normal(size=(40, 8)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64)
    before = [np.array(weight) for weight in model.get_weights()]
    assert model.count_params() > 25_000_000
    with whisktrain.connect(
        apihost=platform.apihost, auth=platform.auth, store=platform.store_url
    ) as wt:
        try:
            result = wt.fit(model, x, y, workers=2, rounds=3, batch="full", validation=0.0)
        except (ConfigurationError, TrainingError) as refused:
            assert platform.target == "openwhisk", refused
            assert refused.code == "too_little_memory"
            assert "WHISKTRAIN_WORKER_MEMORY=" in refused.hint
            return
        assert result["status"] == "completed" and result["rounds"] == 3
        assert np.isfinite(result["metrics"]["loss"])
        assert all((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))
        for name, smallest in SMALLEST.items():
            action = wt.client.action(f"whisktrain/{name}")
            assert action is not None and action["limits"]["memory"] > smallest
        assert not killed(wt.client, "worker")
        # On a busy machine a second aggregate may take over; the rounds that it has to replay take more memory than is planned
        # for, and after one that was killed for that the next one gets more.
        assert len(killed(wt.client, "aggregate")) <= 1
        answer = wt.predict(str(result["model"]), x[:2].tolist())
        assert len(answer["decisions"]) == 2
    assert platform.leftovers(result["run"]) == []
