"""How a pass of an aggregate ends early: the run has moved on, failed, or is complete."""

from __future__ import annotations

import time
from dataclasses import replace

from whisktrain.errors import Damaged, ErrorRecord, StoreRefused, TrainingError
from whisktrain.records import ids
from whisktrain.records.failures import MERGE, Failure
from whisktrain.records.run import Ending, Outcome, ResumePoint, RunState
from whisktrain.rounds.aggregate.closing import cost_after, cost_of_lost, whole_cost
from whisktrain.rounds.aggregate.collecting import CollectedRound
from whisktrain.rounds.aggregate.context import AggregateContext
from whisktrain.rounds.aggregate.finish import FinalState, end, finish
from whisktrain.rounds.aggregate.repair import repair_params
from whisktrain.rules.next_round import NextRound
from whisktrain.rules.verdict import NOT_REACHED, Verdict, failure_sentence

__all__ = ["complete", "fail", "record_aggregate_failure", "record_merge_failure", "restart"]


def restart(context: AggregateContext) -> str | None:
    """Another aggregate advanced the run: restart from A1."""
    context.forget()
    return "there is no time left" if context.clock.out_of_time else None


def complete(
    context: AggregateContext, state: RunState, collected: CollectedRound, following: NextRound
) -> str | None:
    """FINISH as the run was to end: its last evaluation is complete."""
    ending = following.ending or Ending("completed", "")
    history = context.records.history.put_blocks(following.history)
    outcome = Outcome(time.time(), publish=state.params, metrics=following.metrics, history=history)
    evaluated = replace(
        state, cost=cost_after(state, collected, context.clock), latest=following.latest
    )
    return _end(context, evaluated, FinalState(ending.status, ending.reason, outcome))


def fail(context: AggregateContext, state: RunState, verdict: Verdict) -> str | None:
    """FINISH as failed, or diverged: the first failing worker is named first, with its log."""
    cause = verdict.cause or Failure(MERGE, 0, TrainingError("").to_record())
    sentence = failure_sentence(cause, state)
    error: ErrorRecord = {**cause.error, "message": sentence}
    state = replace(state, point=_point_after(state, cause))
    if cause.diverged and state.point is not None:
        error["hint"] = f"{error['hint']} {_resume_hint(state, state.point)}"
    lost = cost_of_lost(state, context.records.failures(state.round), verdict.missing)
    state = replace(state, cost=lost)
    outcome = Outcome(time.time(), error=error, log=cause.log)
    reason = (
        f"{sentence} {cause.error['hint']}"
        if cause.error.get("code") in ("worker_refused", *NOT_REACHED)
        else sentence
    )
    return _end(
        context, state, FinalState("diverged" if cause.diverged else "failed", reason, outcome)
    )


def _point_after(state: RunState, cause: Failure) -> ResumePoint | None:
    """Where a failed run may be resumed: at its open round; in an evaluation, or where it diverged, at its fallback.

    A request that cannot be done cannot be done later either.
    """
    if not cause.resumable:
        return state.point
    moments = ids.optimizer_state(state.run, state.round)
    here = ResumePoint(state.round, state.params, moments, state.best)
    if state.phase == "train" and not (cause.diverged and state.fallback):
        return here
    return state.fallback or state.point


def _resume_hint(state: RunState, point: ResumePoint) -> str:
    rate = float(state.spec.optimizer["learning_rate"]) / 10
    return (
        f"The parameters of round {point.round} are kept; go on from them with another learning rate: "
        f"`whisktrain runs resume {ids.key_of(state.run)} --learning-rate {rate:g}`."
    )


def _end(context: AggregateContext, state: RunState, final: FinalState) -> str | None:
    context.cleanup.wait()
    context.forget()
    state = replace(state, cost=whole_cost(context.records, state))
    if not end(context.records, state, final, context.nonce):
        return None  # another aggregate advanced the run: restart from A1
    finish(context.records)
    return f"the run is {final.status}"


def end_refused(context: AggregateContext, error: StoreRefused) -> str:
    """FINISH as failed, because the store does not take what is written; a small document may still fit in.

    Raises:
        StoreRefused: Not even that: the run goes on, or ends, once the store takes it.
    """
    state = context.records.read()
    if state is None:
        return "the run is absent"
    if state.final:
        raise error
    cause = Failure.from_exception(MERGE, 1, error, context.clock.execution)
    sentence = f"The store refused what round {state.round} wrote: {error.message}"
    outcome = Outcome(time.time(), error={**cause.error, "message": sentence}, log=cause.log)
    state = replace(state, point=_point_after(state, cause))
    if end(context.records, state, FinalState("failed", sentence, outcome), context.nonce):
        finish(context.records)
        return "the run is failed"
    return "another aggregate serves"


def record_merge_failure(
    context: AggregateContext, state: RunState, error: Exception
) -> str | None:
    """Record that the merge itself failed, like a worker's failure, so that it ends the run after some attempts."""
    if isinstance(error, Damaged) and repair_params(context.records, state):
        return restart(context)
    known = [f.attempt for f in context.records.failures(state.round) if f.shard == MERGE]
    failure = Failure.from_exception(
        MERGE, max(known, default=0) + 1, error, context.clock.execution
    )
    context.records.put_failure(state.round, failure)
    context.forget()
    return None


def record_aggregate_failure(
    context: AggregateContext, state: RunState, error: ErrorRecord, execution: str
) -> None:
    """Record that an aggregate was killed, once; like a failed merge, it ends the run after some attempts."""
    known = [f for f in context.records.failures(state.round) if f.shard == MERGE]
    if any(failure.execution == execution for failure in known):
        return
    attempt = max((failure.attempt for failure in known), default=0) + 1
    context.records.put_failure(
        state.round, Failure(MERGE, attempt, error, execution=execution, written=time.time())
    )
