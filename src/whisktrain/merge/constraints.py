"""Keras' built-in weight constraints in NumPy, applied to merged weights.

Source: `keras.constraints` (Keras 3), whose epsilon is 1e-7.
"""

from __future__ import annotations

from typing import cast

import numpy as np

from whisktrain.errors import RequestError
from whisktrain.spec import CONSTRAINTS, ConstraintConfig
from whisktrain.tensors import Floats

__all__ = ["constrain"]

_EPSILON = 1e-7


def constrain(constraint: ConstraintConfig, weight: Floats) -> Floats:
    """Bring a weight back to where its constraint allows it to be.

    Args:
        constraint: The name of Keras' class and its arguments.
        weight: The weight, of any shape.

    Returns:
        The constrained weight, of the same shape and precision.

    Raises:
        RequestError: The constraint is not one of Keras' own.
    """
    name = constraint["name"]
    if name == "NonNeg":
        positive: Floats = np.maximum(weight, weight.dtype.type(0))
        return positive
    if name not in CONSTRAINTS:
        raise RequestError(
            f"the constraint {name!r} is not supported; expected one of {', '.join(CONSTRAINTS)}."
        )
    axis = constraint.get("axis", 0)
    norms = np.sqrt(
        np.sum(
            np.square(weight), axis=tuple(axis) if isinstance(axis, list) else axis, keepdims=True
        )
    )
    if name == "UnitNorm":
        return cast(Floats, weight / (_EPSILON + norms))
    if name == "MaxNorm":
        wanted = np.clip(norms, 0, constraint.get("max_value", 2))
    else:
        rate = constraint.get("rate", 1.0)
        bounded = np.clip(norms, constraint.get("min_value", 0.0), constraint.get("max_value", 1.0))
        wanted = rate * bounded + (1 - rate) * norms
    return cast(Floats, weight * (wanted / (_EPSILON + norms)))
