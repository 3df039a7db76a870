"""Configurations inside a plan, as JSON: model source, loss, optimizer, schedule and outer optimizer, with Keras' names."""

from __future__ import annotations

from typing import Literal, Required, TypedDict

from whisktrain.jsontypes import JsonObject

__all__ = [
    "LossConfig",
    "ModelSource",
    "OptimizerConfig",
    "OuterConfig",
    "ScheduleConfig",
    "state_tensors",
]


class ModelSource(TypedDict, total=False):
    """The model to build: one of these keys, or `factory` with `file`.

    Attributes:
        preset: "linear", "mlp" or "cnn".
        config: A Keras model as its JSON configuration.
        file: "upload:ID", a .keras file, or the source of a model.py.
        factory: "package.module:function", or "model.py:function".
        init: "NAME:VERSION", an earlier model.
    """

    preset: str
    config: JsonObject
    file: str
    factory: str
    init: str


class LossConfig(TypedDict, total=False):
    """A Keras loss: its snake-case name and the options of its class.

    Attributes:
        name: For example "sparse_categorical_crossentropy", or "auto" until the model is known.
        reduction: "sum_over_batch_size" (default), "mean", "sum" or "mean_with_sample_weight".
        from_logits: Whether the model's output is raw scores.
        label_smoothing: Of cross-entropies.
        ignore_class: Of the sparse cross-entropy.
        axis: The axis of the classes.
        alpha: Of focal losses.
        gamma: Of focal losses.
        apply_class_balancing: Of the binary focal loss.
        delta: Of the Huber loss.
    """

    name: Required[str]
    reduction: str
    from_logits: bool
    label_smoothing: float
    ignore_class: int
    axis: int
    alpha: float
    gamma: float
    apply_class_balancing: bool
    delta: float


class ScheduleConfig(TypedDict, total=False):
    """A learning-rate schedule of `keras.optimizers.schedules`: its class name and arguments."""

    name: Required[str]
    initial_learning_rate: float
    decay_steps: int
    decay_rate: float
    staircase: bool
    end_learning_rate: float
    power: float
    cycle: bool
    alpha: float
    warmup_target: float | None
    warmup_steps: int
    boundaries: list[float]
    values: list[float]


class OptimizerConfig(TypedDict, total=False):
    """A Keras optimizer: its name and arguments; a missing argument is Keras' default, and None switches it off."""

    name: Required[Literal["sgd", "adam", "adamw"]]
    learning_rate: Required[float]
    schedule: ScheduleConfig | None
    momentum: float
    nesterov: bool
    beta_1: float
    beta_2: float
    epsilon: float
    amsgrad: bool
    weight_decay: float | None
    clipnorm: float | None
    clipvalue: float | None
    global_clipnorm: float | None


class OuterConfig(TypedDict, total=False):
    """Local mode's outer optimizer: plain averaging, or Nesterov momentum with both arguments (DiLoCo, arXiv:2311.08105)."""

    name: Required[Literal["average", "nesterov"]]
    learning_rate: float
    momentum: float


def state_tensors(optimizer: OptimizerConfig) -> tuple[str, ...]:
    """The roles of the tensors that the optimizer keeps for each weight, each as large as the weight."""
    if optimizer["name"] == "sgd":
        return ("momentum",) if optimizer.get("momentum") else ()
    return ("momentum", "velocity", *(["velocity_hat"] if optimizer.get("amsgrad") else []))
