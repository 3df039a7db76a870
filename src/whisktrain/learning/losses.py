"""Losses: Keras' own objects, what the targets must look like for them, and their sums and divisors instead of their means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, cast

from whisktrain.errors import RequestError
from whisktrain.spec import LossConfig

__all__ = ["LOSSES", "Link", "Targets", "check", "link", "make", "resolve", "sums", "targets"]

Link: TypeAlias = Literal["softmax", "sigmoid", "hinge"]
"""What turns outputs into probabilities; hinge: (x + 1) / 2."""

Targets: TypeAlias = Literal["sparse", "one_hot", "single", "value"]
"""How targets reach the loss: class numbers, one-hot rows, 0/1 for a single unit, or values."""

_CATEGORICAL = {
    "categorical_crossentropy": "CategoricalCrossentropy",
    "categorical_focal_crossentropy": "CategoricalFocalCrossentropy",
    "categorical_hinge": "CategoricalHinge",
    "kl_divergence": "KLDivergence",
}
_BINARY = {
    "binary_crossentropy": "BinaryCrossentropy",
    "binary_focal_crossentropy": "BinaryFocalCrossentropy",
    "hinge": "Hinge",
    "squared_hinge": "SquaredHinge",
}
_VALUE = {
    "mean_squared_error": "MeanSquaredError",
    "mean_absolute_error": "MeanAbsoluteError",
    "huber": "Huber",
    "log_cosh": "LogCosh",
}
_POSITIVE = {
    "mean_absolute_percentage_error": "MeanAbsolutePercentageError",
    "mean_squared_logarithmic_error": "MeanSquaredLogarithmicError",
    "poisson": "Poisson",
}
_SPARSE = {"sparse_categorical_crossentropy": "SparseCategoricalCrossentropy"}

LOSSES: dict[str, str] = {**_SPARSE, **_CATEGORICAL, **_BINARY, **_VALUE, **_POSITIVE}
"""The losses that are known: Keras' name and class."""

_SHORT = {"mse": "mean_squared_error", "mae": "mean_absolute_error", "mape": "mean_absolute_percentage_error",
          "msle": "mean_squared_logarithmic_error", "kld": "kl_divergence", "bce": "binary_crossentropy",
          "logcosh": "log_cosh", "huber_loss": "huber", "crossentropy": "auto", "ce": "auto"}  # fmt: skip
_CLASS_NAMES = {class_name: name for name, class_name in LOSSES.items()}
_REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight")


def check(loss: Mapping[str, object], task: str, *, standardised: bool) -> LossConfig:
    """Bring a loss to the name under which it is built; needs no Keras.

    Args:
        loss: `{"name": ..., ...options}`: Keras' name, class or abbreviation, or "auto".
        task: "classification" or "regression".
        standardised: Whether regression targets are standardised, so that they can be negative.

    Returns:
        The same with Keras' full name.

    Raises:
        RequestError: The loss is not known, not for this task, or its reduction is not a sum or a mean.
    """
    given = str(loss.get("name", "auto"))
    name = _CLASS_NAMES.get(given) or _SHORT.get(given.lower(), given.lower())
    if name not in LOSSES and name != "auto":
        raise RequestError(f"the loss {given!r} is not supported; expected one of {', '.join(LOSSES)}, or their classes.")
    for_classes = name in _SPARSE or name in _CATEGORICAL or name in _BINARY
    if task == "regression" and for_classes:
        raise RequestError(
            f"the loss {given!r} is for classes, but the target holds values (regression).",
            hint="Choose a loss such as mean_squared_error, or set the task to classification.",
        )
    if name in _POSITIVE and (standardised or task == "classification"):
        raise RequestError(
            f"the loss {given!r} needs targets above 0, but they are {'standardised' if standardised else 'class numbers'}.",
            hint="Choose a loss such as mean_squared_error or huber.",
        )
    if loss.get("reduction", "sum_over_batch_size") not in _REDUCTIONS:
        raise RequestError(
            f"the loss's reduction is {loss['reduction']!r}; expected one of {', '.join(_REDUCTIONS)}: "
            "without a reduction there is no single loss to minimise."
        )
    return cast(LossConfig, {**loss, "name": name})


def resolve(loss: LossConfig, activation: str | None, output: tuple[int, ...], task: str) -> LossConfig:
    """Choose the loss for a model that came without one ("auto"); another loss is returned as it is.

    Args:
        loss: The checked loss.
        activation: The last layer's, "linear" for raw scores, None where it has none of its own.
        output: Shape of one row's output.
        task: "classification" or "regression".
    """
    if loss["name"] != "auto":
        return loss
    options = {key: value for key, value in loss.items() if key != "name"}
    return cast(LossConfig, {**options, **_default(activation, output, task)})


def _default(activation: str | None, output: tuple[int, ...], task: str) -> LossConfig:
    if task == "regression":
        return {"name": "mean_squared_error"}
    raw = activation not in ("softmax", "sigmoid", None)
    single = not output or output[-1] == 1
    name = "binary_crossentropy" if single or activation == "sigmoid" else "sparse_categorical_crossentropy"
    return {"name": name, "from_logits": True} if raw else {"name": name}


def targets(loss: LossConfig, output: tuple[int, ...], target: tuple[int, ...], task: str, classes: int) -> Targets:
    """How targets must be given to the loss; refuses whatever would need silent broadcasting.

    Args:
        loss: The checked loss.
        output: Shape of one row's output.
        target: Shape of one row's target, () for a number.
        task: "classification" or "regression".
        classes: Number of classes.

    Raises:
        RequestError: Output and target do not fit together.
    """
    if task == "regression":
        if output in (target, (*target, 1)):
            return "value"
        raise RequestError(
            f"the model's output has shape {output} a row; expected {(*target, 1)}: one value a row.",
            hint="End the model in Dense(1).",
        )
    single = output in (target, (*target, 1))
    if loss["name"] in _SPARSE or not single:
        if output != (*target, classes):
            raise RequestError(
                f"the model's output has shape {output} a row, but there are {classes} classes; expected {(*target, classes)}.",
                hint=f"End the model in Dense({classes}, activation='softmax').",
            )
        return "sparse" if loss["name"] in _SPARSE else "one_hot"
    if classes != 2 or loss["name"] in _CATEGORICAL:
        raise RequestError(
            f"the model ends in one unit, which tells two classes apart with a loss such as binary_crossentropy; "
            f"the data has {classes} classes and the loss is {loss['name']}.",
            hint=f"End the model in Dense({classes}, activation='softmax').",
        )
    return "single"


def link(loss: LossConfig, kind: Targets) -> Link | None:
    """What turns the model's output into probabilities: "softmax", "sigmoid", "hinge" ((x + 1) / 2), or None."""
    if kind == "value":
        return None
    if loss["name"] in ("hinge", "squared_hinge"):
        return "hinge"
    if not loss.get("from_logits", False):
        return None
    return "sigmoid" if loss["name"] in _BINARY else "softmax"


def make(keras: Any, loss: LossConfig, dtype: str | None) -> Any:
    """Build Keras' loss object.

    Raises:
        RequestError: Keras does not know an option.
    """
    options = {k: v for k, v in loss.items() if k not in ("name", "dtype", "fn")}
    try:
        return getattr(keras.losses, LOSSES[loss["name"]])(**options, name=loss["name"], dtype=dtype)
    except (TypeError, ValueError) as error:
        reason = re.sub(r"\s+", " ", str(error))[:200]
        raise RequestError(f"the loss {loss['name']} cannot be built with {options}: {reason}") from None


def _same_rank(ops: Any, values: Any, weights: Any) -> tuple[Any, Any]:
    """Keras' `squeeze_or_expand_to_same_rank` for the two cases that occur here."""
    if len(values.shape) == len(weights.shape) + 1 and values.shape[-1] == 1:
        if len(weights.shape) == 1:
            return values, ops.expand_dims(weights, -1)
        return ops.squeeze(values, -1), weights
    if len(weights.shape) == len(values.shape) + 1 and weights.shape[-1] == 1:
        return values, ops.squeeze(weights, -1)
    return values, weights


def sums(keras: Any, loss: Any, y: Any, p: Any, weights: Any | None) -> tuple[Any, Any, Any | None]:
    """A loss's sum, the divisor that Keras would use, and the mask that was respected.

    Keras' mean over a batch is `sum / divisor`: of sum_over_batch_size, the number of loss elements, or of unmasked ones under
    a mask; of mean_with_sample_weight, the sum of the weights. Source: `keras.losses.Loss.__call__` and
    `reduce_weighted_values` (Keras 3).

    Args:
        keras: The module.
        loss: A Keras loss.
        y: Targets as the loss takes them.
        p: The model's output, with its Keras mask if it has one.
        weights: Sample weights, or None.

    Returns:
        The sum and the divisor (scalars of the loss's dtype), and the mask or None.
    """
    ops, dtype = keras.ops, loss.dtype
    masks = [getattr(p, "_keras_mask", None)]
    losses = loss.call(ops.convert_to_tensor(y, dtype=dtype), ops.convert_to_tensor(p, dtype=dtype))
    masks.append(getattr(losses, "_keras_mask", None))
    present = [ops.cast(m, "bool") for m in masks if m is not None]
    mask = None if not present else present[0] if len(present) == 1 else ops.logical_and(*present)
    losses = ops.convert_to_tensor(losses, dtype=dtype)
    count = ops.cast(ops.size(losses), dtype)
    divisor = count
    if mask is not None:
        flags = ops.cast(mask, dtype)
        if weights is None:
            weights = flags
        else:
            flags, weights = _same_rank(ops, flags, ops.cast(weights, dtype))
            if len(weights.shape) < len(flags.shape):
                weights = ops.reshape(weights, (-1, *[1] * (len(flags.shape) - 1)))
            weights = weights * flags
        if loss.reduction in ("mean", "sum_over_batch_size"):
            # one loss element may stand for several mask elements or the other way round: keep Keras' ratio
            divisor = ops.sum(ops.cast(mask, dtype)) * (count / ops.maximum(ops.cast(ops.size(mask), dtype), 1))
    if weights is not None:
        losses, weights = _same_rank(ops, losses, ops.cast(weights, dtype))
        losses = losses * weights
        if loss.reduction == "mean_with_sample_weight":
            divisor = ops.sum(weights)
    return ops.sum(losses), divisor, mask
