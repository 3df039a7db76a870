"""The summary of a run: what is left of it when it has ended, and what `train` answers."""

from __future__ import annotations

import datetime
from typing import Any

from whisktrain.records import ids, round_times
from whisktrain.records.history import TrainingHistory
from whisktrain.records.run import RunState

__all__ = ["summary_body"]


def summary_body(state: RunState, story: TrainingHistory, dataset: dict[str, Any] | None, published: bool) -> dict[str, Any]:
    """The body of `summary:<R>`.

    Args:
        state: The run, final.
        story: The history that its last parameters carry.
        dataset: The data set's document, for the labels of the classes.
        published: Whether there is a model.
    """
    spec, outcome = state.spec, state.outcome
    if outcome is None:
        raise ValueError(f"run {state.run} is not final")
    body: dict[str, Any] = {
        "schema": ids.SCHEMA,
        "status": state.status,
        "run": state.run,
        "model": state.model if published else None,
        "task": spec.task,
        "classes": (dataset or {}).get("classes"),
        "workers": spec.shards,
        "slots": spec.slots,
        "rounds": max(min(state.round - 1, spec.rounds), 0),
        "seconds": round(max(outcome.ended - state.created, 0.0), 3),
        "round_ms": {"p50": round_times.quantile(state.timing, 0.5), "p95": round_times.quantile(state.timing, 0.95)},
        "metrics": outcome.metrics,
        "cost": state.cost.total(),
        "reason": state.reason,
        "ended": datetime.datetime.fromtimestamp(outcome.ended, datetime.UTC).isoformat(timespec="milliseconds"),
        "created": datetime.datetime.fromtimestamp(state.created, datetime.UTC).isoformat(timespec="milliseconds"),
        "history": story.history if outcome.history is None else outcome.history,
        "spec": spec.to_json(),
        "resumable": state.point is not None,
    }
    if outcome.error is not None:
        body["error"] = outcome.error
        body["workers_log"] = outcome.log
    return body
