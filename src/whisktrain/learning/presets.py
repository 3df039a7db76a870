"""The models that come with whisktrain: `linear`, `mlp` and `cnn`. Without batch statistics, so that N changes nothing."""

from __future__ import annotations

from typing import Any

from whisktrain.errors import RequestError
from whisktrain.learning import backend

__all__ = ["PRESETS", "preset"]

PRESETS = ("linear", "mlp", "cnn")


def _hidden(layers: Any, name: str, shape: tuple[int, ...], initial: str) -> list[Any]:
    flatten = [layers.Flatten(name="flatten")] if len(shape) > 1 else []
    if name == "linear":
        return flatten
    if name == "mlp":
        return [
            *flatten,
            layers.Dense(128, activation="relu", kernel_initializer=initial, name="hidden_1"),
            layers.Dense(64, activation="relu", kernel_initializer=initial, name="hidden_2"),
        ]
    if len(shape) not in (2, 3):
        raise RequestError(
            f"the preset cnn was chosen for rows of shape {shape}; expected images: (height, width), or with channels.",
            hint="Use the preset mlp for tables.",
        )
    stack = [layers.Reshape((*shape, 1), name="channel")] if len(shape) == 2 else []
    size = min(shape[0], shape[1])
    for block, filters in enumerate((32, 64), start=1):
        options = {"padding": "same", "activation": "relu", "kernel_initializer": initial}
        stack.append(layers.Conv2D(filters, 3, name=f"convolution_{block}", **options))
        if size >= 4:
            stack.append(layers.MaxPooling2D(2, name=f"pooling_{block}"))
            size //= 2
    flat = layers.Flatten(name="flatten")
    return [*stack, flat, layers.Dense(128, activation="relu", kernel_initializer=initial, name="hidden")]


def preset(name: str, shape: tuple[int, ...], classes: int) -> Any:
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
        RequestError: The name is not known, or `cnn` was chosen for what is no image.
    """
    if name not in PRESETS:
        raise RequestError(f"the preset {name!r} is not known; expected one of {', '.join(PRESETS)}.")
    keras = backend.keras()
    layers = keras.layers
    last = "glorot_uniform" if classes and name != "linear" else "zeros"
    if classes:
        head = layers.Dense(classes, activation="softmax", kernel_initializer=last, name="classes")
    else:
        head = layers.Dense(1, kernel_initializer=last, name="value")
    hidden = _hidden(layers, name, shape, "he_normal" if classes else "glorot_uniform")
    return keras.Sequential([keras.Input(shape, name="features"), *hidden, head], name=name)
