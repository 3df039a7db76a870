"""Gradient mode: the gradient of a batch's summed loss.

Keras minimises `sum / divisor + regularisation`. A worker sends the gradient of `sum_k + divisor_k * regularisation`: added up
over the workers and divided by the sum of the divisors, that is Keras' gradient exactly, with the regularisation in it once.
Activity regularisation is a mean over rows; it is exact too, because the divisor of such models is proportional to rows.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from whisktrain.learning import backend
from whisktrain.learning.computing.batches import BatchResult, Forward, Parts
from whisktrain.learning.computing.opened import Opened
from whisktrain.learning.keras_types import BackendTensor
from whisktrain.tensors import Tensor, Tensors

__all__ = ["Gradient"]

_Traced: TypeAlias = tuple[list[BackendTensor], list[BackendTensor], Parts]
"""Gradients, statistics of batch normalisations, and the results of the forward pass."""


class Gradient:
    """One traced gradient, for any number of rows.

    Args:
        opened: The model.
    """

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._trainable = opened.named("trainable")
        self._statistics = opened.named("mean", "variance")
        # the graph is for "sum" only where there is no regularisation (checked when the model was built)
        self._sum = opened.layout["loss"].get("reduction") == "sum"
        signatures = (*opened.weight_signatures(), *opened.signature(), opened.draws_signature())
        self._function = backend.trace(self._compute, *signatures)

    def _compute(self, *arguments: BackendTensor) -> _Traced:
        opened = self._opened
        *weights, x, y, draws = arguments
        opened.assign(weights)
        opened.reseed(draws)

        def forward() -> tuple[BackendTensor, Forward]:
            result = opened.forward(x, y, training=True, weighted=True)
            if self._sum:
                return result.loss, result
            return result.loss + result.divisor * result.penalty, result

        variables = [opened.weights[name] for name in self._trainable]
        result, gradients = backend.differentiate(forward, variables)
        convert = backend.keras().ops.convert_to_tensor
        statistics = [convert(opened.weights[name].value) for name in self._statistics]
        present = [gradient for gradient in gradients if gradient is not None]
        return present, statistics, result.parts()

    def __call__(
        self, params: Tensors, x: Tensor, y: Tensor, draws: NDArray[np.integer]
    ) -> tuple[Tensors, BatchResult]:
        """Compute one batch.

        Args:
            params: The round's tensors.
            x: Features of the batch.
            y: Targets of the batch.
            draws: States of the random generators.

        Returns:
            The gradient sums and batch statistics by name, and the results of the forward pass.
        """
        weights = self._opened.values_of(params)
        gradients, statistics, parts = self._function(*weights, x, y, draws)
        tensors: Tensors = {}
        for name, gradient in zip(self._trainable, gradients, strict=True):
            tensors[name] = gradient.numpy()
        for name, statistic in zip(self._statistics, statistics, strict=True):
            tensors[name] = np.array(statistic.numpy())
        return tensors, BatchResult.of(parts)
