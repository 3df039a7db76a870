"""Checkpoints: everything that a run which ended early needs to go on, bit for bit as if it had never stopped."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np

from whisktrain import tensors
from whisktrain.errors import Conflict, NotFound
from whisktrain.records import ids
from whisktrain.records.history import TrainingHistory
from whisktrain.records.params import read_params
from whisktrain.records.run import Best, RunState
from whisktrain.rounds.blueprints import read_blueprint
from whisktrain.rounds.optimizer_state import moments_of
from whisktrain.rules.capacity import Limits, plan_lease, plan_slots
from whisktrain.spec import Blueprint, Spec
from whisktrain.store.protocol import Store
from whisktrain.tensors import Tensors

__all__ = ["Checkpoint", "put_checkpoint", "read_checkpoint"]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a run can go on.

    Attributes:
        spec: Its plan.
        round: The round to go on with.
        blueprint: The model.
        params: The parameters that the round starts from.
        moments: The optimizer's state that belongs to them; None for round 1.
        best: The best parameters so far, where they are others.
        best_at: Where those were.
        story: The history so far.
    """

    spec: Spec
    round: int
    blueprint: Blueprint
    params: Tensors
    moments: Tensors | None
    best: Tensors | None
    best_at: Best | None
    story: TrainingHistory

    def going_on(self, stopped: str, run: str, limits: Limits) -> tuple[Spec, Best | None]:
        """The plan and the best parameters of the run `run` that goes on from here, on a platform with these limits."""
        spec = replace(
            self.spec,
            resumed=stopped,
            first_round=self.round,
            lease=plan_lease(limits, self.spec.lease),
            slots=plan_slots(limits, self.spec.shards),
        )
        best = replace(self.best_at, params=ids.params(run, self.best_at.round)) if self.best_at else None
        return spec, best


def put_checkpoint(store: Store, state: RunState) -> bool:
    """Write a run's checkpoint from the documents that its state pins.

    Returns:
        Whether it exists now; False where the documents are gone already.
    """
    point = state.point
    if point is None:
        return False
    params, blueprint = read_params(store, point.params), read_blueprint(store, state.run)
    if params is None or blueprint is None:
        return False
    held: Tensors = {f"params/{name}": t for name, t in params.tensors.items()}
    if point.round > 1:
        moments = moments_of(store, state, point.round, params.digest)
        if moments is None:
            return False
        held |= {f"moments/{name}": t for name, t in moments.items()}
    if point.best is not None and point.best.params != point.params:
        best = read_params(store, point.best.params)
        if best is None:
            return False
        held |= {f"best/{name}": t for name, t in best.tensors.items()}
    held["file/config"] = np.frombuffer(blueprint.config, np.uint8)
    body = {
        "schema": ids.SCHEMA,
        "spec": state.spec.to_json(),
        "round": point.round,
        "layout": blueprint.layout,
        "best": asdict(point.best) if point.best else None,
        "story": params.story.to_body(),
    }
    try:
        store.library.put(ids.checkpoint(state.run), body, attachment=tensors.encode(held), durable=True)
    except Conflict:
        return True
    return True


def read_checkpoint(store: Store, run: str) -> Checkpoint:
    """The checkpoint of a run.

    Raises:
        NotFound: It has none.
    """
    found = store.library.get(ids.checkpoint(run), attachment=True)
    if found is None or found.attachment is None:
        raise NotFound(
            f"The run {run!r} has no checkpoint; only runs that were stopped, or failed for want of a worker, can go on.",
            code="no_checkpoint",
            hint="See `whisktrain runs list`.",
        )
    held, body = tensors.decode(found.attachment), found.body

    def part(prefix: str) -> Tensors:
        return {name.removeprefix(prefix): t for name, t in held.items() if name.startswith(prefix)}

    best_at = Best(**body["best"]) if body["best"] else None
    return Checkpoint(
        spec=Spec.from_json(body["spec"]),
        round=int(body["round"]),
        blueprint=Blueprint(body["layout"], np.asarray(held["file/config"]).tobytes()),
        params=part("params/"),
        moments=part("moments/") if body["round"] > 1 else None,
        best=part("best/") or None,
        best_at=best_at,
        story=TrainingHistory(**body["story"]),
    )
