"""Write a trained model as a `.keras` file that answers by itself: with the preparation of its inputs and outputs inside.

Preparation is made of Keras' own operations, in float64 like stage 1's, so that the file opens wherever Keras runs and answers
as `predict` does. What a tensor cannot be, such as the texts of categories, is described by the caller beside the file.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from whisktrain.learning import backend, checks, losses
from whisktrain.learning.building import sources
from whisktrain.learning.building.layout import layout_of
from whisktrain.learning.computing.local import keras_optimizer
from whisktrain.learning.keras_types import BackendTensor, Model
from whisktrain.spec import Blueprint, LossConfig, Spec
from whisktrain.tensors import Tensors

__all__ = ["CategoryInput", "FlagInput", "NumberInput", "Preparation", "export"]


@dataclass(frozen=True, slots=True)
class NumberInput:
    """A feature (input - shift) / divisor; NaN becomes `fill` first."""

    at: int
    fill: float
    shift: float = 0.0
    divisor: float = 1.0


@dataclass(frozen=True, slots=True)
class FlagInput:
    """A feature 0 or 1: the input itself, NaN becoming `fill`; or, without a fill, whether the input is NaN."""

    at: int
    fill: float | None = None


@dataclass(frozen=True, slots=True)
class CategoryInput:
    """One feature for each of some numbers of categories: whether the input is that number; NaN becomes `fill`.

    Attributes:
        at: The input's position.
        fill: The category of a missing value.
        codes: The numbers, one a feature.
        known: Below which a number is a category's own.
        other: The number of all others, such as -1; none where no feature is.
    """

    at: int
    fill: float
    codes: tuple[int, ...]
    known: int
    other: int


@dataclass(frozen=True, slots=True)
class Preparation:
    """From inputs as people have them to features, in the order of the features; nothing where all is empty.

    Attributes:
        inputs: Number of inputs of a row.
        numbers: The features that are scaled.
        flags: The features 0 and 1, after them.
        categories: The one-hot features, last.
        divisor: What pixels are divided by.
    """

    inputs: int = 0
    numbers: tuple[NumberInput, ...] = ()
    flags: tuple[FlagInput, ...] = ()
    categories: tuple[CategoryInput, ...] = ()
    divisor: float = 1.0


def export(
    spec: Spec,
    blueprint: Blueprint,
    params: Tensors,
    path: Path,
    preparation: Preparation | None = None,
) -> None:
    """Write a trained model as a `.keras` file in one atomic step; compiled as it was trained where its loss still fits.

    Args:
        spec: The plan that it was trained by.
        blueprint: The model.
        params: Its tensors.
        path: The file; replaced if it is there.
        preparation: From inputs to features; None where inputs are features.
    """
    prepared = _with_inputs(sources.restore(spec, blueprint, params), spec, preparation)
    whole, loss = _with_answers(spec, blueprint, prepared)
    if loss is not None:
        whole.compile(keras_optimizer(spec.optimizer), losses.make(loss, None))
        whole.optimizer.build(whole.trainable_variables)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        with backend.quiet():
            whole.save(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _with_inputs(model: Model, spec: Spec, preparation: Preparation | None) -> Model:
    """The model with its preparation before it; the same where there is none."""
    keras = backend.keras()
    if preparation is None or preparation == Preparation():
        return model
    if preparation.inputs:
        given = keras.Input((preparation.inputs,), name="inputs", dtype="float64")
        features = _features(given, preparation)
    else:
        given = keras.Input(spec.x_shape, name="pixels", dtype="float32")
        features = keras.layers.Rescaling(1.0 / preparation.divisor, name="scaled")(given)
    dtype = str(model.inputs[0].dtype)
    whole: Model = keras.Model(given, _apply(model, keras.ops.cast(features, dtype)), name="whole")
    return whole


def _features(given: BackendTensor, preparation: Preparation) -> BackendTensor:
    ops = backend.keras().ops

    def column(at: int, fill: float) -> BackendTensor:
        own = given[:, at : at + 1]  # type: ignore[index]
        filled: BackendTensor = ops.where(ops.isnan(own), np.float64(fill), own)
        return filled

    blocks = []
    if preparation.numbers:
        filled = ops.concatenate([column(n.at, n.fill) for n in preparation.numbers], axis=1)
        shifts = np.array([n.shift for n in preparation.numbers])
        divisors = np.array([n.divisor for n in preparation.numbers])
        blocks.append((filled - shifts) / divisors)
    for flag in preparation.flags:
        own = given[:, flag.at : flag.at + 1]  # type: ignore[index]
        blocks.append(
            ops.cast(ops.isnan(own), "float64") if flag.fill is None else column(flag.at, flag.fill)
        )
    for category in preparation.categories:
        code = column(category.at, category.fill)
        is_known = ops.equal(ops.maximum(ops.minimum(code, category.known - 1.0), 0.0), code)
        number = ops.where(is_known, code, np.float64(category.other))
        blocks.append(ops.cast(ops.equal(number, np.array(category.codes, "float64")), "float64"))
    features: BackendTensor = ops.concatenate(blocks, axis=1) if len(blocks) > 1 else blocks[0]
    return features


def _with_answers(
    spec: Spec, blueprint: Blueprint, whole: Model
) -> tuple[Model, LossConfig | None]:
    """The model with outputs as `predict` has them, and the loss that fits those; None where none does.

    Probabilities that add up to 1 (of a single unit, the second class's), or values in the target's own units.
    """
    keras, layout = backend.keras(), layout_of(blueprint)
    ops, output, loss = keras.ops, whole.outputs[0], layout["loss"]
    if layout["targets"] == "value":
        if (spec.target_mean, spec.target_scale) == (0.0, 1.0):
            return whole, loss
        scale, mean = spec.target_scale, spec.target_mean
        answers = keras.layers.Rescaling(scale, mean, name="in_own_units")(output)
        return _ending(whole, answers), loss
    if layout["link"] in ("softmax", "sigmoid"):
        answers = keras.layers.Activation(layout["link"], dtype="float32")(output)
        loss = cast(LossConfig, {k: v for k, v in loss.items() if k != "from_logits"})
        return _ending(whole, answers), loss
    activation = checks.last_activation(json.loads(blueprint.config))
    if activation == ("sigmoid" if layout["targets"] == "single" else "softmax"):
        return whole, loss
    if layout["link"] == "hinge":
        output = (output + 1.0) / 2.0  # type: ignore[operator]
    if layout["targets"] == "single":
        return _ending(whole, ops.clip(output, 0.0, 1.0)), None
    positive = ops.maximum(output, 0.0)
    total = ops.sum(positive, axis=-1, keepdims=True)
    shares = ops.where(total > 0.0, positive / ops.maximum(total, 1e-30), 1.0 / spec.classes)
    return _ending(whole, shares), None


def _ending(whole: Model, answers: BackendTensor) -> Model:
    ended: Model = backend.keras().Model(whole.inputs[0], answers, name="whole")
    return ended


def _apply(model: Model, features: BackendTensor) -> BackendTensor:
    """The model's output for symbolic features."""
    output: BackendTensor = model(features)  # type: ignore[call-arg]
    return output
