"""Waiting for a round's updates, invoking what is missing again, and leaving (A2, A7 and W6 of the aggregate)."""

from __future__ import annotations

import time
from dataclasses import replace

from whisktrain.errors import PlatformError
from whisktrain.records.failures import Failure
from whisktrain.records.run import RunState
from whisktrain.rounds.activations import Lost
from whisktrain.rounds.aggregate.closing import cost_of_lost
from whisktrain.rounds.aggregate.collecting import CollectedRound, wait_for_updates
from whisktrain.rounds.aggregate.context import AggregateContext
from whisktrain.rounds.aggregate.endings import fail, restart
from whisktrain.rounds.aggregate.repair import repair_params
from whisktrain.rounds.failpoints import Step, failpoint
from whisktrain.rounds.fitting import give_more_memory
from whisktrain.rounds.invoker import invoke_workers
from whisktrain.rules.assignment import slot_of
from whisktrain.rules.leases import invoked
from whisktrain.rules.verdict import OUT_OF_MEMORY, Verdict, judge, lost_error

__all__ = ["invoke", "leave", "wait_until_complete"]


def wait_until_complete(
    context: AggregateContext, state: RunState, collected: CollectedRound
) -> str | None:
    """Wait for the round's updates (A2).

    Returns:
        Why to leave, or None: the round is complete, or the run has moved on (then the context has no state).
    """
    lost: dict[int, Lost] = {}
    verdict = _judge(context, state, collected, lost)
    while verdict.kind != "complete":
        if verdict.kind == "exhausted":
            return fail(context, state, verdict)
        if verdict.kind == "again":
            claimed = _invoke_again(context, state, collected, verdict, lost)
            if claimed is None:
                return restart(context)
            state = context.state = claimed
        if context.clock.over or not context.clock.leased or _served_by_another(context, state):
            return leave(context, state)
        due = min(verdict.until, context.activations.next_look())
        rest = context.clock.bounded(due - time.time())
        result = wait_for_updates(context.records, state, collected, context.position, rest)
        context.position, context.stop = result.position, context.stop or result.stop
        if result.moved:
            return restart(context)
        verdict = _judge(context, state, collected, lost)
    return None


def _judge(
    context: AggregateContext, state: RunState, collected: CollectedRound, lost: dict[int, Lost]
) -> Verdict:
    """Judge the round by the store, and by what the platform knows of the activations that are waited for.

    Args:
        context: The activation's state.
        state: The run.
        collected: The round's updates.
        lost: Is filled with the missing shards whose activation has ended.
    """
    failures = context.records.failures(state.round) if collected.failures else []
    now, timeouts = time.time(), context.clock.timeouts
    verdict = judge(state, collected.present, failures, now, timeouts)
    if verdict.kind != "waiting":
        return verdict
    known = {failure.execution for failure in failures}
    found = context.activations.lost(state, verdict.missing, now, timeouts)
    lost.clear()
    lost |= {shard: each for shard, each in found.items() if each.activation not in known}
    return judge(state, collected.present, failures, now, timeouts, lost) if lost else verdict


def _invoke_again(
    context: AggregateContext,
    state: RunState,
    collected: CollectedRound,
    verdict: Verdict,
    lost: dict[int, Lost],
) -> RunState | None:
    """Record the failures that killed workers could not, and invoke what is missing again, once per attempt (A2).

    The invocation is noted in the run document first, by compare-and-swap, so that of several aggregates one makes it, and
    serves the run from then on.

    Returns:
        The run; None where another execution has advanced it, or has noted the same.
    """
    attempts = dict(verdict.attempts)
    for shard in verdict.overdue:
        failpoint(Step.RECORD_LOST)
        attempts[shard] = attempts.get(shard, 0) + 1
        ended = lost.get(shard)
        error = lost_error(shard, state, verdict.refused.get(shard), ended.error if ended else None)
        activation = ended.activation if ended is not None else ""
        failure = Failure(shard, attempts[shard], error, execution=activation, written=time.time())
        context.records.put_failure(state.round, failure)
        collected.failures = True
    due = (*verdict.overdue, *verdict.unanswered)
    again = [shard for shard in due if attempts[shard] < state.spec.attempts]
    slots = sorted({slot_of(shard, state.spec.slots) if state.round else 0 for shard in again})
    if not slots:
        return state
    if state.round:
        repair_params(context.records, state)
    if any(each.error and each.error["code"] == OUT_OF_MEMORY for each in lost.values()):
        state = give_more_memory(context.invoker, state, "worker")
    failpoint(Step.CLAIM)
    cost = cost_of_lost(state, context.records.failures(state.round), again)
    starts = invoked(state.starts, slots, time.time())
    lease_end = context.clock.lease_end
    claimed = context.records.swap(
        replace(state, starts=starts, cost=cost, nonce=context.nonce, aggregate_lease=lease_end)
    )
    if claimed is None:
        return None
    failpoint(Step.INVOKE_AGAIN)
    invoke(context, claimed, tuple(slots))
    return claimed


def invoke(context: AggregateContext, state: RunState, slots: tuple[int, ...]) -> None:
    """Invoke workers; without leases, no faster than the platform's rate allows."""
    clock, per_minute = context.clock, state.platform.get("invocations_per_minute")
    if slots and not clock.leased and per_minute:
        interval = (len(slots) + 1) * 60.0 / float(per_minute)
        spent = time.time() - clock.start
        remaining = clock.deadline - clock.timeouts.margin - time.time()
        time.sleep(max(min(interval - spent, remaining), 0.0))
    context.activations.invoked |= invoke_workers(context.records, context.invoker, state, slots)


def _served_by_another(context: AggregateContext, state: RunState) -> bool:
    """Whether another aggregate, whose lease lives, serves the run."""
    return (
        state.nonce not in (context.nonce, context.predecessor)
        and state.aggregate_lease > time.time()
    )


def leave(context: AggregateContext, state: RunState) -> str:
    """Leave an incomplete round; at the lease's end invoke the successor, as the last act (W6).

    One that has closed no round does not: the follower fires once there is something to do.
    """
    if not (context.clock.leased and context.clock.over):
        return "the round is not complete"
    if _served_by_another(context, state):
        return "another aggregate serves"
    if not context.closed:
        return "the lease is over and nothing has moved"
    context.cleanup.start()
    context.cleanup.wait()
    failpoint(Step.HAND_OVER)
    predecessor = context.nonce if state.nonce == context.nonce else context.predecessor
    try:
        context.invoker.invoke("aggregate", {"run": context.records.run, "after": predecessor})
    except PlatformError as error:
        return f"the lease is over; the successor could not be invoked: {error.message}"
    return "the lease is over; the successor is invoked"
