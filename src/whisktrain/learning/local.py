"""Local mode: up to K optimizer steps of Keras' own optimizer, which starts afresh each round."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from whisktrain.learning import backend
from whisktrain.learning.opened import Forward, Opened
from whisktrain.tensors import Tensors

__all__ = ["LocalSteps", "keras_optimizer"]

_CLASSES = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW"}


def _schedule(keras: Any, optimizer: Mapping[str, Any]) -> Any | None:
    given = optimizer.get("schedule")
    if not given:
        return None
    options = {k: v for k, v in given.items() if k != "name"}
    if given["name"] != "PiecewiseConstantDecay":
        options.setdefault("initial_learning_rate", optimizer["learning_rate"])
    return getattr(keras.optimizers.schedules, given["name"])(**options)


def keras_optimizer(keras: Any, optimizer: Mapping[str, Any]) -> Any:
    """Keras' own optimizer for a run's.

    Args:
        keras: The module.
        optimizer: The run's optimizer, as `whisktrain.spec.Spec` holds it.
    """
    options = {k: v for k, v in optimizer.items() if k not in ("name", "schedule") and v is not None}
    if (schedule := _schedule(keras, optimizer)) is not None:
        options["learning_rate"] = schedule
    return getattr(keras.optimizers, _CLASSES[optimizer["name"]])(**options)


class LocalSteps:
    """One traced optimizer step, and the loop around it.

    A schedule goes on from round to round: its step is `(round - 1) * local_steps + step`, while the optimizer's own state
    (moments, bias correction) starts afresh.

    Args:
        opened: The model.
    """

    def __init__(self, opened: Opened) -> None:
        keras = backend.keras()
        self._opened = opened
        self._optimizer = keras_optimizer(keras, {**opened.spec.optimizer, "schedule": None})
        self._schedule = _schedule(keras, opened.spec.optimizer)
        self._trained = [opened.weights[name] for name in opened.named("trainable")]
        self._optimizer.build(self._trained)
        self._fresh = backend.trace(self._start, *opened.weight_signatures())
        draws = opened.draws(0, 0, 0)
        signatures = (*opened.signature(), backend.signature(draws.shape, str(draws.dtype)), backend.signature((), "int64"))
        self._function = backend.trace(self._step, *signatures)

    def _start(self, *weights: Any) -> Any:
        keras = backend.keras()
        self._opened.assign(weights)
        kept = self._optimizer._learning_rate
        for variable in self._optimizer.variables:
            if variable is not kept:
                variable.assign(keras.ops.zeros(variable.shape, variable.dtype))
        return weights[0]

    def _step(self, x: Any, y: Any, draws: Any, step: Any) -> Any:
        keras, opened = backend.keras(), self._opened
        opened.reseed(draws)
        if self._schedule is not None:
            self._optimizer.learning_rate.assign(self._schedule(step))

        def forward() -> tuple[Any, Forward]:
            found = opened.forward(x, y, training=True, weighted=True)
            mean = found.loss if opened.loss.reduction == "sum" else keras.ops.divide_no_nan(found.loss, found.divisor)
            return mean + found.penalty, found

        found, gradients = backend.differentiate(forward, self._trained)
        self._optimizer.apply(gradients, self._trained)
        return found.loss, found.divisor, found.penalty, found.output, *(() if found.mask is None else (found.mask,))

    def start(self, params: Tensors) -> None:
        """Set the weights and begin with a fresh optimizer."""
        self._fresh(*(params[name] for name in self._opened.weights))

    def step(self, x: Any, y: Any, draws: Any, step: int) -> tuple[Any, ...]:
        """One step on one batch; `step` counts from 0 over the whole run, for schedules.

        Returns:
            (loss, divisor, penalty, output, mask?) of the batch, before the step, as arrays.
        """
        return tuple(t.numpy() for t in self._function(x, y, draws, np.int64(step)))

    def changes(self, params: Tensors) -> Tensors:
        """What the steps changed: weight deltas, and batch-norm statistics as they are now."""
        opened = self._opened
        tensors: Tensors = {}
        for name in opened.named("trainable"):
            now, before = opened.weights[name].numpy(), params[name]
            tensors[name] = np.subtract(now, before)
        for name in opened.named("mean", "variance"):
            tensors[name] = np.array(opened.weights[name].numpy())
        return tensors
