"""The frozen plan of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

from whisktrain.jsontypes import Json, JsonObject
from whisktrain.spec.options import LossConfig, ModelSource, OptimizerConfig, OuterConfig

__all__ = ["Label", "Spec", "Sync", "Task"]

Label: TypeAlias = int | float | bool | str
"""A class as the user's data names it."""

Task: TypeAlias = Literal["classification", "regression"]
Sync: TypeAlias = Literal["gradient", "local"]

_TUPLES = ("x_shape", "shard_rows", "validation_rows", "metrics", "class_weights")


def _average() -> OuterConfig:
    return {"name": "average"}


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
        model: What to build.
        loss: The loss to minimise.
        metrics: Names of metrics, in the order to report.
        optimizer: The optimizer: the merge's in gradient mode, each worker's own in local mode.
        sync: "gradient" or "local".
        outer: Local mode's outer optimizer.
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
    task: Task
    classes: int
    x_shape: tuple[int, ...]
    shard_rows: tuple[int, ...]
    validation_rows: tuple[int, ...]
    model: ModelSource
    loss: LossConfig
    metrics: tuple[str, ...]
    optimizer: OptimizerConfig
    sync: Sync = "gradient"
    outer: OuterConfig = field(default_factory=_average)
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
        """Whether there are validation rows."""
        return sum(self.validation_rows) > 0

    def to_json(self) -> JsonObject:
        """The plan as a JSON object."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Json]) -> Spec:
        """The plan that `to_json` wrote."""
        known: dict[str, Any] = dict(record)
        for key in _TUPLES:
            if known.get(key) is not None:
                known[key] = tuple(known[key])
        return cls(**known)
