"""Evaluation: sums of loss and metric state over many rows, in inference mode, a bounded number of rows at a time."""

from __future__ import annotations

import math

import numpy as np

from whisktrain import metrics
from whisktrain.errors import Diverged
from whisktrain.learning import backend
from whisktrain.learning.computing.batches import BatchResult, Parts, probabilities
from whisktrain.learning.computing.opened import Opened
from whisktrain.learning.keras_types import BackendTensor
from whisktrain.spec import MetricSums, Rows
from whisktrain.tensors import Tensor, Tensors

__all__ = ["Evaluation", "RunningSums"]


_NUMBERS_AT_ONCE = 2**17
_LEAST_ROWS_AT_ONCE, _MOST_ROWS_AT_ONCE = 32, 2048


class RunningSums:
    """The running sums of one part of a contribution: "train", "validation" or "training".

    Args:
        opened: The model.
        names: The metrics to keep state of.
    """

    def __init__(self, opened: Opened, names: tuple[str, ...]) -> None:
        self._layout = opened.layout
        self._names = names
        self._rows = 0
        self._loss = self._divisor = self._penalty = 0.0
        self._state: dict[str, list[float]] = {}

    def add(self, y: Tensor, result: BatchResult) -> None:
        """Add one batch.

        Args:
            y: Its targets.
            result: The results of its forward pass.

        Raises:
            Diverged: The loss or an output is not finite.
        """
        finite = (
            math.isfinite(result.loss)
            and math.isfinite(result.penalty)
            and np.isfinite(result.output).all()
        )
        if not finite:
            raise Diverged(
                f"the loss of {len(y)} rows is {result.loss + result.penalty} and the model's output is not finite everywhere; "
                "expected finite numbers.",
            )
        self._rows += len(y)
        self._loss += result.loss
        self._divisor += result.divisor
        self._penalty += result.penalty * len(y)
        self._add_metrics(y, result)

    def _add_metrics(self, y: Tensor, result: BatchResult) -> None:
        predicted = probabilities(result.output, self._layout["link"], self._layout["targets"])
        if self._layout["target"]:  # several targets a row: each counts, unless it is masked
            kept = np.ones(y.shape, bool) if result.mask is None else result.mask.reshape(y.shape)
            y, predicted = y[kept], predicted[kept]
        for name in self._names:
            state = metrics.state(name, y, predicted)
            if name in self._state:
                state = [a + b for a, b in zip(self._state[name], state, strict=True)]
            self._state[name] = state

    def numbers(self) -> MetricSums:
        """The sums as JSON."""
        return {
            "rows": self._rows,
            "loss": self._loss,
            "divisor": self._divisor,
            "penalty": self._penalty,
            "state": self._state,
        }


class Evaluation:
    """One traced evaluation, for any number of rows.

    Args:
        opened: The model.
        names: The metrics to keep state of.
    """

    def __init__(self, opened: Opened, names: tuple[str, ...]) -> None:
        self._opened = opened
        self._names = names
        self._load = backend.trace(self._assign, *opened.weight_signatures())
        self._function = backend.trace(self._compute, *opened.signature())
        row_size = max(math.prod(opened.spec.x_shape), 1)
        rows = _NUMBERS_AT_ONCE // row_size
        self._chunk = min(max(rows, _LEAST_ROWS_AT_ONCE), _MOST_ROWS_AT_ONCE)

    def _assign(self, *weights: BackendTensor) -> BackendTensor:
        self._opened.assign(weights)
        return weights[0]

    def _compute(self, x: BackendTensor, y: BackendTensor) -> Parts:
        return self._opened.forward(x, y, training=False, weighted=False).parts()

    def __call__(self, params: Tensors, *sets: Rows) -> list[MetricSums]:
        """Evaluate parameters on sets of rows.

        Args:
            params: The tensors.
            sets: The rows; a set may be empty.

        Returns:
            Sums for each set, unweighted by class, as Keras' `evaluate` computes them.

        Raises:
            Diverged: A loss or an output is not finite.
        """
        self._load(*self._opened.values_of(params))
        return [self._sums(rows) for rows in sets]

    def _sums(self, rows: Rows) -> MetricSums:
        sums = RunningSums(self._opened, self._names)
        for start in range(0, len(rows), self._chunk):
            chunk = slice(start, start + self._chunk)
            x, y = self._opened.batch(rows, chunk)
            parts = self._function(x, y)
            sums.add(y, BatchResult.of(parts))
        return sums.numbers()
