"""The models that come with whisktrain: `linear`, `mlp` and `cnn`. Without batch statistics, so that N changes nothing."""

from __future__ import annotations

from typing import Any

from whisktrain.errors import RequestError
from whisktrain.learning import backend

__all__ = ["PRESETS", "preset"]

PRESETS = ("linear", "mlp", "cnn")


def _hidden(layers: Any, name: str, shape: tuple[int, ...]) -> list[Any]:
    if name == "linear":
        return [layers.Flatten(name="flatten")] if len(shape) > 1 else []
    if name == "mlp":
        flatten = [layers.Flatten(name="flatten")] if len(shape) > 1 else []
        return [
            *flatten,
            layers.Dense(128, activation="relu", kernel_initializer="he_normal", name="hidden_1"),
            layers.Dense(64, activation="relu", kernel_initializer="he_normal", name="hidden_2"),
        ]
    if len(shape) not in (2, 3):
        raise RequestError(
            f"the preset cnn was chosen for rows of shape {shape}; expected images: (height, width), or with channels.",
            hint="Use the preset mlp for tables.",
        )
    stack = [layers.Reshape((*shape, 1), name="channel")] if len(shape) == 2 else []
    size = min(shape[0], shape[1])
    for block, filters in enumerate((32, 64), start=1):
        stack.append(
            layers.Conv2D(
                filters, 3, padding="same", activation="relu", kernel_initializer="he_normal", name=f"convolution_{block}"
            )
        )
        if size >= 4:
            stack.append(layers.MaxPooling2D(2, name=f"pooling_{block}"))
            size //= 2
    return [
        *stack,
        layers.Flatten(name="flatten"),
        layers.Dense(128, activation="relu", kernel_initializer="he_normal", name="hidden"),
    ]


def preset(name: str, shape: tuple[int, ...], classes: int) -> Any:
    """Build a preset.

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
    head = layers.Dense(classes, activation="softmax", name="classes") if classes else layers.Dense(1, name="value")
    return keras.Sequential([keras.Input(shape, name="features"), *_hidden(layers, name, shape), head], name=name)
