"""Keras as the rounds' learner: build a model once, open it anywhere, contribute to any round."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np

from whisktrain import metrics
from whisktrain.errors import RequestError, TrainingError, WhisktrainError
from whisktrain.learning import backend, checks, losses, user_code
from whisktrain.learning.building import sources
from whisktrain.learning.building.layout import (
    KerasLayout,
    activation_bytes,
    tensor_entries,
    variables,
)
from whisktrain.learning.computing.evaluation import Evaluation, RunningSums
from whisktrain.learning.computing.gradients import Gradient
from whisktrain.learning.computing.local import LocalSteps
from whisktrain.learning.computing.opened import open_model
from whisktrain.learning.keras_types import Model
from whisktrain.learning.probe import probe
from whisktrain.spec import Blueprint, Built, Contribution, MetricSums, Rows, Spec, Work
from whisktrain.tensors import Tensors

__all__ = ["KerasLearner", "KerasModel"]


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
        backend.require_exact()
        for name in spec.metrics:
            metrics.canonical(name, spec.task)
        model = sources.make(spec, files)
        if len(model.inputs) != 1 or len(model.outputs) != 1:
            raise RequestError(
                f"the model has {len(model.inputs)} inputs and {len(model.outputs)} outputs; expected one of each.",
                hint="Join them inside the model.",
            )
        config = sources.to_config(model)
        layout = self._layout(spec, model, config)
        params: Tensors = {
            name: np.array(variable.numpy()) for name, variable in variables(model).items()
        }
        probed = probe(spec, Blueprint(layout, config), params)
        return Built(Blueprint(probed, config), params)

    def open(self, spec: Spec, blueprint: Blueprint) -> KerasModel:
        """Prepare a model for computing; see `whisktrain.spec.Learner.open`."""
        return KerasModel(spec, blueprint)

    def _layout(self, spec: Spec, model: Model, config: bytes) -> KerasLayout:
        output = tuple(model.outputs[0].shape[1:])
        standardised = (spec.target_mean, spec.target_scale) != (0.0, 1.0)
        checked = losses.check(spec.loss, spec.task, standardised=standardised)
        loss = losses.resolve(
            checked, checks.last_activation(json.loads(config)), output, spec.task
        )
        targets = losses.targets(loss, output, self._target, spec.task, spec.classes)
        losses.make(loss, None)  # refuses options that Keras does not know
        return {
            "schema": 1,
            "tensors": tensor_entries(model),
            "activations": activation_bytes(model),
            "loss": loss,
            "targets": targets,
            "target": list(self._target),
            "link": losses.link(loss, targets),
            "x_shape": list(spec.x_shape),
            "output": list(output),
            "classes": spec.classes,
            "task": spec.task,
        }


class KerasModel:
    """An opened model: see `whisktrain.spec.OpenModel`. Not for several threads at once.

    Args:
        spec: The run's plan.
        blueprint: The model.
    """

    def __init__(self, spec: Spec, blueprint: Blueprint) -> None:
        self._opened = open_model(spec, blueprint)
        self._loaded = False
        self._training_names = metrics.BASE[spec.task]
        self._evaluated_names = metrics.reported(spec.metrics, spec.task)
        self._gradient: Gradient | None = None
        self._local: LocalSteps | None = None
        self._evaluation: Evaluation | None = None

    def contribute(self, params: Tensors, work: Work, rows: Rows, validation: Rows) -> Contribution:
        """Compute one shard's part of one round; see `whisktrain.spec.OpenModel.contribute`."""
        if not self._loaded:
            self._opened.load(params)
            self._loaded = True
        try:
            contribution = self._contribute(params, work, rows, validation)
        except WhisktrainError:
            raise
        except Exception as error:
            if not user_code.place(error):
                raise
            raise TrainingError(
                f"the model's own code failed on shard {work.shard} in round {work.round}: {user_code.reason(error)}",
                code="worker_failed",
            ) from error
        contribution.check_finite(work.round, work.shard)
        return contribution

    def _contribute(
        self, params: Tensors, work: Work, rows: Rows, validation: Rows
    ) -> Contribution:
        tensors: Tensors = {}
        train: MetricSums | None = None
        count = sum(len(chosen) for chosen in work.steps) if work.phase == "train" else 0
        if count:
            tensors, train = self._train(params, work, rows)
        scored = self._evaluate(params, work, rows, validation)
        return Contribution(
            tensors,
            {
                "rows": count,
                "divisor": 0.0 if train is None else train["divisor"],
                "train": train,
                "validation": scored.get("validation"),
                "training": scored.get("training"),
            },
        )

    def _train(self, params: Tensors, work: Work, rows: Rows) -> tuple[Tensors, MetricSums]:
        compute = (
            self._gradient_round if self._opened.spec.sync == "gradient" else self._local_round
        )
        return compute(params, work, rows)

    def _gradient_round(
        self, params: Tensors, work: Work, rows: Rows
    ) -> tuple[Tensors, MetricSums]:
        self._gradient = self._gradient or Gradient(self._opened)
        x, y = self._opened.batch(rows, work.steps[0])
        draws = self._opened.draws(work.round, work.shard, 0)
        tensors, result = self._gradient(params, x, y, draws)
        sums = RunningSums(self._opened, self._training_names)
        sums.add(y, result)
        return tensors, sums.numbers()

    def _local_round(self, params: Tensors, work: Work, rows: Rows) -> tuple[Tensors, MetricSums]:
        self._local = self._local or LocalSteps(self._opened)
        self._local.start(params)
        sums = RunningSums(self._opened, self._training_names)
        first_step = (work.round - 1) * self._opened.spec.local_steps
        for index, chosen in enumerate(work.steps):
            if len(chosen):
                x, y = self._opened.batch(rows, chosen)
                draws = self._opened.draws(work.round, work.shard, index)
                sums.add(y, self._local.step(x, y, draws, first_step + index))
        return self._local.changes(params), sums.numbers()

    def _evaluate(
        self, params: Tensors, work: Work, rows: Rows, validation: Rows
    ) -> dict[str, MetricSums]:
        """Sums over the sets of rows that the work asks for, by the contribution's names."""
        sets: dict[str, Rows] = {}
        if work.validate:
            sets["validation"] = validation
        if work.score_training:
            sets["training"] = rows
        if not sets:
            return {}
        self._evaluation = self._evaluation or Evaluation(self._opened, self._evaluated_names)
        return dict(zip(sets, self._evaluation(params, *sets.values()), strict=True))
