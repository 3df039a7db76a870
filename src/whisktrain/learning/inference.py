"""Open a trained model as a function from features to answers.

A matrix product may round a row differently in a batch of 1 than in a batch of 100. So rows are always computed in blocks of
one size, padded; and when a model is opened, one row in every position of a block shows whether the position matters. If it
does, rows are computed one at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias, cast

import numpy as np

from whisktrain.learning import backend
from whisktrain.learning.building import sources
from whisktrain.learning.building.layout import layout_of
from whisktrain.learning.computing.batches import probabilities
from whisktrain.learning.keras_types import BackendTensor, Model
from whisktrain.spec import Blueprint, Spec
from whisktrain.tensors import Floats, Tensor, Tensors

__all__ = ["Predictor", "predictor"]

Predictor: TypeAlias = Callable[[Tensor], Floats]
"""From features, shape (rows, *x_shape), to probabilities, shape (rows, classes), or standardised values, shape (rows,)."""

_BLOCK = 32


def predictor(spec: Spec, blueprint: Blueprint, params: Tensors) -> Predictor:
    """Open a trained model for answering.

    Args:
        spec: The plan that it was trained by.
        blueprint: The model.
        params: Its tensors.

    Returns:
        A function from features to probabilities, or to the (standardised) values of a regression, as float64. A row's answer
        has the same bits in any batch.
    """
    backend.require_exact()
    model = sources.restore(spec, blueprint, params)
    dtype = str(model.inputs[0].dtype)
    size = _BLOCK
    compute = _traced(model, size, spec.x_shape, dtype)
    if not _position_independent(compute, spec.x_shape, dtype):
        size = 1
        compute = _traced(model, size, spec.x_shape, dtype)

    layout = layout_of(blueprint)

    def answer(x: Tensor) -> Floats:
        rows = len(x)
        blocks = max(math.ceil(rows / size), 1)
        padded = np.zeros((blocks * size, *spec.x_shape), dtype=dtype)
        padded[:rows] = x
        outputs = [compute(padded[start : start + size]) for start in range(0, len(padded), size)]
        output = np.concatenate(outputs)[:rows].astype(np.float64)
        return np.asarray(probabilities(output, layout["link"], layout["targets"]))

    return answer


def _traced(model: Model, rows: int, shape: tuple[int, ...], dtype: str) -> Predictor:
    """The model's output for exactly so many rows."""

    def run(x: BackendTensor) -> BackendTensor:
        return model(x, training=False)

    function = backend.trace(run, backend.signature((rows, *shape), dtype))
    return lambda x: cast(Floats, function(x).numpy())


def _position_independent(compute: Predictor, shape: tuple[int, ...], dtype: str) -> bool:
    """Whether a row gives the same bits in every position of a block."""
    draw = np.random.default_rng(0)
    for _ in range(2):
        row = draw.normal(size=(1, *shape)).astype(dtype)
        output = compute(np.repeat(row, _BLOCK, axis=0))
        expected = np.repeat(output[:1], _BLOCK, axis=0)
        if not np.array_equal(output, expected, equal_nan=True):
            return False
    return True
