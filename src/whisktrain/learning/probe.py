"""A dry run of a new model on two made-up rows: what cannot be shared between workers shows before the fan-out."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from whisktrain.errors import RequestError
from whisktrain.learning import backend
from whisktrain.learning.layout import KerasLayout, batch_normalisations, layout_of
from whisktrain.learning.opened import Opened, open_model
from whisktrain.spec import Blueprint, Spec, TensorEntry
from whisktrain.tensors import Tensors

__all__ = ["probe"]


def _counting(layers: Iterable[Any]) -> dict[str, int]:
    """Count how often each layer is called from now on; the layers are not used for anything else."""
    counts: dict[str, int] = {}

    def counted(layer: Any, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            counts[layer.name] = counts.get(layer.name, 0) + 1
            return call(*args, **kwargs)

        return wrapper

    for layer in layers:
        layer.call = counted(layer, layer.call)
    return counts


def _run(opened: Opened, params: Tensors) -> tuple[list[Any], Any, bool, bool]:
    """Gradients, the mask, and whether there is regularisation at all and of activities."""
    shape = opened.spec.x_shape
    x = np.zeros((2, *shape), opened.x_type)
    y = np.zeros((2, *opened.layout["target"]), opened.y_type)
    for name, variable in opened.weights.items():
        variable.assign(params[name])

    def forward() -> tuple[Any, Any]:
        found = opened.forward(x, y, training=True, weighted=True)
        return found.loss + found.penalty, (found.mask, len(opened.model.losses))

    counts = _counting(batch_normalisations(opened.model))
    trained = [opened.weights[name] for name in opened.named("trainable")]
    (mask, extra), gradients = backend.differentiate(forward, trained)
    if again := [name for name, count in counts.items() if count > 1]:
        raise RequestError(f"the batch normalisation {again[0]} is used more than once: its statistics would mix.")
    weights_only = sum(1 for v in opened.model.trainable_weights if v.regularizer is not None)
    return gradients, mask, extra > 0, extra > weights_only


def probe(spec: Spec, blueprint: Blueprint, params: Tensors) -> KerasLayout:
    """Run a new model forward and backward once.

    Args:
        spec: The plan.
        blueprint: The model.
        params: Its first tensors.

    Returns:
        The layout, in which weights that the loss does not depend on are "frozen": Keras does not update them either.

    Raises:
        RequestError: The model cannot compute; a layer keeps state of its own; or its regularisation cannot be shared exactly.
    """
    layout = layout_of(blueprint)
    opened = open_model(spec, blueprint)
    try:
        with backend.quiet():
            gradients, mask, regularised, active = _run(opened, params)
    except RequestError:
        raise
    except Exception as error:  # noqa: BLE001 - Keras raises whatever its layers raise
        reason = re.sub(r"\s+", " ", str(error)).strip()[:300]
        raise RequestError(f"the model cannot compute a loss for rows of shape {spec.x_shape}: {reason}") from None
    for name in opened.named("frozen", "trainable"):
        if not np.array_equal(opened.weights[name].numpy(), params[name], equal_nan=True):
            raise RequestError(
                f"the weight {name} changes by itself while training, which only batch normalisation may do.",
                hint="Such a layer cannot be merged: leave it out, or freeze it.",
            )
    reduction = layout["loss"].get("reduction", "sum_over_batch_size")
    if reduction == "sum" and regularised:
        raise RequestError(
            "the model has regularisers and its loss's reduction is 'sum'; their weight would depend on the batch.",
            hint="Use the reduction sum_over_batch_size.",
        )
    if active and (mask is not None or reduction == "mean_with_sample_weight"):
        raise RequestError(
            "the model has activity regularisation together with a mask (or a loss divided by weights); "
            "the two have different divisors and cannot be merged exactly.",
            hint="Leave out the mask or the activity regulariser.",
        )
    idle = {name for name, g in zip(opened.named("trainable"), gradients, strict=True) if g is None}
    tensors: list[TensorEntry] = [
        {**entry, "role": "frozen"} if entry["name"] in idle else entry for entry in layout["tensors"]
    ]
    if not any(entry["role"] == "trainable" for entry in tensors):
        raise RequestError("the loss depends on no trainable weight of the model; there is nothing to train.")
    return {**layout, "tensors": tensors}
