"""The plan of a run that resumes another one from its checkpoint. Pure."""

from __future__ import annotations

from dataclasses import replace

from whisktrain.records import ids
from whisktrain.records.checkpoint import Checkpoint
from whisktrain.records.run import Best
from whisktrain.rules.capacity import Limits, plan_lease, plan_slots
from whisktrain.spec import OptimizerConfig, Spec

__all__ = ["resumed_plan"]


def resumed_plan(
    checkpoint: Checkpoint,
    stopped: str,
    run: str,
    limits: Limits,
    optimizer: OptimizerConfig | None = None,
) -> tuple[Spec, Best | None]:
    """The plan and the best parameters so far of a run that resumes another one.

    Args:
        checkpoint: The checkpoint of the stopped run.
        stopped: The stopped run's id.
        run: The new run's id.
        limits: The platform's limits, for which slots and lease are planned anew.
        optimizer: The optimizer's settings from here on; those of the stopped run by default.
    """
    spec = replace(
        checkpoint.spec,
        resumed=stopped,
        first_round=checkpoint.round,
        optimizer=optimizer or checkpoint.spec.optimizer,
        lease=plan_lease(limits, checkpoint.spec.lease),
        slots=plan_slots(limits, checkpoint.spec.shards),
    )
    best = checkpoint.best_at
    return spec, replace(best, params=ids.params(run, best.round)) if best else None
