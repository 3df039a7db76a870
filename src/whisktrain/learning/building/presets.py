"""The models that come with whisktrain: `linear`, `mlp` and `cnn`. Without batch statistics, so that N changes nothing."""

from __future__ import annotations

import math
from types import ModuleType

from whisktrain.errors import RequestError
from whisktrain.learning import backend
from whisktrain.learning.keras_types import Layer, Model

__all__ = ["PRESETS", "parameters", "preset"]

PRESETS = ("linear", "mlp", "cnn")
_HIDDEN = (128, 64)
_FILTERS = (32, 64)
_SMALLEST_POOLED = 4


def preset(name: str, shape: tuple[int, ...], classes: int) -> Model:
    """Build a preset.

    Of a regression, and of `linear`, the last layer starts from zeros: the first prediction is the mean of the targets (or all
    classes alike), and a few epochs on little data are not spent on forgetting random numbers.

    Args:
        name: "linear", "mlp" (128 and 64 units) or "cnn" (32 and 64 filters of 3 x 3, each with a 2 x 2 pool, and 128 units).
        shape: Shape of one row.
        classes: Number of classes (softmax head), or 0 for one value.

    Returns:
        A built Keras model whose layers have fixed names.

    Raises:
        RequestError: The name is not known, or `cnn` was chosen for rows that are no images.
    """
    if name not in PRESETS:
        raise RequestError(
            f"the preset {name!r} is not known; expected one of {', '.join(PRESETS)}."
        )
    keras = backend.keras()
    # Initialisers draw their seeds as they are made, so the head comes first: another order gives other weights.
    head = _head(
        keras.layers, classes, "glorot_uniform" if classes and name != "linear" else "zeros"
    )
    initial = "he_normal" if classes else "glorot_uniform"
    if name == "linear":
        hidden = _flat(keras.layers, shape)
    elif name == "mlp":
        hidden = _mlp(keras.layers, shape, initial)
    else:
        hidden = _cnn(keras.layers, shape, initial)
    model: Model = keras.Sequential([keras.Input(shape, name="features"), *hidden, head], name=name)
    return model


def parameters(name: str, shape: tuple[int, ...], classes: int) -> int:
    """The number of parameters of a preset, without building it."""
    outputs, inputs = classes or 1, math.prod(shape)
    if name == "linear":
        return (inputs + 1) * outputs
    if name == "mlp":
        return (
            (inputs + 1) * _HIDDEN[0] + (_HIDDEN[0] + 1) * _HIDDEN[1] + (_HIDDEN[1] + 1) * outputs
        )
    height, width = shape[:2]
    channels = shape[2] if len(shape) == 3 else 1
    count, size = 0, min(height, width)
    for filters in _FILTERS:
        count, channels = count + (9 * channels + 1) * filters, filters
        if size >= _SMALLEST_POOLED:
            height, width, size = height // 2, width // 2, size // 2
    flat = height * width * channels
    return count + (flat + 1) * _HIDDEN[0] + (_HIDDEN[0] + 1) * outputs


def _head(layers: ModuleType, classes: int, initial: str) -> Layer:
    head: Layer
    if classes:
        head = layers.Dense(
            classes, activation="softmax", kernel_initializer=initial, name="classes"
        )
    else:
        head = layers.Dense(1, kernel_initializer=initial, name="value")
    return head


def _flat(layers: ModuleType, shape: tuple[int, ...]) -> list[Layer]:
    return [layers.Flatten(name="flatten")] if len(shape) > 1 else []


def _mlp(layers: ModuleType, shape: tuple[int, ...], initial: str) -> list[Layer]:
    return [
        *_flat(layers, shape),
        layers.Dense(_HIDDEN[0], activation="relu", kernel_initializer=initial, name="hidden_1"),
        layers.Dense(_HIDDEN[1], activation="relu", kernel_initializer=initial, name="hidden_2"),
    ]


def _cnn(layers: ModuleType, shape: tuple[int, ...], initial: str) -> list[Layer]:
    if len(shape) not in (2, 3):
        raise RequestError(
            f"the preset cnn was chosen for rows of shape {shape}; expected images: (height, width), or with channels.",
            hint="Use the preset mlp for tables.",
        )
    stack: list[Layer] = [layers.Reshape((*shape, 1), name="channel")] if len(shape) == 2 else []
    options = {"padding": "same", "activation": "relu", "kernel_initializer": initial}
    size = min(shape[0], shape[1])
    for block, filters in enumerate(_FILTERS, start=1):
        stack.append(layers.Conv2D(filters, 3, name=f"convolution_{block}", **options))
        if size >= _SMALLEST_POOLED:
            stack.append(layers.MaxPooling2D(2, name=f"pooling_{block}"))
            size //= 2
    stack.append(layers.Flatten(name="flatten"))
    stack.append(
        layers.Dense(_HIDDEN[0], activation="relu", kernel_initializer=initial, name="hidden")
    )
    return stack
