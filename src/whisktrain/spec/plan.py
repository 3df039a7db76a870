"""What passes between the rounds and whoever computes in them: the frozen plan of a run, one piece of work, its yield.

`rounds` knows when and which rows; `learning` (Keras) or a test's NumPy model knows how. Neither imports the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from whisktrain.tensors import Tensors

__all__ = ["Blueprint", "Built", "Contribution", "Learner", "OpenModel", "Phase", "Rows", "Spec", "Work"]

Phase = Literal["train", "evaluate"]


@dataclass(frozen=True, slots=True)
class Spec:
    """The frozen plan of a run, as the run document holds it (`to_json`): small, and nothing in it depends on the run's id.

    Attributes:
        dataset: Id of the processed data set.
        name: The model's name.
        task: "classification" or "regression".
        classes: Number of classes; 0 for regression.
        x_shape: Shape of one row of features.
        shard_rows: Training rows of each shard; its length is N, the number of workers.
        validation_rows: Validation rows of each shard's slice (zeros without validation).
        model: What to build: `{"preset": "linear"|"mlp"|"cnn"}`, `{"config": {...}}` (Keras JSON), `{"file": "upload:ID"}`
            (a .keras file), `{"factory": "package.module:function"}`, or `{"init": "NAME:VERSION"}` (an earlier model).
        loss: A Keras loss as its configuration (`{"name": "sparse_categorical_crossentropy", ...options}`).
        metrics: Names of metrics, in the order to report.
        optimizer: `{"name": "sgd"|"adam"|"adamw", "learning_rate": float, ...}` with Keras' argument names
            (momentum, nesterov, beta_1, beta_2, epsilon, weight_decay, clipnorm, clipvalue, global_clipnorm, amsgrad),
            and optionally `"schedule": {"name": ..., ...}`.
        outer: Local mode's outer optimizer, `{"name": "average"}` or `{"name": "nesterov", "learning_rate", "momentum"}`.
        sync: "gradient" or "local".
        batch: Rows of a batch, global in gradient mode, per worker in local mode; 0 = full.
        local_steps: Steps of a local round, at most.
        rounds: Training rounds L in total.
        seed: The request's seed.
        class_weights: Weight of each class, or None.
        target_mean: Regression: mean of the target on training rows (targets are standardised).
        target_scale: Regression: standard deviation of the target on training rows.
        patience: Epochs without improvement before stopping early; None = never.
        lease: Seconds that an activation may serve rounds; 0 = one activation per worker and round.
        slots: Worker activations W <= N; slot s serves the shards k with k mod W = s.
        attempts: How often a shard of a round is tried before the run fails.
        first_round: 1, or the round at which a resumed run goes on.
        resumed: The stopped run whose checkpoint this one goes on from; None otherwise.
    """

    dataset: str
    name: str
    task: Literal["classification", "regression"]
    classes: int
    x_shape: tuple[int, ...]
    shard_rows: tuple[int, ...]
    validation_rows: tuple[int, ...]
    model: dict[str, Any]
    loss: dict[str, Any]
    metrics: tuple[str, ...]
    optimizer: dict[str, Any]
    sync: Literal["gradient", "local"] = "gradient"
    outer: dict[str, Any] = field(default_factory=lambda: {"name": "average"})
    batch: int = 64
    local_steps: int = 50
    rounds: int = 1
    seed: int = 0
    class_weights: tuple[float, ...] | None = None
    target_mean: float = 0.0
    target_scale: float = 1.0
    patience: int | None = None
    lease: float = 45.0
    slots: int = 1
    attempts: int = 3
    first_round: int = 1
    resumed: str | None = None

    @property
    def shards(self) -> int:
        """N, the number of shards."""
        return len(self.shard_rows)

    @property
    def has_validation(self) -> bool:
        """Whether there are rows to validate on."""
        return sum(self.validation_rows) > 0

    def to_json(self) -> dict[str, Any]:
        """The plan as a JSON object."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Spec:
        """The plan that `to_json` wrote."""
        tuples = ("x_shape", "shard_rows", "validation_rows", "metrics", "class_weights")
        known: dict[str, Any] = {k: tuple(v) if k in tuples and v is not None else v for k, v in record.items()}
        return cls(**known)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one shard or of one validation slice.

    Attributes:
        x: Features, shape (rows, *x_shape).
        y: Targets, shape (rows,): class numbers (int64) or standardised values (float32/float64).
    """

    x: NDArray[Any]
    y: NDArray[Any]

    def __len__(self) -> int:
        return int(self.x.shape[0])


@dataclass(frozen=True, slots=True)
class Work:
    """What shard k has to do in round r.

    Attributes:
        round: The round's number r >= 1.
        shard: The shard's number k.
        phase: "train", or "evaluate" (the final rounds: no gradient).
        epoch: The epoch that the round belongs to, from 0.
        steps: Row numbers of the shard, one array a step. Gradient mode: one array (maybe empty: weight 0); local mode: up to
            `local_steps` arrays (maybe none). Empty in an evaluation round.
        validate: Whether to evaluate the round's starting parameters on the shard's validation slice too.
        score_training: Whether to evaluate them on all the shard's training rows too.
    """

    round: int
    shard: int
    phase: Phase
    epoch: int
    steps: tuple[NDArray[np.int64], ...] = ()
    validate: bool = False
    score_training: bool = False


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one shard contributes to one round: the update document's numbers and its attachment.

    Attributes:
        tensors: Gradient sums (gradient mode) or weight changes (local mode), and state such as batch-norm statistics, under
            the learner's own names; empty in evaluation and for weight 0.
        numbers: JSON: `{"rows": int, "divisor": float, "train": {...}, "validation": {...} | None, "training": {...} | None}`;
            the last three hold sums of loss and metric state, to be added up across shards.
    """

    tensors: Tensors
    numbers: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Blueprint:
    """The model, as every worker opens it and the merge reads it; immutable for a run.

    Attributes:
        layout: JSON: the tensors in order and what the merge has to know of each (name, role, constraint, …).
        config: The model's own configuration as bytes (Keras JSON); opaque to the rounds.
    """

    layout: dict[str, Any]
    config: bytes


@dataclass(frozen=True, slots=True)
class Built:
    """A new model: its blueprint and its first tensors (trainable, frozen and state), named as the layout says."""

    blueprint: Blueprint
    params: Tensors


class OpenModel(Protocol):
    """A model ready to compute; reused for many rounds and any shard."""

    def contribute(self, params: Tensors, work: Work, rows: Rows, validation: Rows) -> Contribution:
        """Compute one shard's part of one round.

        Args:
            params: The round's starting tensors.
            work: What to do.
            rows: The shard's training rows.
            validation: The shard's validation slice (maybe without rows).

        Raises:
            Diverged: A loss or gradient is not finite.
        """


class Learner(Protocol):
    """Whoever knows how to compute: Keras in production."""

    def build(self, spec: Spec, files: Mapping[str, bytes]) -> Built:
        """Make the model and its first tensors, seeded by `spec.seed` alone.

        Args:
            spec: The plan.
            files: What `spec.model` refers to: `{"file": bytes}` for an uploaded .keras, `{"init": bytes, "config": bytes}`
                for an earlier model's tensors and configuration.
        """

    def open(self, spec: Spec, blueprint: Blueprint) -> OpenModel:
        """Prepare a model for computing (compile once, reuse)."""
