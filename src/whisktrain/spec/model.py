"""A model between processes: its layout, its configuration and its first tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Required, TypeAlias, TypedDict

from whisktrain.tensors import Tensors

__all__ = ["CONSTRAINTS", "Blueprint", "Built", "ConstraintConfig", "Layout", "Role", "TensorEntry"]

Role: TypeAlias = Literal["trainable", "frozen", "mean", "variance"]
"""The merge updates a trainable tensor, leaves a frozen one, and pools the statistics of batch normalisations."""


CONSTRAINTS = ("MaxNorm", "NonNeg", "UnitNorm", "MinMaxNorm")
"""The weight constraints that a merge can apply, by Keras' class names."""


class ConstraintConfig(TypedDict, total=False):
    """A weight constraint of `keras.constraints`: its class name and arguments."""

    name: Required[str]
    axis: int | list[int]
    min_value: float
    max_value: float
    rate: float


class TensorEntry(TypedDict, total=False):
    """One tensor of a model.

    Attributes:
        name: Its name, unique in the model.
        role: What the merge does with it.
        shape: Its shape.
        dtype: Its type, as NumPy names it.
        constraint: Of a trainable weight that has one.
        momentum: Of a mean or variance: the momentum of the moving average.
        mean: Of a variance: the name of the mean that belongs to it.
    """

    name: Required[str]
    role: Required[Role]
    shape: list[int]
    dtype: str
    constraint: ConstraintConfig
    momentum: float
    mean: str


class Layout(TypedDict, total=False):
    """The part of a layout that the rounds read; a learner adds keys of its own.

    Attributes:
        tensors: The tensors, in the model's order.
        activations: Bytes of what the model's layers answer for one row.
    """

    tensors: Required[list[TensorEntry]]
    activations: int


@dataclass(frozen=True, slots=True)
class Blueprint:
    """The model as every worker opens it and the merge reads it; immutable for a run.

    Attributes:
        layout: Its tensors and what the merge has to know of each.
        config: The model's own configuration as bytes (Keras JSON); opaque to the rounds.
    """

    layout: Layout
    config: bytes


@dataclass(frozen=True, slots=True)
class Built:
    """A new model.

    Attributes:
        blueprint: What it is.
        params: Its first tensors (trainable, frozen and statistics), named as in the layout.
    """

    blueprint: Blueprint
    params: Tensors
