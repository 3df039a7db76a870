"""Keras as the rounds' learner: build a model once, open it anywhere, contribute to any round."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from whisktrain import metrics
from whisktrain.errors import Diverged, RequestError
from whisktrain.learning import backend, checks, losses, models
from whisktrain.learning.evaluation import Evaluation, Sums
from whisktrain.learning.gradients import Gradient
from whisktrain.learning.layout import KerasLayout, tensor_entries, variables
from whisktrain.learning.local import LocalSteps
from whisktrain.learning.opened import Opened, finite, open_model
from whisktrain.learning.probe import probe
from whisktrain.spec import Blueprint, Built, Contribution, ContributionNumbers, MetricSums, Rows, Spec, Work
from whisktrain.tensors import Tensors

__all__ = ["KerasLearner", "KerasModel"]


class KerasModel:
    """An opened model: see `whisktrain.spec.OpenModel`. Not for several threads at once.

    Args:
        spec: The run's plan.
        blueprint: The model.
    """

    def __init__(self, spec: Spec, blueprint: Blueprint) -> None:
        self._opened: Opened = open_model(spec, blueprint)
        self._base = metrics.BASE[spec.task]
        asked = (metrics.canonical(name, spec.task) for name in spec.metrics)
        self._names = tuple(dict.fromkeys((*self._base, *asked)))
        self._gradient: Gradient | None = None
        self._local: LocalSteps | None = None
        self._evaluation: Evaluation | None = None

    def _batch(self, rows: Rows, chosen: Any) -> tuple[Any, Any]:
        x = rows.x[chosen].astype(self._opened.x_type, copy=False)
        return x, rows.y[chosen].astype(self._opened.y_type, copy=False)

    def _gradient_round(self, params: Tensors, work: Work, rows: Rows) -> tuple[Tensors, MetricSums]:
        self._gradient = self._gradient or Gradient(self._opened)
        x, y = self._batch(rows, work.steps[0])
        tensors, found = self._gradient(params, x, y, self._opened.draws(work.round, work.shard, 0))
        sums = Sums(self._opened, self._base)
        sums.add(y, found)
        return tensors, sums.numbers()

    def _local_round(self, params: Tensors, work: Work, rows: Rows) -> tuple[Tensors, MetricSums]:
        self._local = self._local or LocalSteps(self._opened)
        self._local.start(params)
        sums = Sums(self._opened, self._base)
        first = (work.round - 1) * self._opened.spec.local_steps
        for place, chosen in enumerate(work.steps):
            if len(chosen):
                x, y = self._batch(rows, chosen)
                draws = self._opened.draws(work.round, work.shard, place)
                sums.add(y, self._local.step(x, y, draws, first + place))
        return self._local.changes(params), sums.numbers()

    def contribute(self, params: Tensors, work: Work, rows: Rows, validation: Rows) -> Contribution:
        """Compute one shard's part of one round; see `whisktrain.spec.OpenModel.contribute`."""
        tensors: Tensors = {}
        train: MetricSums | None = None
        count = sum(len(chosen) for chosen in work.steps) if work.phase == "train" else 0
        if count:
            compute = self._gradient_round if self._opened.spec.sync == "gradient" else self._local_round
            tensors, train = compute(params, work, rows)
            if not finite(tensors):
                raise Diverged(
                    f"the update of shard {work.shard} in round {work.round} is not finite; expected finite numbers.",
                    hint="Lower the learning rate, clip gradients, or scale the features.",
                )
        sets = {}
        if work.validate:
            sets["validation"] = validation
        if work.score_training:
            sets["training"] = rows
        scored: dict[str, MetricSums] = {}
        if sets:
            self._evaluation = self._evaluation or Evaluation(self._opened, self._names)
            scored = dict(zip(sets, self._evaluation(params, *sets.values()), strict=True))
        numbers: ContributionNumbers = {
            "rows": count,
            "divisor": 0.0 if train is None else train["divisor"],
            "train": train,
            "validation": scored.get("validation"),
            "training": scored.get("training"),
        }
        return Contribution(tensors, numbers)


class KerasLearner:
    """Builds and opens Keras models: see `whisktrain.spec.Learner`.

    Args:
        target: Shape of one row's target; () where it is one number, as in every data set that `preprocess` writes.
    """

    def __init__(self, target: tuple[int, ...] = ()) -> None:
        self._target = target

    def build(self, spec: Spec, files: Mapping[str, bytes]) -> Built:
        """Make the model and its first tensors, seeded by `spec.seed` alone; see `whisktrain.spec.Learner.build`.

        Raises:
            RequestError: The model cannot be built, does not fit the data, or holds what cannot be merged.
        """
        for name in spec.metrics:
            metrics.canonical(name, spec.task)
        model = models.make(spec, files)
        if len(model.inputs) != 1 or len(model.outputs) != 1:
            raise RequestError(
                f"the model has {len(model.inputs)} inputs and {len(model.outputs)} outputs; expected one of each.",
                hint="Join them inside the model.",
            )
        output = tuple(model.outputs[0].shape[1:])
        config = models.to_config(model)
        standardised = (spec.target_mean, spec.target_scale) != (0.0, 1.0)
        loss = losses.check(spec.loss, spec.task, standardised=standardised)
        loss = losses.resolve(loss, checks.last_activation(json.loads(config)), output, spec.task)
        kind = losses.targets(loss, output, self._target, spec.task, spec.classes)
        losses.make(backend.keras(), loss, None)
        layout: KerasLayout = {
            "schema": 1,
            "tensors": tensor_entries(model),
            "loss": loss,
            "targets": kind,
            "target": list(self._target),
            "link": losses.link(loss, kind),
            "x_shape": list(spec.x_shape),
            "output": list(output),
            "classes": spec.classes,
            "task": spec.task,
        }
        params: Tensors = {name: np.array(v.numpy()) for name, v in variables(model).items()}
        probed = probe(spec, Blueprint(layout, config), params)
        return Built(Blueprint(probed, config), params)

    def open(self, spec: Spec, blueprint: Blueprint) -> KerasModel:
        """Prepare a model for computing; see `whisktrain.spec.Learner.open`."""
        return KerasModel(spec, blueprint)
