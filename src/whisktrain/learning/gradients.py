"""Gradient mode: the gradient of a batch's summed loss.

Keras minimises `sum / divisor + regularisation`. A worker sends the gradient of `sum_k + divisor_k * regularisation`: added up
over the workers and divided by the sum of the divisors, that is Keras' gradient exactly, with the regularisation in it once.
Activity regularisation is a mean over rows; it is exact too, because the divisor of such models is proportional to rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from whisktrain.learning import backend
from whisktrain.learning.opened import Forward, Opened
from whisktrain.tensors import Tensors

__all__ = ["Gradient"]


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
        draws = opened.draws(0, 0, 0)
        self._function = backend.trace(
            self._compute, *opened.weight_signatures(), *opened.signature(), backend.signature(draws.shape, str(draws.dtype))
        )

    def _compute(self, *arguments: Any) -> Any:
        opened = self._opened
        *weights, x, y, draws = arguments
        opened.assign(weights)
        opened.reseed(draws)

        def forward() -> tuple[Any, Forward]:
            found = opened.forward(x, y, training=True, weighted=True)
            return (found.loss if self._sum else found.loss + found.divisor * found.penalty), found

        found, gradients = backend.differentiate(forward, [opened.weights[name] for name in self._trainable])
        statistics = [backend.keras().ops.convert_to_tensor(opened.weights[name].value) for name in self._statistics]
        mask = () if found.mask is None else (found.mask,)
        return gradients, statistics, (found.loss, found.divisor, found.penalty, found.output, *mask)

    def __call__(self, params: Tensors, x: Any, y: Any, draws: Any) -> tuple[Tensors, tuple[Any, ...]]:
        """Compute.

        Args:
            params: The round's tensors.
            x: Features of the batch.
            y: Targets of the batch.
            draws: States of the random generators.

        Returns:
            The gradient sums and batch statistics by name, and (loss, divisor, penalty, output, mask?) as arrays.
        """
        given = [*(params[name] for name in self._opened.weights), x, y, draws]
        gradients, statistics, rest = self._function(*given)
        tensors: Tensors = {name: g.numpy() for name, g in zip(self._trainable, gradients, strict=True)}
        tensors |= {name: np.array(s.numpy()) for name, s in zip(self._statistics, statistics, strict=True)}
        return tensors, tuple(t.numpy() for t in rest)
