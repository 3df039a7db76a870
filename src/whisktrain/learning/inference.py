"""A trained model as a function from features to answers, and as a file for Keras."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whisktrain.learning import backend, losses, models
from whisktrain.learning.opened import probabilities
from whisktrain.spec import Spec
from whisktrain.tensors import Tensors

__all__ = ["export", "predictor"]


def _restore(spec: Spec, layout: Mapping[str, Any], config: bytes, params: Tensors) -> Any:
    model = models.from_config(config, spec)
    models.assign(model, {entry["name"]: params[entry["name"]] for entry in layout["tensors"]})
    return model


def predictor(spec: Spec, layout: Mapping[str, Any], config: bytes, params: Tensors) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Open a trained model for answering.

    Args:
        spec: The plan that it was trained by.
        layout: The layout of its tensors.
        config: Its configuration, Keras JSON.
        params: Its tensors.

    Returns:
        A function from features, shape (rows, *x_shape), to probabilities, shape (rows, classes), or to the (standardised)
        values of a regression, shape (rows,). The first call with a shape prepares it.
    """
    keras = backend.keras()
    model = _restore(spec, layout, config, params)
    kind = str(model.inputs[0].dtype)

    def run(x: Any) -> Any:
        return model(x, training=False)

    traced = backend.trace(run, backend.signature((None, *spec.x_shape), kind))

    def answer(x: NDArray[Any]) -> NDArray[Any]:
        output = np.asarray(traced(keras.ops.convert_to_tensor(x.astype(kind, copy=False))), dtype=np.float64)
        return np.asarray(probabilities(output, layout["link"], layout["targets"]))

    return answer


def export(spec: Spec, layout: Mapping[str, Any], config: bytes, params: Tensors, path: Path) -> None:
    """Write a trained model as a `.keras` file, compiled with its own loss, all at once.

    Args:
        spec: The plan that it was trained by.
        layout: The layout of its tensors.
        config: Its configuration, Keras JSON.
        params: Its tensors.
        path: The file; replaced if it is there.
    """
    keras = backend.keras()
    model = _restore(spec, layout, config, params)
    model.compile(loss=losses.make(keras, layout["loss"], None))
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    with backend.quiet():
        model.save(temporary)
    temporary.replace(path)
