"""Waiting for a round's updates, invoking what is missing again, and leaving (A2, A7 and W6 of the aggregate)."""

from __future__ import annotations

import time

from whisktrain.errors import PlatformError
from whisktrain.records.failures import Failure
from whisktrain.records.run import RunState
from whisktrain.rounds.aggregate.collecting import CollectedRound, wait_for_updates
from whisktrain.rounds.aggregate.context import AggregateContext
from whisktrain.rounds.aggregate.endings import fail, restart
from whisktrain.rounds.aggregate.repair import repair_params
from whisktrain.rounds.failpoints import Step, failpoint
from whisktrain.rounds.invoker import invoke_workers
from whisktrain.rules.assignment import slot_of
from whisktrain.rules.verdict import Verdict, judge, lost_error

__all__ = ["invoke", "leave", "wait_until_complete"]


def wait_until_complete(
    context: AggregateContext, state: RunState, collected: CollectedRound
) -> str | None:
    """Wait for the round's updates (A2).

    Returns:
        Why to leave, or None: the round is complete, or the run has moved on (then the context has no state).
    """
    verdict = _judge(context, state, collected)
    while verdict.kind != "complete":
        if verdict.kind == "exhausted":
            return fail(context, state, verdict)
        _invoke_again(context, state, collected, verdict)
        if context.clock.over or not context.clock.leased or _served_by_another(context, state):
            return leave(context, state)
        rest = context.clock.bounded(verdict.until - time.time())
        result = wait_for_updates(context.records, state, collected, context.position, rest)
        context.position, context.stop = result.position, context.stop or result.stop
        if result.moved:
            return restart(context)
        verdict = _judge(context, state, collected)
    return None


def _judge(context: AggregateContext, state: RunState, collected: CollectedRound) -> Verdict:
    failures = context.records.failures(state.round) if collected.failures else []
    return judge(state, collected.present, failures, time.time(), context.clock.timeouts)


def _invoke_again(
    context: AggregateContext, state: RunState, collected: CollectedRound, verdict: Verdict
) -> None:
    """Record the failures that killed workers could not, and invoke what is missing again, once per attempt (A2)."""
    for shard in verdict.overdue:
        failpoint(Step.RECORD_LOST)
        attempt = verdict.attempts.get(shard, 0) + 1
        error = lost_error(shard, state, verdict.refused.get(shard))
        context.records.put_failure(
            state.round, Failure(shard, attempt, error, written=time.time())
        )
        collected.failures = True
    due = {
        shard: verdict.attempts.get(shard, 0) + (shard in verdict.overdue)
        for shard in verdict.missing
    }
    failed = {
        (state.round, shard, attempt)
        for shard, attempt in due.items()
        if 0 < attempt < state.spec.attempts
    }
    fresh = failed - context.invoked_again
    if fresh:
        if state.round:
            repair_params(context.records, state)
        failpoint(Step.INVOKE_AGAIN)
        context.invoked_again |= fresh
        slots = {slot_of(shard, state.spec.slots) for _, shard, _ in fresh} if state.round else {0}
        invoke(context, state, tuple(sorted(slots)))


def invoke(context: AggregateContext, state: RunState, slots: tuple[int, ...]) -> None:
    """Invoke workers; without leases, no faster than the platform's rate allows."""
    clock, per_minute = context.clock, state.platform.get("invocations_per_minute")
    if slots and not clock.leased and per_minute:
        interval = (len(slots) + 1) * 60.0 / float(per_minute)
        spent = time.time() - clock.start
        remaining = clock.deadline - clock.timeouts.margin - time.time()
        time.sleep(max(min(interval - spent, remaining), 0.0))
    invoke_workers(context.records, context.invoker, state, slots)


def _served_by_another(context: AggregateContext, state: RunState) -> bool:
    """Whether another aggregate, whose lease lives, serves the run."""
    return (
        state.nonce not in (context.nonce, context.predecessor)
        and state.aggregate_lease > time.time()
    )


def leave(context: AggregateContext, state: RunState) -> str:
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
