"""AGGREGATE: the activation that closes rounds. It waits for every shard, merges, and opens the next round.

`serve` is the loop of one activation; `_close_round` is one pass over the steps A1 to A9 of the protocol.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field, replace
from typing import TypedDict

from whisktrain.errors import Damaged, ErrorRecord, PlatformError, StoreUnreachable, TrainingError
from whisktrain.records import ids
from whisktrain.records.archive import RunArchive
from whisktrain.records.failures import MERGE, Failure
from whisktrain.records.params import Params
from whisktrain.records.run import Ending, Outcome, ResumePoint, RunState
from whisktrain.records.run_records import RunRecords
from whisktrain.rounds.aggregate.cleanup import Cleanup
from whisktrain.rounds.aggregate.closing import ClosedRound, close, cost_after, next_state
from whisktrain.rounds.aggregate.collecting import CollectedRound, collect, wait_for_updates
from whisktrain.rounds.aggregate.finish import FinalState, end, finish
from whisktrain.rounds.aggregate.repair import repair_params
from whisktrain.rounds.aggregate.sweep import sweep_absent, sweep_recreated
from whisktrain.rounds.caches import LastRound, keep_last_round
from whisktrain.rounds.failpoints import Step, failpoint
from whisktrain.rounds.invoker import Invoker, invoke_workers
from whisktrain.rounds.lease_clock import LeaseClock
from whisktrain.rules.assignment import slot_of
from whisktrain.rules.deletion import sweepable
from whisktrain.rules.leases import dead_slots
from whisktrain.rules.next_round import NextRound, number_after
from whisktrain.rules.timeouts import TIMEOUTS, Timeouts
from whisktrain.rules.verdict import Verdict, failure_sentence, judge, lost_error
from whisktrain.store.protocol import Store

__all__ = ["AggregateResult", "serve"]


class AggregateResult(TypedDict):
    """The answer of an aggregate activation.

    Attributes:
        run: The run's id.
        rounds: Rounds that it closed.
        left: Why it ended.
    """

    run: str
    rounds: int
    left: str


@dataclass(slots=True)
class _AggregateContext:
    """The state of one activation; nothing of it is needed to continue elsewhere.

    Attributes:
        records: The run's documents.
        invoker: Starts workers and the successor.
        clock: The activation's time.
        nonce: The random word of this execution.
        predecessor: The nonce of the execution that handed over to this one.
        cleanup: What is yet to be stored and deleted.
        position: The feed's position.
        state: The run, where this execution knows it without reading.
        stop: Whether a stop was requested.
        listing: Whether the round's updates have to be listed: another execution may have seen them arrive.
        swept: Whether leftovers of earlier rounds were deleted.
        closed: Rounds closed so far.
        typical_bytes: The bytes of one update in the round before.
        invoked_again: (round, shard, attempt) for which a worker was invoked again.
    """

    records: RunRecords
    invoker: Invoker
    clock: LeaseClock
    nonce: str
    predecessor: str
    cleanup: Cleanup
    position: str = ""
    state: RunState | None = None
    stop: bool = False
    listing: bool = True
    swept: bool = False
    closed: int = 0
    typical_bytes: int = 0
    invoked_again: set[tuple[int, int, int]] = field(default_factory=set)


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
    context = _AggregateContext(records, invoker, clock, nonce, after, Cleanup(records, timeouts))
    left, pause = None, timeouts.retry
    try:
        while left is None:
            try:
                left = _close_round(context)
                pause = timeouts.retry
            except StoreUnreachable:
                # Every pass starts from the store's state, so starting again is always correct.
                context.state = None
                if clock.out_of_time:
                    raise
                time.sleep(pause)
                pause = min(2 * pause, timeouts.retry_most)
        context.cleanup.wait()
    finally:
        context.cleanup.close()
    return {"run": run, "rounds": context.closed, "left": left}


def _close_round(context: _AggregateContext) -> str | None:
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
    left = _wait_until_complete(context, state, collected)
    if left is not None or context.state is None:
        return left

    began = time.time()
    try:
        closed = close(context.records, state, collected, context.stop)  # A3 and A4
    except StoreUnreachable:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it has to be recorded
        return _record_merge_failure(context, state, error)
    if closed is None:
        return _restart(context)
    if closed.following.kind == "finish":
        return _complete(context, state, collected, closed.following)
    return _open_next(context, state, collected, closed, began)


def _open_next(
    context: _AggregateContext, state: RunState, collected: CollectedRound, closed: ClosedRound, began: float
) -> str | None:
    """Put the next parameters, swap the run document, invoke workers and note what to clean up (A5 to A9)."""
    failpoint(Step.PUT_PARAMS)
    params = _put_next_params(context.records, state, closed)
    if params is None:
        return _restart(context)

    failpoint(Step.SWAP)
    following = next_state(state, closed.following, params.id, collected, clock=context.clock, nonce=context.nonce)
    swapped = context.records.swap(following)
    if swapped is None:
        return _restart(context)
    context.state = swapped
    context.closed += 1
    failpoint(Step.SWAPPED)

    failpoint(Step.INVOKE_WORKERS)
    _invoke(context, swapped, dead_slots(state.spec, swapped.leases, time.time(), context.clock.timeouts))

    context.cleanup.wait()
    if closed.optimizer_state is not None:
        keep_last_round(context.records, LastRound(swapped.round, params, closed.optimizer_state))
    _note_closed(context, swapped, closed, collected, params)
    context.clock.record_work(time.time() - began)
    if not context.clock.leased:
        return "the round is closed"
    return _leave(context, swapped) if context.clock.over else None


def _restart(context: _AggregateContext) -> str | None:
    """Another aggregate advanced the run: restart from A1."""
    context.state = None
    return "there is no time left" if context.clock.out_of_time else None


def _look(context: _AggregateContext) -> str | None:
    """Read the run (A1); why to leave, or None. What this execution itself has just written need not be read."""
    if context.state is not None:
        return None
    records = context.records
    context.position = records.position()
    found = {} if context.swept else records.round_documents()
    state = records.read()
    if state is None:
        sweep_absent(records)
        return "the run is absent"
    if state.final:
        finish(records)
        return f"the run is {state.status}"
    if state.round == 0 and RunArchive(records.store, records.run).summary() is not None:
        sweep_recreated(records, state.rev)
        return "the run has ended before"
    if not context.swept:
        # The run was read after the listing, so that nothing written since then is swept.
        failpoint(Step.SWEEP)
        going = sweepable(found, records.run, state)
        records.delete_documents(going, found)
        context.cleanup.add_existing({id_: found[id_] for id_ in found.keys() - set(going)})
        context.swept = True
    context.stop = records.stop_requested()
    context.clock.lease = state.spec.lease
    context.state, context.listing = state, True
    return None


def _wait_until_complete(context: _AggregateContext, state: RunState, collected: CollectedRound) -> str | None:
    """Wait for the round's updates (A2).

    Returns:
        Why to leave, or None: the round is complete, or the run has moved on (then the context has no state).
    """
    verdict = _judge(context, state, collected)
    while verdict.kind != "complete":
        if verdict.kind == "exhausted":
            return _fail(context, state, verdict)
        _invoke_again(context, state, collected, verdict)
        if context.clock.over or not context.clock.leased or _served_by_another(context, state):
            return _leave(context, state)
        rest = context.clock.bounded(verdict.until - time.time())
        result = wait_for_updates(context.records, state, collected, context.position, rest)
        context.position, context.stop = result.position, context.stop or result.stop
        if result.moved:
            return _restart(context)
        verdict = _judge(context, state, collected)
    return None


def _judge(context: _AggregateContext, state: RunState, collected: CollectedRound) -> Verdict:
    failures = context.records.failures(state.round) if collected.failures else []
    return judge(state, collected.present, failures, time.time(), context.clock.timeouts)


def _invoke_again(context: _AggregateContext, state: RunState, collected: CollectedRound, verdict: Verdict) -> None:
    """Record the failures that killed workers could not, and invoke what is missing again, once per attempt (A2)."""
    for shard in verdict.overdue:
        failpoint(Step.RECORD_LOST)
        attempt = verdict.attempts.get(shard, 0) + 1
        error = lost_error(shard, state, verdict.refused.get(shard))
        context.records.put_failure(state.round, Failure(shard, attempt, error, written=time.time()))
        collected.failures = True
    due = {shard: verdict.attempts.get(shard, 0) + (shard in verdict.overdue) for shard in verdict.missing}
    failed = {(state.round, shard, attempt) for shard, attempt in due.items() if 0 < attempt < state.spec.attempts}
    fresh = failed - context.invoked_again
    if fresh:
        if state.round:
            repair_params(context.records, state)
        failpoint(Step.INVOKE_AGAIN)
        context.invoked_again |= fresh
        slots = {slot_of(shard, state.spec.slots) for _, shard, _ in fresh} if state.round else {0}
        _invoke(context, state, tuple(sorted(slots)))


def _invoke(context: _AggregateContext, state: RunState, slots: tuple[int, ...]) -> None:
    """Invoke workers; without leases, no faster than the platform's rate allows."""
    clock, per_minute = context.clock, state.platform.get("invocations_per_minute")
    if slots and not clock.leased and per_minute:
        interval = (len(slots) + 1) * 60.0 / float(per_minute)
        spent = time.time() - clock.start
        remaining = clock.deadline - clock.timeouts.margin - time.time()
        time.sleep(max(min(interval - spent, remaining), 0.0))
    invoke_workers(context.records, context.invoker, state, slots)


def _served_by_another(context: _AggregateContext, state: RunState) -> bool:
    """Whether another aggregate, whose lease lives, serves the run."""
    return state.nonce not in (context.nonce, context.predecessor) and state.aggregate_lease > time.time()


def _leave(context: _AggregateContext, state: RunState) -> str:
    """Leave an incomplete round; at the lease's end invoke the successor, as the last act (W6)."""
    if not (context.clock.leased and context.clock.over):
        return "the round is not complete"
    if _served_by_another(context, state):
        return "another aggregate serves"
    context.cleanup.start()
    context.cleanup.wait()
    failpoint(Step.HAND_OVER)
    predecessor = context.nonce if state.nonce == context.nonce else context.predecessor
    try:
        context.invoker.invoke("aggregate", {"run": context.records.run, "after": predecessor})
    except PlatformError as error:
        return f"the lease is over; the successor could not be invoked: {error.message}"
    return "the lease is over; the successor is invoked"


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
    return records.put_params(id_, values, closed.following.history, parent=state.params, merged=merged)


def _note_closed(
    context: _AggregateContext, state: RunState, closed: ClosedRound, collected: CollectedRound, params: Params
) -> None:
    """Note what A8 and A9 have to store and delete after a round."""
    seen = {ids.update(state.run, collected.round, k): update.rev for k, update in collected.updates.items()}
    context.cleanup.add_existing({**seen, params.id: params.rev})
    needed = state.phase == "train" or state.point is not None
    optimizer_state = closed.optimizer_state if needed else None
    context.typical_bytes = collected.mean_bytes
    may_wait = context.clock.leased and state.phase == "train"
    context.cleanup.add_closed(state, optimizer_state, collected.nbytes, may_wait=may_wait)
    if not context.clock.leased:
        context.cleanup.wait()


def _complete(context: _AggregateContext, state: RunState, collected: CollectedRound, following: NextRound) -> str | None:
    """FINISH as the run was to end: its last evaluation is complete."""
    ending = following.ending or Ending("completed", "")
    entries = following.history.entries
    outcome = Outcome(time.time(), publish=state.params, metrics=following.metrics, history=entries)
    evaluated = replace(state, cost=cost_after(state, collected, context.clock), latest=following.latest)
    return _end(context, evaluated, FinalState(ending.status, ending.reason, outcome))


def _fail(context: _AggregateContext, state: RunState, verdict: Verdict) -> str | None:
    """FINISH as failed, or diverged: the first failing worker is named first, with its log."""
    cause = verdict.cause or Failure(MERGE, 0, TrainingError("").to_record())
    sentence = failure_sentence(cause, state)
    error: ErrorRecord = {**cause.error, "message": sentence}
    outcome = Outcome(time.time(), error=error, log=cause.log)
    if not cause.fatal and state.phase == "train":
        optimizer_state = ids.optimizer_state(state.run, state.round)
        state = replace(state, point=ResumePoint(state.round, state.params, optimizer_state, state.best))
    reason = f"{sentence} {cause.error['hint']}" if cause.error.get("code") == "worker_refused" else sentence
    return _end(context, state, FinalState("diverged" if cause.diverged else "failed", reason, outcome))


def _end(context: _AggregateContext, state: RunState, final: FinalState) -> str | None:
    context.cleanup.wait()
    context.state = None
    if not end(context.records, state, final, context.nonce):
        return None  # another aggregate advanced the run: restart from A1
    finish(context.records)
    return f"the run is {final.status}"


def _record_merge_failure(context: _AggregateContext, state: RunState, error: Exception) -> str | None:
    """Record that the merge itself failed, like a worker's failure, so that it ends the run after some attempts."""
    if isinstance(error, Damaged) and repair_params(context.records, state):
        return _restart(context)
    known = [f.attempt for f in context.records.failures(state.round) if f.shard == MERGE]
    failure = Failure.from_exception(MERGE, max(known, default=0) + 1, error, context.clock.execution)
    context.records.put_failure(state.round, failure)
    context.state = None
    return None
