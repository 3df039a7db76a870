"""The results of one batch: as tensors inside a traced function, as numbers and arrays outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

import numpy as np

from whisktrain.learning.keras_types import BackendTensor
from whisktrain.learning.losses import Link, Targets
from whisktrain.tensors import Floats, Tensor

__all__ = ["BatchResult", "Forward", "Parts", "probabilities"]

Parts: TypeAlias = Sequence[BackendTensor]
"""(loss, divisor, penalty, output, mask?): what a traced function returns of a `Forward`."""


@dataclass(frozen=True, slots=True)
class Forward:
    """The results of one forward pass, inside a traced function.

    Attributes:
        loss: The sum of the weighted losses.
        divisor: What Keras divides it by.
        penalty: Regularisation of weights and activities.
        output: The model's output, in the loss's type.
        mask: The mask that was applied; None without one.
    """

    loss: BackendTensor
    divisor: BackendTensor
    penalty: BackendTensor
    output: BackendTensor
    mask: BackendTensor | None

    def parts(self) -> Parts:
        """The results as a traced function can return them."""
        mask = () if self.mask is None else (self.mask,)
        return (self.loss, self.divisor, self.penalty, self.output, *mask)


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The results of one forward pass, outside.

    Attributes:
        loss: The sum of the weighted losses.
        divisor: What Keras divides it by.
        penalty: Regularisation of weights and activities.
        output: The model's output, shape (rows, *output).
        mask: The mask that was applied; None without one.
    """

    loss: float
    divisor: float
    penalty: float
    output: Floats
    mask: Tensor | None

    @classmethod
    def of(cls, parts: Parts) -> BatchResult:
        """Read what a traced function returned."""
        loss, divisor, penalty, output, *masks = (part.numpy() for part in parts)
        mask = masks[0] if masks else None
        return cls(loss.item(), divisor.item(), penalty.item(), cast(Floats, output), mask)


def probabilities(output: Floats, link: Link | None, targets: Targets) -> Floats:
    """Turn a model's output into probabilities of all classes, or into values.

    Args:
        output: The model's output, shape (rows, ...).
        link: What turns it into probabilities, as the layout says.
        targets: How targets reach the loss, as the layout says.

    Returns:
        Shape (rows, classes) of a classification; (rows,) of a regression.
    """
    if targets == "value":
        single = output.ndim > 1 and output.shape[-1] == 1
        return output.reshape(len(output), *output.shape[1:-1]) if single else output
    if link == "softmax":
        raised = np.exp(output - output.max(axis=-1, keepdims=True))
        output = raised / raised.sum(axis=-1, keepdims=True)
    elif link == "sigmoid":
        output = 0.5 * (1.0 + np.tanh(0.5 * output))
    elif link == "hinge":
        output = (output + 1.0) / 2.0
    if targets != "single":
        return output
    second = output if output.shape[-1:] == (1,) else output[..., None]
    return np.concatenate([1.0 - second, second], axis=-1)
