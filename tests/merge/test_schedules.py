"""Learning-rate schedules against Keras' own, and what their checks refuse."""

from __future__ import annotations

import numpy as np
import pytest

from whisktrain.errors import RequestError
from whisktrain.learning import backend
from whisktrain.merge import schedules

INITIAL = 0.1
SCHEDULES = [
    {"name": "ExponentialDecay", "decay_steps": 4, "decay_rate": 0.5},
    {"name": "ExponentialDecay", "decay_steps": 4, "decay_rate": 0.5, "staircase": True},
    {"name": "InverseTimeDecay", "decay_steps": 4, "decay_rate": 0.5},
    {"name": "PolynomialDecay", "decay_steps": 5},
    {
        "name": "PolynomialDecay",
        "decay_steps": 5,
        "end_learning_rate": 0.01,
        "power": 2.0,
        "cycle": True,
    },
    {"name": "CosineDecay", "decay_steps": 5, "alpha": 0.1},
    {"name": "CosineDecay", "decay_steps": 5, "warmup_target": 0.5, "warmup_steps": 3},
    {"name": "PiecewiseConstantDecay", "boundaries": [2, 6], "values": [1.0, 0.5, 0.25]},
]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: "-".join(map(str, s.values())))
def test_the_rate_of_every_step_is_that_of_keras(schedule: dict) -> None:
    arguments = {k: v for k, v in schedule.items() if k != "name"}
    if schedule["name"] != "PiecewiseConstantDecay":
        arguments["initial_learning_rate"] = INITIAL
    keras = getattr(backend.keras().optimizers.schedules, schedule["name"])(**arguments)
    for step in range(12):
        rate = schedules.learning_rate(
            {"name": "sgd", "learning_rate": INITIAL, "schedule": schedule}, step
        )
        assert rate.dtype == np.float32
        assert rate == pytest.approx(float(keras(step)), rel=1e-6)


def test_a_schedule_may_bring_its_own_initial_rate() -> None:
    schedule = {
        "name": "exponential",
        "decay_steps": 4,
        "decay_rate": 0.5,
        "initial_learning_rate": 0.5,
    }
    assert schedules.learning_rate(
        {"name": "sgd", "learning_rate": INITIAL, "schedule": schedule}, 0
    ) == np.float32(0.5)


@pytest.mark.parametrize(
    ("boundaries", "values"),
    [([], [1.0]), ([2, 2], [1.0, 0.5, 0.25]), ([2], [1.0]), ([2], [1.0, 0.5, 0.25])],
)
def test_boundaries_ascend_and_separate_the_values(
    boundaries: list[int], values: list[float]
) -> None:
    with pytest.raises(
        RequestError, match=f"was given {len(boundaries)} boundaries and {len(values)} values"
    ):
        schedules.check({"name": "piecewise_constant", "boundaries": boundaries, "values": values})


def test_the_initial_rate_of_a_piecewise_schedule_is_its_first_value() -> None:
    with pytest.raises(RequestError, match="no argument initial_learning_rate"):
        schedules.check(
            {
                "name": "PiecewiseConstantDecay",
                "boundaries": [1],
                "values": [1, 2],
                "initial_learning_rate": 1,
            }
        )
