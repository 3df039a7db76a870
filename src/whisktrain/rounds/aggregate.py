"""AGGREGATE: it closes rounds. It waits for every shard, merges, opens the next round and invokes who is needed for it.

`serve` is the loop of one activation; `_round` is one pass over the steps A1 to A9 of the protocol.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field, replace
from typing import Any

from whisktrain.errors import Damaged, ErrorRecord, PlatformError, StoreUnreachable, TrainingError
from whisktrain.records import ids
from whisktrain.records.failures import Failure, failures_of_round
from whisktrain.records.params import Params, create, put_params, read_params
from whisktrain.records.run import Ending, Outcome, ResumePoint, RunState, read_state
from whisktrain.rounds.cleanup import Cleaning
from whisktrain.rounds.closing import Closed, close, counted, next_round, opened
from whisktrain.rounds.collecting import Gathered, gather, listen
from whisktrain.rounds.failpoints import failpoint
from whisktrain.rounds.finish import Final, end, finish
from whisktrain.rounds.invoker import Invoker
from whisktrain.rounds.lease_clock import LeaseClock
from whisktrain.rounds.optimizer_state import Kept, keep
from whisktrain.rounds.refusals import invoke_workers
from whisktrain.rounds.repair import repair_params
from whisktrain.rounds.swap import swap
from whisktrain.rounds.sweep import dated, sweep_absent, sweep_recreated
from whisktrain.rules import closing
from whisktrain.rules.closing import Verdict
from whisktrain.rules.next_round import Next
from whisktrain.rules.timeouts import TIMEOUTS, Timeouts
from whisktrain.store.protocol import Store

__all__ = ["serve"]


@dataclass(slots=True)
class _Desk:
    """What one activation holds; nothing of it is needed to go on elsewhere."""

    store: Store
    invoker: Invoker
    run: str
    shift: LeaseClock
    nonce: str
    after: str
    cleaning: Cleaning
    position: str = ""
    state: RunState | None = None
    stop: bool = False
    listing: bool = True
    swept: bool = False
    closed: int = 0
    usual: int = 0
    again: set[tuple[int, int, int]] = field(default_factory=set)


def serve(
    run: str, *, store: Store, invoker: Invoker, execution: str, deadline: float, after: str = "", pace: Timeouts = TIMEOUTS
) -> dict[str, Any]:
    """Close the rounds of a run for as long as the lease lasts; without one, at most one round.

    Args:
        run: The run's id.
        store: The store.
        invoker: Starts workers and the successor.
        execution: This activation's id.
        deadline: When the platform ends this activation, in seconds of the epoch.
        after: The word of the execution that handed over to this one: what is left of its lease is this one's.
        pace: How long things may take.

    Returns:
        `{"run", "rounds", "left"}`: how many rounds were closed, and why it left.
    """
    shift = LeaseClock(execution, time.time(), deadline, pace)
    # The nonce must differ between executions, also of one activation that is silently run twice; nothing is drawn from it.
    desk = _Desk(store, invoker, run, shift, secrets.token_hex(8), after, Cleaning(store, pace))
    left, pause = None, pace.retry
    try:
        while left is None:
            try:
                left = _round(desk)
                pause = pace.retry
            except StoreUnreachable:
                # Everything starts from the store's state, so starting over is always right.
                desk.state = None
                if shift.out_of_time:
                    raise
                time.sleep(pause)
                pause = min(2 * pause, 2.0)
        desk.cleaning.settle()
    finally:
        desk.cleaning.close()
    return {"run": run, "rounds": desk.closed, "left": left}


def _round(desk: _Desk) -> str | None:
    """One pass over the steps; why to leave, or None to go on."""
    store, run = desk.store, desk.run

    failpoint("A1")
    left = _look(desk)
    state = desk.state
    if left is not None or state is None:
        return left

    failpoint("A2")
    gathered = gather(store, state) if desk.listing else Gathered(state.round, usual=desk.usual)
    desk.listing = False
    verdict = _verdict(desk, state, gathered)
    while verdict.kind != "complete":
        if verdict.kind == "exhausted":
            return _fail(desk, state, verdict)
        _invoke_again(desk, state, gathered, verdict)
        if desk.shift.over or not _holds(desk, state):
            return _leave(desk, state)
        heard = listen(store, state, gathered, desk.position, desk.shift.rest(verdict.until - time.time()))
        desk.position, desk.stop = heard.position, desk.stop or heard.stop
        if heard.moved:
            return _afresh(desk)
        verdict = _verdict(desk, state, gathered)

    began = time.time()
    try:
        closed = close(store, state, gathered, desk.stop)  # A3 and A4
    except StoreUnreachable:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it has to be told
        return _merge_failed(desk, state, error)
    if closed is None:
        return _afresh(desk)
    if closed.step.kind == "finish":
        return _complete(desk, state, gathered, closed.step)

    failpoint("A5")
    params = _put_next(store, state, closed)
    if params is None:
        return _afresh(desk)

    failpoint("A6")
    swapped = swap(store, opened(state, closed.step, params.id, gathered, shift=desk.shift, nonce=desk.nonce))
    if swapped is None:
        return _afresh(desk)
    desk.state = swapped
    desk.closed += 1
    failpoint("A6.swapped")

    failpoint("A7")
    _invoke(desk, swapped, closing.dead_slots(state.spec, swapped.leases, time.time(), desk.shift.pace))

    desk.cleaning.settle()
    if closed.moments is not None:
        keep(store, run, Kept(swapped.round, params, closed.moments))
    _clean(desk, swapped, closed, gathered, params)
    desk.shift.worked(time.time() - began)
    if not desk.shift.leased:
        return "the round is closed"
    return _leave(desk, swapped) if desk.shift.over else None


def _afresh(desk: _Desk) -> str | None:
    """Back to A1: the run has moved on without this execution."""
    desk.state = None
    return "there is no time left" if desk.shift.out_of_time else None


def _look(desk: _Desk) -> str | None:
    """A1: where the run is; why to leave, or None. What this execution itself has just written need not be read."""
    store, run = desk.store, desk.run
    if desk.state is not None:
        return None
    desk.position = store.rounds.changes(None).position
    found = {} if desk.swept else dated(store, run)
    state = read_state(store, run)
    if state is None:
        sweep_absent(store, run)
        return "the run is absent"
    if state.final:
        finish(store, run)
        return f"the run is {state.status}"
    if state.round == 0 and store.library.get(ids.summary(run)) is not None:
        sweep_recreated(store, run, state.rev)
        return "the run has ended before"
    if not desk.swept:
        # The run was read after the listing: what has been written since belongs to rounds that are not swept.
        failpoint("SWEEP")
        going = closing.sweepable(found, run, state)
        store.rounds.delete_many(going, known=found)
        desk.cleaning.found({id_: rev for id_, rev in found.items() if id_ not in set(going)})
        desk.swept = True
    desk.stop = store.rounds.get(ids.stop(run)) is not None
    desk.shift.lease = state.spec.lease
    desk.state, desk.listing = state, True
    return None


def _verdict(desk: _Desk, state: RunState, gathered: Gathered) -> Verdict:
    failures = failures_of_round(desk.store, desk.run, state.round) if gathered.failures else []
    return closing.judge(state, gathered.present, failures, time.time(), desk.shift.pace)


def _invoke_again(desk: _Desk, state: RunState, gathered: Gathered, verdict: Verdict) -> None:
    """A2: put the failure documents that killed workers could not, and invoke what is missing again, once per attempt."""
    for shard in verdict.overdue:
        failpoint("A2.lost")
        attempt = verdict.attempts.get(shard, 0) + 1
        lost = Failure(shard, attempt, closing.lost_error(shard, state, verdict.refused.get(shard)), written=time.time())
        create(desk.store, ids.failure(desk.run, state.round, shard, attempt), lost.to_body())
        gathered.failures = True
    due = {shard: verdict.attempts.get(shard, 0) + (shard in verdict.overdue) for shard in verdict.missing}
    fresh = {(state.round, shard, n) for shard, n in due.items() if 0 < n < state.spec.attempts} - desk.again
    if fresh:
        if state.round:
            repair_params(desk.store, state)
        failpoint("A2.again")
        desk.again |= fresh
        slots = {0} if state.round == 0 else {closing.slot_of(shard, state.spec.slots) for _, shard, _ in fresh}
        _invoke(desk, state, tuple(sorted(slots)))


def _invoke(desk: _Desk, state: RunState, slots: tuple[int, ...]) -> None:
    """Invoke workers; without leases, no faster than the platform's rate allows."""
    per_minute = state.platform.get("invocations_per_minute")
    if slots and not desk.shift.leased and per_minute:
        least = (len(slots) + 1) * 60.0 / float(per_minute)
        spent = time.time() - desk.shift.start
        time.sleep(max(min(least - spent, desk.shift.deadline - desk.shift.pace.margin - time.time()), 0.0))
    invoke_workers(desk.store, desk.invoker, state, slots)


def _holds(desk: _Desk, state: RunState) -> bool:
    """Whether to wait for the round: only with a lease, and not beside another aggregate whose lease lives."""
    return desk.shift.leased and not _served(desk, state)


def _served(desk: _Desk, state: RunState) -> bool:
    """Whether another aggregate, whose lease lives, serves the run."""
    return state.nonce not in (desk.nonce, desk.after) and state.aggregate_lease > time.time()


def _leave(desk: _Desk, state: RunState) -> str:
    """W6 for the aggregate: as its last act it invokes its successor, where it is the one that serves."""
    if not (desk.shift.leased and desk.shift.over):
        return "the round is not complete"
    if _served(desk, state):
        return "another aggregate serves"
    desk.cleaning.begin()
    desk.cleaning.settle()
    failpoint("W6")
    try:
        desk.invoker.invoke("aggregate", {"run": desk.run, "after": desk.nonce if state.nonce == desk.nonce else desk.after})
    except PlatformError as error:
        return f"the lease is over; the successor could not be invoked: {error.message}"
    return "the lease is over; the successor is invoked"


def _put_next(store: Store, state: RunState, closed: Closed) -> Params | None:
    """A5: the parameters of the next round; None where those to copy are gone."""
    id_ = ids.params(state.run, next_round(state))
    if state.round == 0:
        return read_params(store, id_)
    tensors, merged = closed.params, tuple(range(state.spec.shards))
    if tensors is None:
        best = closed.step.best if closed.step.tensors == "best" else None
        source = read_params(store, best.params if best is not None else state.params)
        if source is None:
            return None
        tensors, merged = source.tensors, ()
    return put_params(store, id_, tensors, closed.step.story, parent=state.params, merged=merged)


def _clean(desk: _Desk, state: RunState, closed: Closed, gathered: Gathered, params: Params) -> None:
    """Note what A8 and A9 have to do after a round."""
    seen = {ids.update(desk.run, gathered.round, k): update.rev for k, update in gathered.updates.items()}
    desk.cleaning.found({**seen, params.id: params.rev})
    moments = closed.moments if state.phase == "train" or state.point is not None else None
    desk.usual = gathered.size // max(len(gathered.updates), 1)
    desk.cleaning.closed(state, moments, gathered.size, patient=desk.shift.leased and state.phase == "train")
    if not desk.shift.leased:
        desk.cleaning.settle()


def _complete(desk: _Desk, state: RunState, gathered: Gathered, step: Next) -> str | None:
    """The last evaluation is complete: FINISH as the run was to end."""
    ending = step.ending or Ending("completed", "")
    outcome = Outcome(time.time(), publish=state.params, metrics=step.metrics, history=step.story.history)
    evaluated = replace(state, cost=counted(state, gathered, desk.shift), latest=step.latest)
    return _end(desk, evaluated, Final(ending.status, ending.reason, outcome))


def _fail(desk: _Desk, state: RunState, verdict: Verdict) -> str | None:
    """FINISH as failed, or diverged: the first failing worker is named first, with its log."""
    unknown = TrainingError("").to_record()
    cause = verdict.cause or Failure(closing.MERGE, 0, unknown)
    sentence = closing.failure_sentence(cause, state)
    error: ErrorRecord = {**cause.error, "message": sentence}
    outcome = Outcome(time.time(), error=error, log=cause.log)
    if not cause.fatal and state.phase == "train":
        point = ResumePoint(state.round, state.params, ids.moments(desk.run, state.round), state.best)
        state = replace(state, point=point)
    reason = f"{sentence} {cause.error['hint']}" if cause.error.get("code") == "worker_refused" else sentence
    return _end(desk, state, Final("diverged" if cause.diverged else "failed", reason, outcome))


def _end(desk: _Desk, state: RunState, final: Final) -> str | None:
    desk.cleaning.settle()
    desk.state = None
    if not end(desk.store, state, final, desk.nonce):
        return None  # further on: A1
    finish(desk.store, desk.run)
    return f"the run is {final.status}"


def _merge_failed(desk: _Desk, state: RunState, error: Exception) -> str | None:
    """The merge itself failed: told like a worker's failure, so that it ends the run instead of being tried for ever."""
    if isinstance(error, Damaged) and repair_params(desk.store, state):
        return _afresh(desk)
    known = [f.attempt for f in failures_of_round(desk.store, desk.run, state.round) if f.shard == closing.MERGE]
    failure = Failure.of(closing.MERGE, max(known, default=0) + 1, error, desk.shift.execution)
    create(desk.store, ids.failure(desk.run, state.round, closing.MERGE, failure.attempt), failure.to_body())
    desk.state = None
    return None
