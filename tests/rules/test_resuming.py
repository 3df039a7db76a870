"""The plan of a run that resumes another one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from plans import plan_of

from whisktrain.records.checkpoint import Checkpoint
from whisktrain.records.history import TrainingHistory
from whisktrain.records.run import Best
from whisktrain.rules.resuming import resumed_plan
from whisktrain.spec import Blueprint


@dataclass(frozen=True)
class Limits:
    """A platform for two workers at once and activations of 100 seconds."""

    concurrent: int = 6
    invocations_per_minute: int = 6000
    memory_mb: int | None = None
    cores: int = 8
    max_duration_s: float = 100.0
    one_machine: bool = False


def checkpoint(best: Best | None) -> Checkpoint:
    return Checkpoint(
        spec=plan_of((9, 9, 9, 9), lease=200.0, slots=4),
        round=5,
        blueprint=Blueprint({"tensors": []}, b""),
        params={"w": np.zeros(1)},
        optimizer_state={},
        best=None,
        best_at=best,
        history=TrainingHistory(),
    )


def test_slots_and_lease_are_planned_for_the_platform_of_the_new_run() -> None:
    spec, best = resumed_plan(checkpoint(None), "old", "new", Limits())
    assert (spec.resumed, spec.first_round) == ("old", 5)
    assert (spec.slots, spec.lease) == (2, 75.0)
    assert spec.shard_rows == (9, 9, 9, 9)
    assert best is None


def test_the_best_parameters_so_far_become_documents_of_the_new_run() -> None:
    _, best = resumed_plan(checkpoint(Best(3, "params:old:3", 0.5, 1)), "old", "new", Limits())
    assert best == Best(3, "params:new:3", 0.5, 1)
