"""Closing a complete round: what follows it, the merge (A3 and A4), and the run document of the next round (A6)."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from whisktrain import tensors
from whisktrain.errors import DataError, Diverged
from whisktrain.merge.merging import Merged, merge
from whisktrain.merge.overflow import overflow_cause
from whisktrain.records import ids, round_times
from whisktrain.records.cost import Cost, IdleRecords
from whisktrain.records.failures import REFUSED, Failure
from whisktrain.records.params import Params
from whisktrain.records.run import ResumePoint, RunState
from whisktrain.records.run_records import RunRecords
from whisktrain.rounds.aggregate.cleanup import MAX_BESIDE_BYTES
from whisktrain.rounds.aggregate.collecting import CollectedRound
from whisktrain.rounds.aggregate.optimizer_state import restore
from whisktrain.rounds.caches import blueprint_of, take_last_round
from whisktrain.rounds.failpoints import Step, failpoint
from whisktrain.rounds.lease_clock import LeaseClock
from whisktrain.rules.assignment import slot_of
from whisktrain.rules.fallback import fallback_after
from whisktrain.rules.leases import idle_slots, invoked, leases_after, starts_after
from whisktrain.rules.next_round import NextRound, after_build, after_round, number_after
from whisktrain.rules.verdict import LOST, OUT_OF_MEMORY
from whisktrain.spec import ContributionNumbers, Spec
from whisktrain.tensors import Tensors

__all__ = ["ClosedRound", "close", "cost_after", "cost_of_lost", "next_state", "whole_cost"]

MAX_CONFIG = 4096
"""Characters of a model's configuration that the run document carries from round 1 on; the blueprint holds it all."""


@dataclass(frozen=True, slots=True)
class ClosedRound:
    """A complete round.

    Attributes:
        following: What follows it.
        fallback: Where the run may be resumed if it diverges.
        first_loss: The training loss of its first round.
        params: The merged tensors, where the next round starts from them.
        optimizer_state: The optimizer's state that belongs to those.
    """

    following: NextRound
    fallback: ResumePoint | None = None
    first_loss: float | None = None
    params: Tensors | None = None
    optimizer_state: Tensors | None = None


def close(
    records: RunRecords,
    state: RunState,
    collected: CollectedRound,
    stop: bool,
    is_stored: Callable[[str], bool],
) -> ClosedRound | None:
    """Decide what follows a complete round, and merge it where that needs it.

    Args:
        records: The run's documents.
        state: The run.
        collected: The round's updates.
        stop: Whether a stop was requested.
        is_stored: Whether a document, by its id, is known to be in the store.

    Returns:
        The closed round; None where a document is gone: the run has moved on.

    Raises:
        Damaged: The parameters or the optimizer's state are not whole.
        DataError: No update of a training round holds any row.
        Diverged: The merged parameters, or the optimizer's state, are not finite.
    """
    if state.round == 0:
        return ClosedRound(after_build(state, stop))
    last = take_last_round(records, state.round)
    if last is not None and last.params.id != state.params:
        last = None
    params = last.params if last is not None else records.read_params(state.params)
    if params is None:
        return None
    numbers = [part.numbers for part in collected.ascending]
    if state.phase == "train":
        _check_rows(state, numbers)
    following = after_round(state, params.history, numbers, stop)
    if following.tensors != "merged":
        return ClosedRound(following, state.fallback, state.first_loss)

    failpoint(Step.RESTORE_STATE)
    optimizer_state = (
        last.optimizer_state if last is not None else _restore(records, state, params, collected)
    )
    blueprint = blueprint_of(records)
    if optimizer_state is None or blueprint is None:
        return None
    fallback, first_loss = fallback_after(state, numbers)
    if fallback is not None and fallback.round == state.round:
        _keep_optimizer_state(records, fallback, optimizer_state, is_stored)

    failpoint(Step.MERGE)
    with np.errstate(
        over="ignore", invalid="ignore"
    ):  # values that are not finite are reported below
        merged = merge(
            state.spec,
            blueprint.layout,
            state.round,
            params.tensors,
            optimizer_state,
            collected.ascending,
        )
    # A state that has overflowed would only show later: in a round that has nothing to do with the cause.
    broken = next(
        (what for what, part in _parts(merged) if not tensors.all_finite(part.values())), ""
    )
    if broken:
        del merged
        raise Diverged(
            f"The {broken} not finite after round {state.round}: {_cause(records, state.round, collected)}"
        )
    return ClosedRound(following, fallback, first_loss, merged.params, merged.optimizer_state)


def _restore(
    records: RunRecords, state: RunState, params: Params, collected: CollectedRound
) -> Tensors | None:
    """The optimizer's state from the store; None where a document is gone.

    Large updates are given up meanwhile and read again: replaying takes memory for the updates of an earlier round.
    """
    shards = sorted(collected.updates) if collected.nbytes > MAX_BESIDE_BYTES else []
    for shard in shards:
        collected.updates[shard].contribution.tensors.clear()
    found = restore(records, state, state.round, params.digest)
    for shard in shards if found is not None else ():
        update = records.read_update(state.round, shard)
        if update is None:
            return None
        collected.updates[shard] = update
    return found


def _parts(merged: Merged) -> tuple[tuple[str, Tensors], ...]:
    """What a merge gave, each with its words for a message."""
    return (
        ("parameters were", merged.params),
        ("optimizer's state was", merged.optimizer_state),
    )


def _cause(records: RunRecords, round_: int, collected: CollectedRound) -> str:
    """The worker that made a merge overflow: the updates are read again, because a merge uses them up."""
    found = records.read_updates(round_, sorted(collected.updates))
    shards = sorted(found)
    return overflow_cause(shards, [found[shard].contribution for shard in shards])


def _check_rows(state: RunState, numbers: Sequence[ContributionNumbers]) -> None:
    """Refuse a training round of which no update holds any row."""
    if not any(each["rows"] for each in numbers):
        raise DataError(
            f"None of the {len(numbers)} updates of round {state.round} holds any training row; "
            "expected at least one.",
            code="no_rows",
            hint="Preprocess the data again; its shards do not have the rows that the plan counts.",
        )


def _keep_optimizer_state(
    records: RunRecords,
    fallback: ResumePoint,
    optimizer_state: Tensors,
    is_stored: Callable[[str], bool],
) -> None:
    """Store the state that the fallback needs, where the execution that opened its round was killed before A8."""
    if fallback.round > 1 and not is_stored(fallback.optimizer_state):
        records.put_optimizer_state(fallback.round, optimizer_state)


def next_state(
    state: RunState,
    closed: ClosedRound,
    params: str,
    collected: CollectedRound,
    *,
    clock: LeaseClock,
    nonce: str,
    ended: Collection[int] = (),
) -> tuple[RunState, tuple[int, ...]]:
    """The run document with the next round open (A6), and the slots that are to be invoked for it (A7).

    Args:
        state: The run.
        closed: The closed round.
        params: The id of the next round's parameters.
        collected: The round's updates.
        clock: The aggregate's time.
        nonce: The aggregate's random word.
        ended: Slots whose outstanding start has ended, as the platform says.
    """
    now, round_ = time.time(), number_after(state)
    point, following = state.point, closed.following
    if following.resumable:
        point = ResumePoint(round_, params, ids.optimizer_state(state.run, round_), following.best)
    trained = state.phase == "train"
    wrote = _wrote(collected)
    known = replace(
        state,
        leases=_leases(state, collected),
        starts=starts_after(state, wrote, now, clock.timeouts),
        longest_start=_longest_start(state, collected, now),
    )
    idle = idle_slots(known, now, clock.timeouts, ended)
    following_state = replace(
        known,
        spec=_without_large_config(state.spec),
        round=round_,
        phase=following.phase,
        params=params,
        merged=tuple(sorted(collected.updates)),
        best=following.best,
        ending=following.ending,
        point=point,
        fallback=closed.fallback,
        first_loss=closed.first_loss,
        nonce=nonce,
        opened=now,
        starts=invoked(known.starts, idle, now),
        aggregate_lease=clock.lease_end,
        timing=round_times.added(state.timing, (now - state.opened) * 1000)
        if trained
        else state.timing,
        cost=cost_after(state, collected, clock),
        latest=following.latest or state.latest,
    )
    return following_state, idle


def cost_after(state: RunState, collected: CollectedRound, clock: LeaseClock) -> Cost:
    """The cost after a round."""
    worker_mb = state.platform.get("worker_mb", 0)
    aggregate_mb = state.platform.get("aggregate_mb", 0)
    cost = state.cost
    if collected.builder is not None:
        cost = cost.seen(
            "0", collected.builder["execution"], collected.builder["start"], time.time(), worker_mb
        )
    for update in (collected.updates[k] for k in sorted(collected.updates)):
        cost = cost.seen(
            str(update.slot), update.execution, update.start, update.written, worker_mb
        )
    return cost.seen("aggregate", clock.execution, clock.start, time.time(), aggregate_mb)


def cost_of_lost(state: RunState, failures: Sequence[Failure], shards: Collection[int]) -> Cost:
    """The cost with the workers that were killed before they wrote anything, each since its invocation.

    Args:
        state: The run.
        failures: The round's failures.
        shards: The shards whose newest failures are not answered yet.
    """
    newest = {f.shard: f for f in failures if f.shard in shards and f.attempt != REFUSED}
    cost, now, megabytes = state.cost, time.time(), state.platform.get("worker_mb", 0)
    for shard, failure in sorted(newest.items()):
        if failure.execution and failure.error["code"] in (LOST, OUT_OF_MEMORY):
            slot = slot_of(shard, state.spec.slots) if state.round else 0
            start = state.starts[slot].at if slot in state.starts else state.opened
            cost = cost.seen(str(slot), failure.execution, start, now, megabytes)
    return cost


def whole_cost(records: RunRecords, state: RunState) -> Cost:
    """The cost of a run that ends, with the activations that wrote nothing."""
    cost = state.cost
    of_action = {
        "worker": state.platform.get("worker_mb", 0),
        "aggregate": state.platform.get("aggregate_mb", 0),
    }
    for idle in IdleRecords(records.store, records.run).read():
        cost = cost.with_idle(idle.execution, idle.start, idle.end, of_action[idle.action])
    return cost


def _leases(state: RunState, collected: CollectedRound) -> dict[int, float]:
    if collected.builder is not None:
        return {0: float(collected.builder["lease_end"])}
    return leases_after(state.spec, state.leases, _wrote(collected))


def _wrote(collected: CollectedRound) -> dict[int, tuple[int, float]]:
    """For each shard (round 0: the model) the slot that wrote it, and the end of the writer's lease."""
    if collected.builder is not None:
        return {0: (0, float(collected.builder["lease_end"]))}
    return {shard: (update.slot, update.lease_end) for shard, update in collected.updates.items()}


def _longest_start(state: RunState, collected: CollectedRound, now: float) -> float:
    """The longest time that a slot took from its invocation to its first write."""
    first = {u.slot: u.written for u in collected.updates.values()} if state.round else {0: now}
    taken = [first[slot] - start.at for slot, start in state.starts.items() if slot in first]
    return round(max([state.longest_start, *taken]), 3)


def _without_large_config(spec: Spec) -> Spec:
    """The plan without a large model configuration: the run document is written every round."""
    config = spec.model.get("config")
    return replace(spec, model={"config": {}}) if config and len(str(config)) > MAX_CONFIG else spec
