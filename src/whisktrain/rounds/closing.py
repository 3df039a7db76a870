"""A3 and A4, and what A6 writes: from a complete round to the next parameters and the next state."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from whisktrain.errors import Diverged
from whisktrain.merge.merging import merge
from whisktrain.records import ids, round_times
from whisktrain.records.cost import Cost
from whisktrain.records.params import read_params
from whisktrain.records.run import ResumePoint, RunState
from whisktrain.rounds.blueprints import read_blueprint
from whisktrain.rounds.collecting import Gathered
from whisktrain.rounds.failpoints import failpoint
from whisktrain.rounds.lease_clock import LeaseClock
from whisktrain.rounds.optimizer_state import kept, moments_of
from whisktrain.rules import closing
from whisktrain.rules.capacity import AGGREGATE_MB, WORKER_MB
from whisktrain.rules.next_round import Next, after_build, after_round
from whisktrain.spec import Spec
from whisktrain.store.protocol import Store
from whisktrain.tensors import Tensors

__all__ = ["Closed", "close", "counted", "next_round", "opened"]

MOST_CONFIG = 4096
"""Characters of a model's configuration that the run document carries from round 1 on; the blueprint holds it all."""


@dataclass(frozen=True, slots=True)
class Closed:
    """A complete round.

    Attributes:
        step: What follows it.
        params: The merged tensors, where the next round starts from them.
        moments: The optimizer's state that belongs to those.
    """

    step: Next
    params: Tensors | None = None
    moments: Tensors | None = None


def close(store: Store, state: RunState, gathered: Gathered, stop: bool) -> Closed | None:
    """Decide what follows a complete round, and merge it where that needs it.

    Returns:
        The closed round; None where a document is gone: the run has moved on.

    Raises:
        Diverged: The merged parameters are not finite.
    """
    if state.round == 0:
        return Closed(after_build(state, stop))
    remembered = kept(store, state.run, state.round)
    params = remembered.params if remembered and remembered.params.id == state.params else read_params(store, state.params)
    if params is None:
        return None
    parts = gathered.ascending
    step = after_round(state, params.story, [part.numbers for part in parts], stop)
    if step.tensors != "merged":
        return Closed(step)

    failpoint("A3")
    moments = moments_of(store, state, state.round, params.digest)
    blueprint = read_blueprint(store, state.run)
    if moments is None or blueprint is None:
        return None

    failpoint("A4")
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is said below
        merged = merge(state.spec, blueprint.layout, state.round, params.tensors, moments, parts)
    if not all(np.isfinite(t).all() for t in merged.params.values() if t.dtype.kind == "f"):
        raise Diverged(
            f"The parameters were not finite after round {state.round}.",
            hint="Lower the learning rate, scale the features, or clip gradients.",
        )
    return Closed(step, merged.params, merged.moments)


def next_round(state: RunState) -> int:
    """The number of the round that follows."""
    return state.round + 1 if state.round else state.spec.first_round


def opened(state: RunState, step: Next, params: str, gathered: Gathered, *, shift: LeaseClock, nonce: str) -> RunState:
    """A6: the state with the next round open."""
    now, round_ = time.time(), next_round(state)
    point = state.point
    if step.resumable:
        point = ResumePoint(round_, params, ids.moments(state.run, round_), step.best)
    lengths = round_times.added(state.timing, (now - state.opened) * 1000) if state.phase == "train" else state.timing
    return replace(
        state,
        spec=_trimmed(state.spec),
        round=round_,
        phase=step.phase,
        params=params,
        merged=tuple(sorted(gathered.updates)),
        best=step.best,
        ending=step.ending,
        point=point,
        nonce=nonce,
        opened=now,
        leases=_leases(state, gathered),
        aggregate_lease=shift.lease_end,
        timing=lengths,
        cost=counted(state, gathered, shift),
        latest=step.latest or state.latest,
    )


def counted(state: RunState, gathered: Gathered, shift: LeaseClock) -> Cost:
    """The cost after a round."""
    worker_mb = int(state.platform.get("worker_mb", WORKER_MB))
    cost = state.cost
    if gathered.built is not None:
        cost = cost.seen("0", gathered.built["execution"], gathered.built["start"], time.time(), worker_mb)
    for update in (gathered.updates[k] for k in sorted(gathered.updates)):
        cost = cost.seen(str(update.slot), update.execution, update.start, update.written, worker_mb)
    aggregate_mb = int(state.platform.get("aggregate_mb", AGGREGATE_MB))
    return cost.seen("aggregate", shift.execution, shift.start, time.time(), aggregate_mb)


def _leases(state: RunState, gathered: Gathered) -> dict[int, float]:
    if gathered.built is not None:
        return {0: float(gathered.built["lease_end"])}
    wrote: dict[int, tuple[int, float]] = {k: (u.slot, u.lease_end) for k, u in gathered.updates.items()}
    return closing.leases_after(state.spec, state.leases, wrote)


def _trimmed(spec: Spec) -> Spec:
    """The plan without a large model configuration: the run document is written every round."""
    config: Any = spec.model.get("config")
    return replace(spec, model={"config": {}}) if config and len(str(config)) > MOST_CONFIG else spec
