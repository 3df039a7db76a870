"""AGGREGATE: the activation that closes rounds. It waits for every shard, merges, and opens the next round.

`serve` is the loop of one activation; `_close_round` is one pass over the steps A1 to A9 of the protocol.
"""

from __future__ import annotations

import secrets
import time
from typing import TypedDict

from whisktrain.errors import PlatformError, StoreRefused, StoreUnreachable
from whisktrain.records import ids
from whisktrain.records.archive import RunArchive
from whisktrain.records.cost import Idle, IdleRecords
from whisktrain.records.keys import RunKeys
from whisktrain.records.params import Params
from whisktrain.records.run import RunState
from whisktrain.records.run_records import RunRecords
from whisktrain.rounds.activations import Activations
from whisktrain.rounds.aggregate.cleanup import Cleanup
from whisktrain.rounds.aggregate.closing import ClosedRound, close, next_state
from whisktrain.rounds.aggregate.collecting import CollectedRound, collect
from whisktrain.rounds.aggregate.context import AggregateContext
from whisktrain.rounds.aggregate.endings import (
    complete,
    end_refused,
    record_aggregate_failure,
    record_merge_failure,
    restart,
)
from whisktrain.rounds.aggregate.finish import finish
from whisktrain.rounds.aggregate.optimizer_state import keep_fallback
from whisktrain.rounds.aggregate.sweep import sweep_absent, sweep_recreated
from whisktrain.rounds.aggregate.waiting import invoke, leave, wait_until_complete
from whisktrain.rounds.caches import LastRound, drop_large_rounds, keep_last_round
from whisktrain.rounds.failpoints import Step, failpoint
from whisktrain.rounds.fitting import fit_memory, give_more_memory
from whisktrain.rounds.invoker import Invoker
from whisktrain.rounds.lease_clock import LeaseClock
from whisktrain.rounds.passes import run_passes
from whisktrain.rules.deletion import sweepable
from whisktrain.rules.fallback import is_kept
from whisktrain.rules.next_round import number_after
from whisktrain.rules.timeouts import TIMEOUTS, Timeouts
from whisktrain.rules.verdict import OUT_OF_MEMORY
from whisktrain.store.protocol import Store

__all__ = ["AggregateResult", "serve"]


class AggregateResult(TypedDict):
    """The answer of an aggregate activation.

    Attributes:
        run: The run's id.
        rounds: Rounds that it closed.
        left: Why it ended.
        invoked: The activation that it last invoked of each slot, for those who wait for the slot.
    """

    run: str
    rounds: int
    left: str
    invoked: dict[str, str]


def serve(
    run: str,
    *,
    store: Store,
    invoker: Invoker,
    execution: str,
    deadline: float,
    after: str = "",
    timeouts: Timeouts = TIMEOUTS,
) -> AggregateResult:
    """Close the rounds of a run for as long as the lease lasts; without one, at most one round.

    Args:
        run: The run's id.
        store: The store.
        invoker: Starts workers and the successor.
        execution: This activation's id.
        deadline: When the platform ends this activation, in seconds of the epoch.
        after: The nonce of the execution that handed over to this one: the rest of its lease is this one's.
        timeouts: The protocol's times.
    """
    records, clock = RunRecords(store, run), LeaseClock(execution, time.time(), deadline, timeouts)
    # The nonce must differ between executions, also of one activation that is silently run twice; nothing is drawn from it.
    nonce = secrets.token_hex(8)
    context = AggregateContext(
        records, invoker, clock, nonce, after, Cleanup(records, timeouts), Activations(invoker)
    )
    try:
        left = run_passes(lambda: _close_round(context), context.forget, clock)
        context.cleanup.wait()
    except StoreRefused as error:
        left = end_refused(context, error)
    finally:
        context.cleanup.close()
    if not context.closed:
        IdleRecords(store, run).put(Idle("aggregate", execution, clock.start, time.time()))
    invoked = {str(slot): id_ for slot, id_ in sorted(context.activations.invoked.items())}
    return {"run": run, "rounds": context.closed, "left": left, "invoked": invoked}


def _close_round(context: AggregateContext) -> str | None:
    """One pass over the steps; why to leave, or None to continue."""
    failpoint(Step.LOOK)
    left = _look(context)
    state = context.state
    if left is not None or state is None:
        return left

    failpoint(Step.COLLECT)
    collected = CollectedRound(state.round, typical_bytes=context.typical_bytes)
    if context.listing:
        collected, context.listing = collect(context.records, state), False
    left = wait_until_complete(context, state, collected)
    state = context.state  # as it was claimed meanwhile
    if left is not None or state is None:
        return left

    began = time.time()
    context.cleanup.release_tensors()
    try:
        if state.round == 0:
            state = _fit_memory(context, state)
        closed = close(  # A3 and A4
            context.records, state, collected, context.stop, context.cleanup.is_stored
        )
    except (StoreUnreachable, StoreRefused):
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it has to be recorded
        return record_merge_failure(context, state, error)
    if closed is None:
        return restart(context)
    if closed.following.kind == "finish":
        return complete(context, state, collected, closed.following)
    return _open_next(context, state, collected, closed, began)


def _fit_memory(context: AggregateContext, state: RunState) -> RunState:
    """Give the actions the memory that the model needs; where the aggregate's own grows, a new container takes over."""
    fitted = fit_memory(context.records, context.invoker, state)
    if fitted.platform.get("aggregate_mb") != state.platform.get("aggregate_mb"):
        context.clock.end_lease()
    return fitted


def _open_next(
    context: AggregateContext,
    state: RunState,
    collected: CollectedRound,
    closed: ClosedRound,
    began: float,
) -> str | None:
    """Put the next parameters, swap the run document, invoke workers and note what to clean up (A5 to A9)."""
    failpoint(Step.PUT_PARAMS)
    params = _put_next_params(context.records, state, closed)
    if params is None:
        return restart(context)

    failpoint(Step.SWAP)
    following, idle = next_state(
        state,
        closed,
        params.id,
        collected,
        clock=context.clock,
        nonce=context.nonce,
        ended=context.activations.ended_starts(state, time.time(), context.clock.timeouts),
    )
    swapped = context.records.swap(following)
    if swapped is None:
        return restart(context)
    context.state = swapped
    context.closed += 1
    failpoint(Step.SWAPPED)

    failpoint(Step.INVOKE_WORKERS)
    invoke(context, swapped, idle)

    context.cleanup.wait()
    if closed.optimizer_state is not None:
        keep_last_round(context.records, LastRound(swapped.round, params, closed.optimizer_state))
    _note_closed(context, swapped, closed, collected, params)
    context.clock.record_work(time.time() - began)
    if not context.clock.leased:
        return "the round is closed"
    return leave(context, swapped) if context.clock.over else None


def _look(context: AggregateContext) -> str | None:
    """Read the run (A1); why to leave, or None. What this execution itself has just written need not be read."""
    if context.state is not None:
        return None
    records = context.records
    context.position = records.position()
    found = {} if context.swept else records.round_documents()
    state = records.read()
    drop_large_rounds(records, state.round if state is not None and not state.final else 0)
    if state is None:
        sweep_absent(records)
        return "the run is absent"
    if state.final:
        finish(records)
        return f"the run is {state.status}"
    if state.round == 0 and _was_recreated(records):
        sweep_recreated(records, state.rev)
        return "the run has ended before"
    if not context.swept:
        # The run was read after the listing, so that nothing written since then is swept.
        failpoint(Step.SWEEP)
        going = sweepable(found, records.run, state)
        records.delete_documents(going, found)
        context.cleanup.add_existing({id_: found[id_] for id_ in found.keys() - set(going)})
        state = keep_fallback(records, state, found)
        state = _note_killed(context, state)
        context.swept = True
    context.stop = records.stop_requested()
    context.clock.lease = state.spec.lease
    context.state, context.listing = state, True
    return None


def _note_killed(context: AggregateContext, state: RunState) -> RunState:
    """Find out whether the aggregate before this one was killed for its memory; give it more, or count the attempt."""
    before = state.cost.serving.get("aggregate")
    if (
        before is None
        or before.execution == context.clock.execution
        or state.aggregate_lease <= time.time()
    ):
        return state
    try:
        ended = context.activations.platform.ended(before.execution)
    except PlatformError:
        return state
    if ended is None or ended.error is None or ended.error["code"] != OUT_OF_MEMORY:
        return state
    more = give_more_memory(context.invoker, state, "aggregate")
    if more is state:
        record_aggregate_failure(context, state, ended.error, before.execution)
    return more


def _was_recreated(records: RunRecords) -> bool:
    """Whether a late CREATE has made a run again that has ended, or that was deleted (A1)."""
    store, run = records.store, records.run
    return RunArchive(store, run).summary() is not None or not RunKeys(store).names(run)


def _put_next_params(records: RunRecords, state: RunState, closed: ClosedRound) -> Params | None:
    """Put the parameters of the next round (A5); None where those to copy are gone."""
    id_ = ids.params(state.run, number_after(state))
    if state.round == 0:
        return records.read_params(id_)
    values, merged = closed.params, tuple(range(state.spec.shards))
    if values is None:
        best = closed.following.best if closed.following.tensors == "best" else None
        source = records.read_params(best.params if best is not None else state.params)
        if source is None:
            return None
        values, merged = source.tensors, ()
    return records.put_params(
        id_, values, closed.following.history, parent=state.params, merged=merged
    )


def _note_closed(
    context: AggregateContext,
    state: RunState,
    closed: ClosedRound,
    collected: CollectedRound,
    params: Params,
) -> None:
    """Note what A8 and A9 have to store and delete after a round."""
    seen = {
        ids.update(state.run, collected.round, k): update.rev
        for k, update in collected.updates.items()
    }
    context.cleanup.add_existing({**seen, params.id: params.rev})
    needed = state.phase == "train" or state.point is not None
    optimizer_state = closed.optimizer_state if needed else None
    context.typical_bytes = collected.mean_bytes
    kept = is_kept(state.spec, state.round)
    may_wait = context.clock.leased and state.phase == "train" and not kept
    context.cleanup.add_closed(state, optimizer_state, collected.nbytes, may_wait=may_wait)
    if not context.clock.leased:
        context.cleanup.wait()
