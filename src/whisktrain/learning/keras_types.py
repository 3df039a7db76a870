"""Protocols of the parts of Keras and TensorFlow in use, which carry no types of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

from whisktrain.tensors import Tensor

__all__ = [
    "BackendTensor",
    "BatchNormalization",
    "Constraint",
    "Layer",
    "LookupLayer",
    "Loss",
    "Model",
    "Optimizer",
    "Schedule",
    "Signature",
    "Variable",
]


class Signature(Protocol):
    """Shape and type of an argument of a traced function (`tf.TensorSpec`)."""

    @property
    def shape(self) -> Sequence[int | None]:
        """The shape; None where a size varies."""


class BackendTensor(Protocol):
    """A tensor of the back-end: symbolic inside a traced function, with values outside."""

    @property
    def shape(self) -> Sequence[int]:
        """Its shape; the number of rows is None inside a traced function."""

    @property
    def dtype(self) -> str:
        """Its type; a string, or an object that prints as one."""

    def numpy(self) -> Tensor:
        """Its values; only outside traced functions."""

    def __getitem__(self, index: int, /) -> BackendTensor: ...
    def __add__(self, other: BackendTensor, /) -> BackendTensor: ...
    def __mul__(self, other: BackendTensor, /) -> BackendTensor: ...
    def __truediv__(self, other: BackendTensor, /) -> BackendTensor: ...


class Constraint(Protocol):
    """A weight constraint (`keras.constraints.Constraint`)."""

    def get_config(self) -> Mapping[str, object]:
        """Its arguments."""


class Variable(Protocol):
    """A variable (`keras.Variable`)."""

    path: str
    shape: tuple[int, ...]
    dtype: str
    value: BackendTensor
    constraint: Constraint | None
    regularizer: object | None

    def numpy(self) -> Tensor:
        """Its value."""

    def assign(self, value: Tensor | BackendTensor) -> object:
        """Set its value."""


class Layer(Protocol):
    """A layer (`keras.layers.Layer`)."""

    name: str
    built: bool
    trainable: bool
    dtype_policy: object
    weights: list[Variable]
    call: Callable[..., BackendTensor]

    def save_own_variables(self, store: dict[str, Tensor]) -> None:
        """Write the variables that are its own, not its layers'."""

    def load_own_variables(self, store: Mapping[str, Tensor]) -> None:
        """Read what `save_own_variables` wrote, and derive from it what else it computes with."""


class LookupLayer(Layer, Protocol):
    """A lookup layer (`keras.layers.IntegerLookup`, `StringLookup`); its configuration holds the `input_` attributes."""

    input_vocabulary: list[str | int] | None
    input_idf_weights: list[float] | None
    output_mode: str
    idf_weights_const: BackendTensor

    def get_vocabulary(self, include_special_tokens: bool) -> list[str | int]:
        """Its words in order."""


class BatchNormalization(Layer, Protocol):
    """A batch normalisation (`keras.layers.BatchNormalization`)."""

    momentum: float
    renorm: bool
    synchronized: bool
    moving_mean: Variable
    moving_variance: Variable


class Loss(Protocol):
    """A loss (`keras.losses.Loss`)."""

    dtype: str
    reduction: str

    def call(self, y_true: BackendTensor, y_pred: BackendTensor) -> BackendTensor:
        """The loss of each element."""


class Optimizer(Protocol):
    """An optimizer (`keras.optimizers.Optimizer`); `_learning_rate` is the variable or schedule that it was built with."""

    variables: list[Variable]
    learning_rate: Variable
    _learning_rate: object

    def build(self, variables: Sequence[Variable]) -> None:
        """Create its state."""

    def apply(
        self, gradients: Sequence[BackendTensor | None], variables: Sequence[Variable]
    ) -> None:
        """Take one step."""


Schedule: TypeAlias = Callable[[BackendTensor], BackendTensor]
"""A learning-rate schedule: from the step to the rate."""


class Model(Protocol):
    """A model (`keras.Model`)."""

    built: bool
    inputs: list[BackendTensor]
    outputs: list[BackendTensor]
    weights: list[Variable]
    trainable_weights: list[Variable]
    trainable_variables: list[Variable]
    variables: list[Variable]
    losses: list[BackendTensor]
    optimizer: Optimizer

    def __call__(self, x: Tensor | BackendTensor, *, training: bool) -> BackendTensor:
        """Run it."""

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Create the weights."""

    def compile(self, optimizer: Optimizer, loss: Loss) -> None:
        """Set optimizer and loss."""

    def save(self, path: Path) -> None:
        """Write a .keras file."""

    def to_json(self) -> str:
        """The configuration."""

    def _flatten_layers(self, *, include_self: bool) -> Iterator[Layer]: ...
