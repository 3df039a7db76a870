"""Local mode: up to K optimizer steps of Keras' own optimizer, which starts afresh each round."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from whisktrain.learning import backend
from whisktrain.learning.compiled import OPTIMIZERS
from whisktrain.learning.computing.batches import BatchResult, Forward, Parts
from whisktrain.learning.computing.opened import Opened
from whisktrain.learning.keras_types import BackendTensor, Optimizer, Schedule
from whisktrain.spec import OptimizerConfig
from whisktrain.tensors import Tensor, Tensors

__all__ = ["LocalSteps", "keras_optimizer"]

_CLASSES = {name: class_name for class_name, name in OPTIMIZERS.items()}


def keras_optimizer(config: OptimizerConfig, *, scheduled: bool = True) -> Optimizer:
    """Build Keras' own optimizer for a run's.

    Args:
        config: The run's optimizer.
        scheduled: Whether its learning rate follows the run's schedule, if there is one.
    """
    options = {
        key: value
        for key, value in config.items()
        if key not in ("name", "schedule") and value is not None
    }
    schedule = _schedule(config) if scheduled else None
    if schedule is not None:
        options["learning_rate"] = schedule
    kind = getattr(backend.keras().optimizers, _CLASSES[config["name"]])
    made: Optimizer = kind(**options)
    return made


def _schedule(config: OptimizerConfig) -> Schedule | None:
    given = config.get("schedule")
    if not given:
        return None
    options = {key: value for key, value in given.items() if key != "name"}
    if given["name"] != "PiecewiseConstantDecay":
        options.setdefault("initial_learning_rate", config["learning_rate"])
    kind = getattr(backend.keras().optimizers.schedules, given["name"])
    made: Schedule = kind(**options)
    return made


class LocalSteps:
    """One traced optimizer step, and the loop around it.

    A schedule goes on from round to round: its step is `(round - 1) * local_steps + step`, while the optimizer's own state
    (moments, bias correction) starts afresh.

    Args:
        opened: The model.
    """

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._optimizer = keras_optimizer(opened.spec.optimizer, scheduled=False)
        self._schedule = _schedule(opened.spec.optimizer)
        self._trained = [opened.weights[name] for name in opened.named("trainable")]
        self._optimizer.build(self._trained)
        self._reset = backend.trace(self._reset_state, *opened.weight_signatures())
        signatures = (*opened.signature(), opened.draws_signature(), backend.signature((), "int64"))
        self._function = backend.trace(self._step, *signatures)

    def _reset_state(self, *weights: BackendTensor) -> BackendTensor:
        ops = backend.keras().ops
        self._opened.assign(weights)
        learning_rate = self._optimizer._learning_rate
        for variable in self._optimizer.variables:
            if variable is not learning_rate:
                variable.assign(ops.zeros(variable.shape, variable.dtype))
        return weights[0]

    def _step(
        self, x: BackendTensor, y: BackendTensor, draws: BackendTensor, step: BackendTensor
    ) -> Parts:
        ops, opened = backend.keras().ops, self._opened
        opened.reseed(draws)
        if self._schedule is not None:
            self._optimizer.learning_rate.assign(self._schedule(step))

        def forward() -> tuple[BackendTensor, Forward]:
            result = opened.forward(x, y, training=True, weighted=True)
            objective = result.loss
            if opened.loss.reduction != "sum":
                objective = ops.divide_no_nan(result.loss, result.divisor)
            return objective + result.penalty, result

        result, gradients = backend.differentiate(forward, self._trained)
        self._optimizer.apply(gradients, self._trained)
        return result.parts()

    def start(self, params: Tensors) -> None:
        """Set the weights and begin with a fresh optimizer."""
        self._reset(*self._opened.values_of(params))

    def step(self, x: Tensor, y: Tensor, draws: NDArray[np.integer], step: int) -> BatchResult:
        """Take one step on one batch.

        Args:
            x: Features of the batch.
            y: Targets of the batch.
            draws: States of the random generators.
            step: Its number from 0 over the whole run, for schedules.

        Returns:
            The results of the forward pass, before the step.
        """
        parts = self._function(x, y, draws, np.int64(step))
        return BatchResult.of(parts)

    def changes(self, params: Tensors) -> Tensors:
        """The weight changes since `params`, and batch-norm statistics as they are now."""
        opened = self._opened
        tensors: Tensors = {}
        for name in opened.named("trainable"):
            value = opened.weights[name].numpy()
            tensors[name] = np.subtract(value, params[name])
        for name in opened.named("mean", "variance"):
            value = opened.weights[name].numpy()
            tensors[name] = np.array(value)
        return tensors
