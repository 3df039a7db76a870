"""The summary of a run: what is left of it when it has ended, and what `train` answers."""

from __future__ import annotations

import datetime
from typing import NotRequired, TypedDict

from whisktrain.errors import ErrorRecord, StoreRefused
from whisktrain.jsontypes import JsonObject
from whisktrain.records import ids, round_times
from whisktrain.records.cost import CostTotal
from whisktrain.records.round_times import RoundMs
from whisktrain.records.run import RunState, Status
from whisktrain.spec import Figures, Label, Task

__all__ = ["RunSummary", "rounds_done", "summarize", "unwritten_summary"]


class RunSummary(TypedDict):
    """A summary; of its document the history is the attachment, and the rest the body.

    Attributes:
        schema: The schema number.
        status: The final state.
        run: The run's id.
        model: "NAME:VERSION" of the published model; None: there is none.
        task: "classification" or "regression".
        classes: The labels; None for regression.
        workers: Shards.
        slots: Worker activations at once.
        rounds: Training rounds that were closed.
        seconds: From the run's creation to its end.
        round_ms: Lengths of rounds.
        metrics: The final figures, of exactly the published parameters.
        cost: Activations and GB-seconds.
        reason: Why the run is in its final state.
        ended: When it ended, as an ISO date.
        created: When it was created.
        history: One entry for each closed epoch.
        spec: The plan.
        resumable: Whether there is a checkpoint.
        error: Of a run that failed.
        workers_log: The last log lines of the worker or aggregate that failed.
    """

    schema: int
    status: Status
    run: str
    model: str | None
    task: Task
    classes: list[Label] | None
    workers: int
    slots: int
    rounds: int
    seconds: float
    round_ms: RoundMs
    metrics: Figures
    cost: CostTotal
    reason: str
    ended: str
    created: str
    history: list[Figures]
    spec: JsonObject
    resumable: bool
    error: NotRequired[ErrorRecord]
    workers_log: NotRequired[list[str]]


def rounds_done(state: RunState) -> int:
    """Training rounds that were closed."""
    return max(min(state.round - 1, state.spec.rounds), 0)


def summarize(
    state: RunState, history: list[Figures], classes: list[Label] | None, *, published: bool
) -> RunSummary:
    """The summary of a run.

    Args:
        state: The run, final.
        history: One entry for each closed epoch.
        classes: The labels of the classes; None for regression.
        published: Whether there is a model.
    """
    spec, outcome = state.spec, state.outcome
    if outcome is None:
        raise ValueError(f"run {state.run} is not final")
    summary: RunSummary = {
        "schema": ids.SCHEMA,
        "status": state.status,
        "run": state.run,
        "model": state.model if published else None,
        "task": spec.task,
        "classes": classes,
        "workers": spec.shards,
        "slots": spec.slots,
        "rounds": rounds_done(state),
        "seconds": round(max(outcome.ended - state.created, 0.0), 3),
        "round_ms": round_times.round_ms(state.timing),
        "metrics": outcome.metrics,
        "cost": state.cost.total(),
        "reason": state.reason,
        "ended": _iso(outcome.ended),
        "created": _iso(state.created),
        "history": history,
        "spec": spec.to_json(),
        "resumable": state.point is not None,
    }
    if outcome.error is not None:
        summary["error"] = outcome.error
        summary["workers_log"] = outcome.log
    return summary


def unwritten_summary(state: RunState) -> RunSummary | None:
    """The summary of a run that has ended because the store refuses what is written, so that there is none yet.

    Args:
        state: The run, as its document says.
    """
    error = state.outcome.error if state.outcome is not None else None
    if not state.final or error is None or error["code"] not in StoreRefused.codes:
        return None
    return summarize(state, [], None, published=False)


def _iso(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="milliseconds")
