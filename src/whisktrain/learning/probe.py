"""A dry run of a new model on two made-up rows, to refuse what workers cannot share before the fan-out."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from whisktrain.errors import RequestError
from whisktrain.learning import backend
from whisktrain.learning.building.layout import KerasLayout, batch_normalisations, layout_of
from whisktrain.learning.computing.opened import Opened, open_model
from whisktrain.learning.keras_types import BackendTensor, Layer
from whisktrain.spec import Blueprint, Spec, TensorEntry
from whisktrain.tensors import Tensors

__all__ = ["probe"]

_ROWS = 2


@dataclass(frozen=True, slots=True)
class _DryRun:
    """The findings of one forward and backward pass.

    Attributes:
        gradients: One for each trainable weight; None where the loss does not depend on it.
        masked: Whether a mask was applied.
        regularised: Whether anything is regularised.
        activities_regularised: Whether activities are, besides weights.
        reused_normalisation: The name of a batch normalisation that is called more than once.
    """

    gradients: list[BackendTensor | None]
    masked: bool
    regularised: bool
    activities_regularised: bool
    reused_normalisation: str | None


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
    opened = open_model(spec, blueprint)
    try:
        with backend.quiet():
            dry_run = _run(opened, params)
    except Exception as error:  # noqa: BLE001 - Keras raises whatever its layers raise
        reason = backend.one_line(error)
        raise RequestError(
            f"the model cannot compute a loss for rows of shape {spec.x_shape}: {reason}",
            hint="Call the model once on such rows with Keras itself, which shows where it fails.",
        ) from None
    if dry_run.reused_normalisation is not None:
        name = dry_run.reused_normalisation
        raise RequestError(
            f"the batch normalisation {name} is used more than once: its statistics would mix.",
            hint="Give each place a batch normalisation of its own.",
        )
    _check_unchanged(opened, params)
    layout = layout_of(blueprint)
    _check_regularisation(layout, dry_run)
    return _with_frozen(layout, _independent(opened, dry_run))


def _run(opened: Opened, params: Tensors) -> _DryRun:
    x = np.zeros((_ROWS, *opened.spec.x_shape), opened.x_type)
    y = np.zeros((_ROWS, *opened.layout["target"]), opened.y_type)
    opened.load(params)

    def forward() -> tuple[BackendTensor, tuple[BackendTensor | None, int]]:
        result = opened.forward(x, y, training=True, weighted=True)
        return result.loss + result.penalty, (result.mask, len(opened.model.losses))

    calls = _count_calls(batch_normalisations(opened.model))
    trained = [opened.weights[name] for name in opened.named("trainable")]
    (mask, penalties), gradients = backend.differentiate(forward, trained)
    weight_penalties = sum(
        1 for variable in opened.model.trainable_weights if variable.regularizer is not None
    )
    return _DryRun(
        gradients=gradients,
        masked=mask is not None,
        regularised=penalties > 0,
        activities_regularised=penalties > weight_penalties,
        reused_normalisation=next((name for name, count in calls.items() if count > 1), None),
    )


def _count_calls(layers: Iterable[Layer]) -> dict[str, int]:
    """Count how often each layer is called from now on; the layers are not used for anything else."""
    counts: dict[str, int] = {}

    def counted(layer: Layer, call: Callable[..., BackendTensor]) -> Callable[..., BackendTensor]:
        @functools.wraps(call)
        def wrapper(*args: object, **kwargs: object) -> BackendTensor:
            counts[layer.name] = counts.get(layer.name, 0) + 1
            return call(*args, **kwargs)

        return wrapper

    for layer in layers:
        layer.call = counted(layer, layer.call)
    return counts


def _check_unchanged(opened: Opened, params: Tensors) -> None:
    """Refuse weights other than statistics that the forward pass has changed."""
    for name in opened.named("frozen", "trainable"):
        if not np.array_equal(opened.weights[name].numpy(), params[name], equal_nan=True):
            raise RequestError(
                f"the weight {name} changes by itself while training, which only batch normalisation may do.",
                hint="Such a layer cannot be merged: leave it out, or freeze it.",
            )


def _check_regularisation(layout: KerasLayout, dry_run: _DryRun) -> None:
    reduction = layout["loss"].get("reduction", "sum_over_batch_size")
    if reduction == "sum" and dry_run.regularised:
        raise RequestError(
            "the model has regularisers and its loss's reduction is 'sum'; their weight would depend on the batch.",
            hint="Use the reduction sum_over_batch_size.",
        )
    if dry_run.activities_regularised and (
        dry_run.masked or reduction == "mean_with_sample_weight"
    ):
        raise RequestError(
            "the model has activity regularisation together with a mask (or a loss divided by weights); "
            "the two have different divisors and cannot be merged exactly.",
            hint="Leave out the mask or the activity regulariser.",
        )


def _independent(opened: Opened, dry_run: _DryRun) -> set[str]:
    """The trainable weights that the loss does not depend on."""
    names = opened.named("trainable")
    return {
        name for name, gradient in zip(names, dry_run.gradients, strict=True) if gradient is None
    }


def _with_frozen(layout: KerasLayout, names: set[str]) -> KerasLayout:
    entries: list[TensorEntry] = []
    for entry in layout["tensors"]:
        entries.append({**entry, "role": "frozen"} if entry["name"] in names else entry)
    if not any(entry["role"] == "trainable" for entry in entries):
        raise RequestError(
            "the loss depends on no trainable weight of the model; there is nothing to train.",
            hint="Leave the layers before the output trainable.",
        )
    return {**layout, "tensors": entries}
