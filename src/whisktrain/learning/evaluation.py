"""Evaluation: sums of loss and metric state over many rows, in inference mode, a bounded number of rows at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from whisktrain import metrics
from whisktrain.errors import Diverged
from whisktrain.learning import backend
from whisktrain.learning.opened import Opened, probabilities
from whisktrain.spec import MetricSums, Rows
from whisktrain.tensors import Tensors

__all__ = ["Evaluation", "Sums"]

_NUMBERS_AT_ONCE = 2**17
_ROWS_AT_ONCE = (32, 2048)


class Sums:
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

    def add(self, y: Any, found: Sequence[Any]) -> None:
        """Add one batch.

        Args:
            y: Its targets.
            found: (loss, divisor, penalty, output, mask?) as arrays.

        Raises:
            Diverged: The loss or an output is not finite.
        """
        loss, divisor, penalty, output, *masked = found
        if not (math.isfinite(loss) and math.isfinite(penalty) and np.isfinite(output).all()):
            raise Diverged(
                f"the loss of {len(y)} rows is {float(loss) + float(penalty)} and the model's output is not finite everywhere; "
                "expected finite numbers.",
                hint="Lower the learning rate, clip gradients, or scale the features.",
            )
        self._rows += len(y)
        self._loss += float(loss)
        self._divisor += float(divisor)
        self._penalty += float(penalty) * len(y)
        guess = probabilities(output, self._layout["link"], self._layout["targets"])
        if self._layout["target"]:  # several targets a row: each counts, unless it is masked
            kept = masked[0].reshape(y.shape) if masked else np.ones(y.shape, bool)
            y, guess = y[kept], guess[kept]
        for name in self._names:
            state = metrics.state(name, y, guess)
            known = self._state.get(name)
            self._state[name] = state if known is None else [a + b for a, b in zip(known, state, strict=True)]

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
        low, high = _ROWS_AT_ONCE
        self._chunk = min(max(_NUMBERS_AT_ONCE // max(math.prod(opened.spec.x_shape), 1), low), high)

    def _assign(self, *weights: Any) -> Any:
        self._opened.assign(weights)
        return weights[0]

    def _compute(self, x: Any, y: Any) -> Any:
        found = self._opened.forward(x, y, training=False, weighted=False)
        return found.loss, found.divisor, found.penalty, found.output, *(() if found.mask is None else (found.mask,))

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
        self._load(*(params[name] for name in self._opened.weights))
        found = []
        for rows in sets:
            sums = Sums(self._opened, self._names)
            for start in range(0, len(rows), self._chunk):
                x, y = rows.x[start : start + self._chunk], rows.y[start : start + self._chunk]
                x, y = x.astype(self._opened.x_type, copy=False), y.astype(self._opened.y_type, copy=False)
                sums.add(y, [t.numpy() for t in self._function(x, y)])
            found.append(sums.numbers())
        return found
