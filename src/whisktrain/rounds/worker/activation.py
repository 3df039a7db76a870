"""WORKER: one slot's activation. It computes its shards of the open round and, while its lease lasts, of later rounds.

`serve` is the loop of one activation; `_serve_round` is one pass over the steps W1 to W6 of the protocol.
"""

from __future__ import annotations

import time
from typing import TypedDict

from whisktrain.errors import Conflict, Damaged, PlatformError, StoreRefused, StoreUnreachable
from whisktrain.records.cost import Idle, IdleRecords
from whisktrain.records.failures import Failure
from whisktrain.records.params import Params
from whisktrain.records.run import RunState
from whisktrain.records.run_records import RunRecords
from whisktrain.records.updates import Update
from whisktrain.rounds.caches import Checkout, blueprint_of, rows_of
from whisktrain.rounds.failpoints import Step, failpoint
from whisktrain.rounds.invoker import Invoker
from whisktrain.rounds.lease_clock import LeaseClock
from whisktrain.rounds.passes import run_passes
from whisktrain.rounds.stranded import end_if_stranded
from whisktrain.rounds.worker.building import build
from whisktrain.rounds.worker.context import WorkerContext
from whisktrain.rules import assignment, batches
from whisktrain.rules.timeouts import TIMEOUTS, Timeouts, backup_delay
from whisktrain.spec import Contribution, Learner, OpenModel, Phase
from whisktrain.store.protocol import Store

__all__ = ["WorkerResult", "serve"]

_models: Checkout[OpenModel] = Checkout(4)
_warm = False


class WorkerResult(TypedDict):
    """The answer of a worker activation.

    Attributes:
        run: The run's id.
        slot: The slot.
        rounds: Rounds that it served.
        updates: Updates that it wrote.
        left: Why it ended.
        successor: The activation that it handed the slot over to; "" where the slot has none; None where another activation
            serves it, or where it left for a reason that is in the store.
    """

    run: str
    slot: int
    rounds: int
    updates: int
    left: str
    successor: str | None


def serve(
    run: str,
    slot: int,
    *,
    store: Store,
    invoker: Invoker,
    learner: Learner,
    execution: str,
    deadline: float,
    successor: bool = False,
    timeouts: Timeouts = TIMEOUTS,
) -> WorkerResult:
    """Serve one slot of a run.

    Args:
        run: The run's id.
        slot: The slot, from 0: it serves the shards k with k mod W = slot.
        store: The store.
        invoker: Starts the successor.
        learner: Builds and opens models.
        execution: This activation's id.
        deadline: When the platform ends this activation, in seconds of the epoch.
        successor: Whether another activation of the slot handed over to this one.
        timeouts: The protocol's times.
    """
    global _warm
    clock = LeaseClock(execution, time.time(), deadline, timeouts)
    context = WorkerContext(RunRecords(store, run), invoker, learner, slot, successor, clock)
    context.cold, _warm = not _warm, True
    left = run_passes(lambda: _serve_round(context), context.forget, clock)
    if context.model is not None:
        _models.put(context.model_key, context.model)
    if not context.updates and not context.built:
        IdleRecords(store, run).put(Idle("worker", execution, clock.start, time.time()))
    return {
        "run": run,
        "slot": slot,
        "rounds": len(context.rounds),
        "updates": context.updates,
        "left": left,
        "successor": context.handed_over_to,
    }


def _serve_round(context: WorkerContext) -> str | None:
    """Serve the open round; why to leave, or None to continue."""
    if context.position is None:
        context.position = context.records.position()

    failpoint(Step.READ_RUN)
    # The feed has just brought the newest run document, where it has changed.
    state, context.changed = context.changed or context.records.read(), None
    if state is None or state.final:
        return "the run has ended"
    if context.slot >= state.spec.slots:
        return "the run has fewer slots"
    context.clock.lease = state.spec.lease
    if state.round == 0:
        return _build(context, state)

    failpoint(Step.READ_PARAMS)
    try:
        params = _read_params(context, state)
    except Damaged as error:
        return _fail(context, state, min(context.slot, state.spec.shards - 1), error)
    if params is None:  # the run has moved on: back to W1
        _wait_for_change(context, context.clock.bounded(context.clock.timeouts.backup))
        return _give_up(context, "there is no time left") if context.clock.out_of_time else None

    failpoint(Step.COMPUTE)
    own = _shards_to_compute(context, state)
    if own is None:
        return "there is nothing left to do"
    left = _compute(context, state, params, own)
    context.rounds.add(state.round)
    if left is not None:
        return left
    if not context.clock.leased:
        return "the round is served"
    return _wait(context, state, params)


def _read_params(context: WorkerContext, state: RunState) -> Params | None:
    """The parameters of the open round (W2); None where they are gone."""
    if context.params is None or context.params.id != state.params:
        context.params = context.records.read_params(state.params)
    return context.params


def _shards_to_compute(context: WorkerContext, state: RunState) -> tuple[int, ...] | None:
    """The slot's shards without an update (W3); None where there is nothing left to do for this activation."""
    own = assignment.owned(context.slot, state.spec.slots, state.spec.shards)
    if context.rounds:
        return own
    authors = context.records.authors(state.round)
    lacking = tuple(k for k in own if k not in authors)
    # An activation that is silently run twice finds its own updates, and stays; so does one whose part others made good.
    repeated = any(author.execution == context.clock.execution for author in authors.values())
    served = any(authors[k].slot == context.slot for k in own if k in authors)
    return lacking if lacking or context.successor or repeated or not served else None


def _build(context: WorkerContext, state: RunState) -> str | None:
    """Round 0: slot 0 builds the model; the other slots have nothing to do yet."""
    if context.slot != 0:
        return "the model is not built yet"
    began = time.time()
    builds, stays = not context.records.built(state), True
    if builds:
        try:
            stays = build(context.records, state, context.learner, context.clock)
            context.built = True
        except StoreUnreachable:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it has to be recorded
            return _fail(context, state, 0, error)
        context.clock.record_work(time.time() - began)
    if not context.clock.leased:
        return "the model is built"
    if not stays:
        return "the model is built; a container with more memory serves its rounds"
    # It stays for the rounds even if others have computed its shards meanwhile.
    context.successor = True
    while not context.clock.over:
        if _wait_for_change(context, context.clock.bounded(context.clock.timeouts.poll)) and (
            not _is_open_still(context, state)
        ):
            return None
        _look_for_aggregate(context, state)
    if not builds:
        return _give_up(context, "the lease is over and nothing has moved")
    return _hand_over(context)


def _compute(
    context: WorkerContext, state: RunState, params: Params, own: tuple[int, ...]
) -> str | None:
    """Compute some shards and put their updates (W3 and W4); why to leave, or None."""
    for shard in own:
        began = time.time()
        try:
            contribution, ms = _contribute(context, state, params, shard)
        except StoreUnreachable:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it has to be recorded
            return _fail(context, state, shard, error)
        if contribution is None:
            return "the run has ended"
        context.clock.begin_serving()
        failpoint(Step.PUT_UPDATE)
        try:
            fresh = _put_update(context, state, shard, contribution, ms)
        except StoreRefused as error:
            return _fail(context, state, shard, error)
        if not fresh:
            author = context.records.author(state.round, shard)
            failpoint(Step.UPDATE_WRITTEN)
            if (
                author is not None
                and author.slot == context.slot
                and author.execution != context.clock.execution
            ):
                return "another activation serves this slot"
            continue
        context.clock.record_work(time.time() - began)
        failpoint(Step.UPDATE_WRITTEN)
    return None


def _put_update(
    context: WorkerContext,
    state: RunState,
    shard: int,
    contribution: Contribution,
    ms: dict[str, float],
) -> bool:
    """Put an update (W4); False where the shard has one already."""
    update = Update(
        shard=shard,
        slot=context.slot,
        execution=context.clock.execution,
        start=context.clock.start,
        lease_end=context.clock.lease_end,
        ms={**ms, "write": context.last_write_ms},
        cold=context.cold,
        contribution=contribution,
        written=time.time(),
    )
    context.cold = False
    began = time.perf_counter()
    try:
        context.records.put_update(state.round, update)
    except Conflict:
        return False
    context.last_write_ms = (time.perf_counter() - began) * 1000
    context.updates += 1
    return True


def _contribute(
    context: WorkerContext, state: RunState, params: Params, shard: int
) -> tuple[Contribution | None, dict[str, float]]:
    """A shard's contribution and the milliseconds it took; None where the model is gone: the run has ended."""
    began = time.perf_counter()
    rows, validation = rows_of(context.records.store, state.spec.dataset, shard)
    if context.model is None:
        context.model = _models.take(context.model_key)
    if context.model is None:
        blueprint = blueprint_of(context.records)
        if blueprint is None:
            return None, {}
        context.model = context.learner.open(state.spec, blueprint)
    phase: Phase = "evaluate" if state.phase == "evaluate" else "train"
    work = batches.work(state.spec, state.round, phase, shard)
    read = time.perf_counter()
    contribution = context.model.contribute(params.tensors, work, rows, validation)
    contribution.check_finite(state.round, shard)
    return contribution, {
        "read": (read - began) * 1000,
        "compute": (time.perf_counter() - read) * 1000,
    }


def _fail(context: WorkerContext, state: RunState, shard: int, error: Exception) -> str:
    """Record a failure (W3). This process may be broken, so it leaves; the shard is invoked again."""
    failpoint(Step.PUT_FAILURE)
    context.model = None
    known = [f.attempt for f in context.records.failures(state.round) if f.shard == shard]
    failure = Failure.from_exception(
        shard, max(known, default=0) + 1, error, context.clock.execution
    )
    try:
        context.records.put_failure(state.round, failure)
    except StoreRefused as refused:
        # Not even that is taken: the activation's record says why.
        raise (error if isinstance(error, StoreRefused) else refused) from None
    return f"shard {shard} failed: {failure.error['message']}"


def _wait(context: WorkerContext, state: RunState, params: Params) -> str | None:
    """Wait for the next round, as a backup for missing shards after a delay (W5); hand over at the lease's end (W6)."""
    clock = context.clock
    backup_at = time.time() + backup_delay(state, clock.timeouts)
    time.sleep(clock.bounded(context.poll_delay.start()))
    while not clock.over:
        rest = max(backup_at - time.time(), 0.0) if backup_at else clock.timeouts.poll
        if _wait_for_change(context, clock.bounded(rest)) and not _is_open_still(context, state):
            context.poll_delay.stop()
            return None
        _look_for_aggregate(context, state)
        if backup_at and time.time() >= backup_at:
            failpoint(Step.BACKUP)
            lacking = _missing(context, state)
            if lacking is None:
                return None  # the run has moved on: back to W1
            left = _compute(context, state, params, lacking[:1])
            if left is not None:
                return left
            backup_at = time.time() if len(lacking) > 1 else 0.0
    if len(context.rounds) <= 1 and not context.updates:
        return _give_up(context, "the lease is over and nothing has moved")
    return _hand_over(context)


def _missing(context: WorkerContext, state: RunState) -> tuple[int, ...] | None:
    """The shards without an update, those after this slot's number first; None where the run has moved on."""
    lacking = assignment.missing(
        state.round, state.spec.shards, context.records.authors(state.round)
    )
    newest = context.records.read()
    if newest is None or newest.final or newest.round != state.round:
        return None
    after = tuple(k for k in lacking if k >= context.slot)
    return after + tuple(k for k in lacking if k < context.slot)


def _hand_over(context: WorkerContext) -> str:
    """Invoke the slot's successor, as the last act (W6)."""
    failpoint(Step.HAND_OVER)
    try:
        context.handed_over_to = context.invoker.invoke(
            "worker", {"run": context.records.run, "slot": context.slot, "successor": True}
        )
    except PlatformError as error:
        why = f"the lease is over; the successor could not be invoked: {error.message}"
        return _give_up(context, why)
    return "the lease is over; the successor is invoked"


def _give_up(context: WorkerContext, why: str) -> str:
    """Leave the slot without a successor."""
    context.handed_over_to = ""
    return why


def _is_open_still(context: WorkerContext, state: RunState) -> bool:
    """Whether the change of the run document was none of its round: an aggregate noted an invocation in it."""
    newest = context.changed
    if newest is None or newest.final or newest.round != state.round:
        return False
    context.changed = None
    return True


def _wait_for_change(context: WorkerContext, seconds: float) -> bool:
    """Wait until the run document changes, at most `seconds`; whether it did."""
    context.unmoved_since = context.unmoved_since or time.time()
    change = context.records.wait_for_run(context.position or "0", seconds)
    context.position, context.changed = change.position, change.state
    if change.changed:
        context.unmoved_since = 0.0
    return change.changed


def _look_for_aggregate(context: WorkerContext, state: RunState) -> None:
    """End the run where its round has waited for an aggregate for long, and the platform says why none comes."""
    now = time.time()
    if now - context.unmoved_since >= context.clock.timeouts.stranded:
        since, context.unmoved_since = context.unmoved_since, now
        end_if_stranded(context.records, context.invoker, state, since, context.clock.timeouts)
