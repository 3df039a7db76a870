"""A model made ready to compute: its weights by name, its loss, and the forward pass that the traced functions share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whisktrain import seeds
from whisktrain.learning import backend, losses
from whisktrain.learning.building import derived, sources
from whisktrain.learning.building.layout import (
    KerasLayout,
    batch_normalisations,
    layout_of,
    seed_states,
)
from whisktrain.learning.computing.batches import Forward
from whisktrain.learning.computing.loss_sums import loss_sums
from whisktrain.learning.keras_types import BackendTensor, Loss, Model, Signature, Variable
from whisktrain.spec import Blueprint, Role, Rows, Spec
from whisktrain.tensors import Tensor, Tensors

__all__ = ["Opened", "open_model"]


@dataclass(slots=True)
class Opened:
    """A Keras model with all that its traced functions need.

    Attributes:
        spec: The run's plan.
        layout: The blueprint's layout.
        model: The Keras model.
        loss: Keras' loss object.
        weights: The model's variables by the layout's names.
        roles: The role of each.
        random: States of its random generators.
        x_type: Type of features as they enter the graph.
        y_type: Type of targets as they enter the graph.
    """

    spec: Spec
    layout: KerasLayout
    model: Model
    loss: Loss
    weights: dict[str, Variable]
    roles: dict[str, Role]
    random: list[Variable]
    x_type: str
    y_type: str

    def named(self, *roles: Role) -> list[str]:
        """The names of the tensors with one of these roles, in the model's order."""
        return [name for name, role in self.roles.items() if role in roles]

    def signature(self) -> tuple[Signature, Signature]:
        """Signatures of features and targets, for any number of rows."""
        x = backend.signature((None, *self.spec.x_shape), self.x_type)
        y = backend.signature((None, *self.layout["target"]), self.y_type)
        return x, y

    def weight_signatures(self) -> list[Signature]:
        """Signatures of all weights, in the model's order."""
        variables = self.weights.values()
        return [backend.signature(variable.shape, str(variable.dtype)) for variable in variables]

    def draws_signature(self) -> Signature:
        """The signature of the states of the random generators."""
        draws = self.draws(0, 0, 0)
        return backend.signature(draws.shape, str(draws.dtype))

    def values_of(self, params: Tensors) -> list[Tensor]:
        """All weights among these tensors, in the model's order."""
        return [params[name] for name in self.weights]

    def batch(self, rows: Rows, chosen: NDArray[np.int64] | slice) -> tuple[Tensor, Tensor]:
        """Features and targets of some rows, of the types that enter the graph."""
        x = rows.x[chosen].astype(self.x_type, copy=False)
        y = rows.y[chosen].astype(self.y_type, copy=False)
        return x, y

    def load(self, params: Tensors) -> None:
        """Outside of traces: set all weights, and all that the layers derive from them.

        What is traced afterwards holds the derived values as constants. They come from weights that are not trained, so one
        load serves a whole run.
        """
        for name, variable in self.weights.items():
            variable.assign(params[name])
        derived.derive(self.model)

    def assign(self, values: Sequence[BackendTensor]) -> None:
        """Inside a trace: set all weights."""
        for variable, value in zip(self.weights.values(), values, strict=True):
            variable.assign(value)

    def reseed(self, values: BackendTensor) -> None:
        """Inside a trace: set the random generators."""
        for index, variable in enumerate(self.random):
            variable.assign(values[index])

    def draws(self, round_number: int, shard: int, step: int) -> NDArray[np.integer]:
        """The states of the random generators for one step: from the seed and the step's position, never from a clock."""
        dtype = str(self.random[0].dtype) if self.random else "int64"
        states = np.zeros((len(self.random), 2), dtype=dtype)
        for index in range(len(self.random)):
            states[index, 0] = seeds.integer(
                self.spec.seed, "dropout", round_number, shard, step, index
            )
        return states

    def forward(
        self,
        x: Tensor | BackendTensor,
        y: Tensor | BackendTensor,
        *,
        training: bool,
        weighted: bool,
    ) -> Forward:
        """Inside a trace: run the model and sum its loss.

        Args:
            x: Features, shape (rows, *x_shape).
            y: Targets, shape (rows, *target).
            training: As of Keras' `training` argument.
            weighted: Whether class weights enter the loss.
        """
        ops = backend.keras().ops
        output = self.model(x, training=training)
        weights = self._class_weights(y) if weighted else None
        targets = y
        if self.layout["targets"] == "one_hot":
            targets = ops.one_hot(y, self.spec.classes)
        sums = loss_sums(self.loss, targets, output, weights)
        dtype = sums.total.dtype
        penalty: BackendTensor = ops.zeros((), dtype=dtype)
        for extra in self.model.losses:
            penalty = penalty + ops.cast(ops.sum(extra), dtype)
        return Forward(
            loss=sums.total,
            divisor=sums.divisor,
            penalty=penalty,
            output=ops.cast(output, dtype),
            mask=sums.mask,
        )

    def _class_weights(self, y: Tensor | BackendTensor) -> BackendTensor | None:
        """The weight of each row's class; None where classes have no weights."""
        if self.spec.class_weights is None:
            return None
        ops = backend.keras().ops
        table = ops.convert_to_tensor(self.spec.class_weights, dtype=self.loss.dtype)
        weights: BackendTensor = ops.take(table, y, axis=0)
        return weights


def open_model(spec: Spec, blueprint: Blueprint) -> Opened:
    """Open a blueprint: build the Keras model and its loss; nothing is traced yet.

    In gradient mode the momentum of batch normalisations is 0, so that their moving statistics hold exactly the batch's own
    after a step: these are sent, and the merge moves the averages, once.
    """
    backend.require_exact()
    layout = layout_of(blueprint)
    with sources.seeded(
        spec.seed
    ):  # what is drawn is overwritten; this restores the process's own generators
        model = sources.from_config(blueprint.config, spec)
    if spec.sync == "gradient":
        for layer in batch_normalisations(model):
            layer.momentum = 0.0
    double = str(model.outputs[0].dtype) == "float64"
    value_type = "float64" if double else "float32"
    names = [entry["name"] for entry in layout["tensors"]]
    return Opened(
        spec=spec,
        layout=layout,
        model=model,
        loss=losses.make(layout["loss"], "float64" if double else None),
        weights=dict(zip(names, model.weights, strict=True)),
        roles={entry["name"]: entry["role"] for entry in layout["tensors"]},
        random=seed_states(model),
        x_type=str(model.inputs[0].dtype),
        y_type=value_type if spec.task == "regression" else "int64",
    )
