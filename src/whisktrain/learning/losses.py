"""Losses: which ones are known, what targets and outputs must look like for them, and Keras' loss objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias, cast

from whisktrain.errors import RequestError
from whisktrain.learning import backend
from whisktrain.learning.keras_types import Loss
from whisktrain.spec import LossConfig

__all__ = ["LOSSES", "Link", "Targets", "check", "kind_of", "link", "make", "resolve", "targets"]

Link: TypeAlias = Literal["softmax", "sigmoid", "hinge"]
"""The function from outputs to probabilities; of "hinge", (x + 1) / 2."""

Targets: TypeAlias = Literal["sparse", "one_hot", "single", "value"]
"""The form in which targets reach the loss: class numbers, one-hot rows, 0/1 for a single unit, or values."""

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
    """Check a loss and bring it to Keras' full name; needs no Keras.

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
    name = _full_name(given)
    if name not in LOSSES and name != "auto":
        raise RequestError(
            f"the loss {given!r} is not supported; expected one of {', '.join(LOSSES)}, or their classes."
        )
    odd = [key for key, value in loss.items() if not isinstance(value, (str, int, float))]
    if odd:
        raise RequestError(
            f"the loss {given!r} was given {odd[0]} {loss[odd[0]]!r:.60}; expected a number, true or false, or a text."
        )
    _check_task(given, name, task, standardised=standardised)
    reduction = loss.get("reduction", "sum_over_batch_size")
    if reduction not in _REDUCTIONS:
        raise RequestError(
            f"the loss's reduction is {reduction!r}; expected one of {', '.join(_REDUCTIONS)}: "
            "without a reduction there is no single loss to minimise."
        )
    return cast(LossConfig, {**loss, "name": name})


def kind_of(loss: Mapping[str, object] | None) -> Literal["classes", "values", "positive"] | None:
    """What a loss is for: classes, values, or values above 0; None for "auto", an unknown one, and none."""
    name = _full_name(str((loss or {}).get("name", "auto")))
    if name in _POSITIVE:
        return "positive"
    if name in _VALUE:
        return "values"
    return "classes" if name in LOSSES else None


def _full_name(given: str) -> str:
    """Keras' full name of a loss that is given by its name, class or abbreviation."""
    return _CLASS_NAMES.get(given) or _SHORT.get(given.lower(), given.lower())


def _check_task(given: str, name: str, task: str, *, standardised: bool) -> None:
    for_classes = name in _SPARSE or name in _CATEGORICAL or name in _BINARY
    if task == "regression" and for_classes:
        raise RequestError(
            f"the loss {given!r} is for classes, but the target holds values (regression).",
            hint="Choose a loss such as mean_squared_error, or set the task to classification.",
        )
    if name in _POSITIVE and (standardised or task == "classification"):
        kind = "standardised" if standardised else "class numbers"
        raise RequestError(
            f"the loss {given!r} needs targets above 0, but they are {kind}.",
            hint="Choose a loss such as mean_squared_error or huber.",
        )


def resolve(
    loss: LossConfig, activation: str | None, output: tuple[int, ...], task: str
) -> LossConfig:
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
    name = (
        "binary_crossentropy"
        if single or activation == "sigmoid"
        else "sparse_categorical_crossentropy"
    )
    return {"name": name, "from_logits": True} if raw else {"name": name}


def targets(
    loss: LossConfig, output: tuple[int, ...], target: tuple[int, ...], task: str, classes: int
) -> Targets:
    """Choose the form of the targets; refuse shapes that would be broadcast silently.

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
        expected = (*target, classes)
        if output != expected:
            raise RequestError(
                f"the model's output has shape {output} a row, but there are {classes} classes; expected {expected}.",
                hint=f"End the model in Dense({classes}, activation='softmax').",
            )
        return "sparse" if loss["name"] in _SPARSE else "one_hot"
    if classes != 2 or loss["name"] in _CATEGORICAL:
        raise RequestError(
            "the model ends in one unit, which tells two classes apart with a loss such as binary_crossentropy; "
            f"the data has {classes} classes and the loss is {loss['name']}.",
            hint=f"End the model in Dense({classes}, activation='softmax').",
        )
    return "single"


def link(loss: LossConfig, kind: Targets) -> Link | None:
    """Choose the function from outputs to probabilities; None where it holds probabilities or values already."""
    if kind == "value":
        return None
    if loss["name"] in ("hinge", "squared_hinge"):
        return "hinge"
    if not loss.get("from_logits", False):
        return None
    return "sigmoid" if loss["name"] in _BINARY else "softmax"


def make(loss: LossConfig, dtype: str | None) -> Loss:
    """Build Keras' loss object.

    Args:
        loss: The resolved loss.
        dtype: The type to compute in; None for Keras' own.

    Raises:
        RequestError: Keras does not know an option.
    """
    name = loss["name"]
    options = {key: value for key, value in loss.items() if key not in ("name", "dtype", "fn")}
    kind = getattr(backend.keras().losses, LOSSES[name])
    try:
        made: Loss = kind(**options, name=name, dtype=dtype)
    except (TypeError, ValueError) as error:
        reason = backend.one_line(error, 200)
        raise RequestError(
            f"the loss {name} cannot be built with {options}: {reason}",
            hint="Give only arguments of Keras' loss of that name.",
        ) from None
    return made
