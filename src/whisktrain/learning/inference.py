"""A trained model as a function from features to answers, and as a file for Keras.

A matrix product may round a row differently in a batch of 1 than in a batch of 100. So rows are always computed in blocks of
one size, padded; and when a model is opened, one row in every place of a block shows whether the place matters. If it does,
rows are computed one at a time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whisktrain.learning import backend, losses, models
from whisktrain.learning.local import keras_optimizer
from whisktrain.learning.opened import probabilities
from whisktrain.spec import Spec
from whisktrain.tensors import Tensors

__all__ = ["export", "predictor"]

_BLOCK = 32


def _restore(spec: Spec, layout: Mapping[str, Any], config: bytes, params: Tensors) -> Any:
    model = models.from_config(config, spec)
    models.assign(model, {entry["name"]: params[entry["name"]] for entry in layout["tensors"]})
    return model


def _traced(model: Any, rows: int, shape: tuple[int, ...], kind: str) -> Callable[[Any], Any]:
    def run(x: Any) -> Any:
        return model(x, training=False)

    function = backend.trace(run, backend.signature((rows, *shape), kind))
    return lambda x: function(x).numpy()


def _indifferent(compute: Callable[[Any], Any], shape: tuple[int, ...], kind: str) -> bool:
    """Whether a row gives the same bits in every place of a block."""
    draw = np.random.default_rng(0)
    for _ in range(2):
        row = draw.normal(size=(1, *shape)).astype(kind)
        output = compute(np.repeat(row, _BLOCK, axis=0))
        if not np.array_equal(output, np.repeat(output[:1], _BLOCK, axis=0), equal_nan=True):
            return False
    return True


def predictor(spec: Spec, layout: Mapping[str, Any], config: bytes, params: Tensors) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Open a trained model for answering.

    Args:
        spec: The plan that it was trained by.
        layout: The layout of its tensors.
        config: Its configuration, Keras JSON.
        params: Its tensors.

    Returns:
        A function from features, shape (rows, *x_shape), to probabilities, shape (rows, classes), or to the (standardised)
        values of a regression, shape (rows,), as float64. A row's answer has the same bits whatever rows come with it.
    """
    model = _restore(spec, layout, config, params)
    kind = str(model.inputs[0].dtype)
    size = _BLOCK
    compute = _traced(model, size, spec.x_shape, kind)
    if not _indifferent(compute, spec.x_shape, kind):
        size = 1
        compute = _traced(model, size, spec.x_shape, kind)

    def answer(x: NDArray[Any]) -> NDArray[Any]:
        rows = len(x)
        padded = np.zeros((max(-(-rows // size), 1) * size, *spec.x_shape), dtype=kind)
        padded[:rows] = x
        output = np.concatenate([compute(padded[at : at + size]) for at in range(0, len(padded), size)])[:rows]
        return np.asarray(probabilities(output.astype(np.float64), layout["link"], layout["targets"]))

    return answer


def export(spec: Spec, layout: Mapping[str, Any], config: bytes, params: Tensors, path: Path) -> None:
    """Write a trained model as a `.keras` file, compiled as it was trained, all at once.

    Args:
        spec: The plan that it was trained by.
        layout: The layout of its tensors.
        config: Its configuration, Keras JSON.
        params: Its tensors.
        path: The file; replaced if it is there.
    """
    keras = backend.keras()
    model = _restore(spec, layout, config, params)
    model.compile(keras_optimizer(keras, spec.optimizer), losses.make(keras, layout["loss"], None))
    model.optimizer.build(model.trainable_variables)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        with backend.quiet():
            model.save(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
