"""Plans, runs, updates and failures for tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from whisktrain.records.failures import Failure
from whisktrain.records.run import RunState
from whisktrain.records.updates import Update
from whisktrain.spec import Contribution, ContributionNumbers, Spec


def plan_of(
    rows: tuple[int, ...] = (30, 20), held: tuple[int, ...] | None = None, **changes: Any
) -> Spec:
    """A plan for `put_dataset`'s data."""
    known: dict[str, Any] = {
        "dataset": "d",
        "name": "m",
        "task": "classification",
        "classes": 3,
        "x_shape": (4,),
        "shard_rows": rows,
        "validation_rows": held if held is not None else tuple(9 for _ in rows),
        "model": {"preset": "linear"},
        "loss": {"name": "sparse_categorical_crossentropy"},
        "metrics": ("accuracy",),
        "optimizer": {"name": "adam", "learning_rate": 0.05},
        "batch": 16,
        "rounds": 6,
        "seed": 3,
        "lease": 30.0,
        "slots": len(rows),
    }
    return Spec(**{**known, **changes})


def running(spec: Spec | None = None, **changes: Any) -> RunState:
    """A run in its third round."""
    known = {"round": 3, "phase": "train", "params": "params:r:3", "opened": 1000.0}
    return RunState("r", spec or plan_of(), 1, **{**known, **changes})


def failure(shard: int, attempt: int = 1, written: float = 1000.0, **changes: Any) -> Failure:
    """A failed attempt at a shard."""
    return Failure(
        shard,
        attempt,
        changes.pop("error", {"code": "x", "message": "m"}),
        written=written,
        **changes,
    )


def update_of(shard: int, slot: int = 0, execution: str = "e", values: float = 1.0) -> Update:
    """A shard's update, written now."""
    numbers: ContributionNumbers = {
        "rows": 1,
        "divisor": 1.0,
        "train": None,
        "validation": None,
        "training": None,
    }
    contribution = Contribution({"w": np.full(3, values, np.float32)}, numbers)
    return Update(shard, slot, execution, 1.0, 0.0, {"read": 1.0}, False, contribution, 2.0)
