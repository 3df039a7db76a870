"""Weight constraints against Keras' own."""

from __future__ import annotations

import numpy as np
import pytest

from whisktrain.errors import RequestError
from whisktrain.learning import backend
from whisktrain.merge.constraints import constrain
from whisktrain.spec import ConstraintConfig

CONSTRAINTS: list[ConstraintConfig] = [
    {"name": "NonNeg"},
    {"name": "UnitNorm"},
    {"name": "UnitNorm", "axis": [0, 1]},
    {"name": "MaxNorm"},
    {"name": "MaxNorm", "max_value": 0.5, "axis": 1},
    {"name": "MinMaxNorm"},
    {"name": "MinMaxNorm", "min_value": 0.5, "max_value": 1.5, "rate": 0.5, "axis": 1},
]


@pytest.mark.parametrize("constraint", CONSTRAINTS, ids=lambda c: "-".join(map(str, c.values())))
def test_a_weight_is_constrained_as_by_keras(constraint: ConstraintConfig) -> None:
    weight = (np.random.default_rng(3).normal(size=(4, 3)) * 3).astype(np.float32)
    arguments = {k: v for k, v in constraint.items() if k != "name"}
    keras = getattr(backend.keras().constraints, constraint["name"])(**arguments)
    constrained = constrain(constraint, weight)
    assert constrained.dtype == np.float32 and constrained.shape == weight.shape
    assert np.allclose(constrained, np.asarray(keras(weight)), rtol=0, atol=1e-6)


def test_only_the_constraints_of_keras_are_known() -> None:
    with pytest.raises(RequestError, match="'Mine' is not supported"):
        constrain({"name": "Mine"}, np.zeros(3, np.float32))
