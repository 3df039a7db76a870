"""From what an activation or a summary says to the result of a training, or to the error that it failed of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from whisktrain.errors import RequestError, TrainingError, WhisktrainError, from_record
from whisktrain.records.archive import RunArchive
from whisktrain.records.keys import RunKeys
from whisktrain.sdk.decisions import with_decisions
from whisktrain.serving import messages
from whisktrain.serving.results import named

if TYPE_CHECKING:
    from whisktrain.jsontypes import Json
    from whisktrain.openwhisk.client import Activation
    from whisktrain.records.summary import RunSummary
    from whisktrain.sdk.session import Session
    from whisktrain.serving.results import DecisionAnswer, RunResult

__all__ = ["late_result", "result_of"]

_ONLY_IN_SUMMARIES = ("schema", "history", "predict", "ended", "workers_log")


def result_of(session: Session, record: Activation, run: str) -> RunResult:
    """The result of an activation that has ended, with stored decisions fetched.

    Raises:
        WhisktrainError: It failed; the error carries `run`, and `workers_log`, the last log lines of the worker that failed.
    """
    from whisktrain.openwhisk.client import failure_of

    if record.succeeded:
        return with_decisions(session, cast("RunResult", record.result))
    error = failure_of(session.client.explain(record))
    reported = record.result.get("error") if isinstance(record.result, Mapping) else None
    if (
        isinstance(reported, Mapping) and "code" in reported and "kind" not in reported
    ):  # no stage failed: the run did
        error = _training_error(error)
    error.run = run
    if session.has_store:
        summary = RunArchive(session.store, RunKeys(session.store).resolve(run)).summary()
        error.workers_log = summary.get("workers_log") if summary else None  # type: ignore[attr-defined]
    raise error


def late_result(session: Session, early: RunResult, summary: RunSummary, rows: Json) -> RunResult:
    """The result of a run that outlived its sequence, with the decisions that the sequence could not make.

    Args:
        session: The platform and store.
        early: What the sequence answered.
        summary: How the run ended.
        rows: The request's `predict` section, where rows were given.

    Raises:
        WhisktrainError: The run failed.
    """
    known = {**early, **summary, **named(summary["run"])}
    result = cast(
        "RunResult", {key: value for key, value in known.items() if key not in _ONLY_IN_SUMMARIES}
    )
    if error := result.get("error"):
        raise _training_error(from_record(error))
    message = messages.of_training(result)
    if not rows or result["status"] != "completed":
        return {**result, "message": message}
    section = {"rows": rows} if isinstance(rows, list) else cast("dict[str, Json]", rows)
    try:
        answer = session.client.call("whisktrain/predict", {**section, "model": result["model"]})
    except WhisktrainError as failed:
        return {
            **result,
            "decisions": None,
            "decisions_error": failed.to_record(),
            "message": f"{message} {failed}",
        }
    decided = with_decisions(session, cast("DecisionAnswer", answer))
    return {
        **result,
        "decisions": decided["decisions"],
        "message": f"{message} {decided['message']}",
    }


def _training_error(error: WhisktrainError) -> WhisktrainError:
    """The failure of a run: a request that only the worker could refuse, or the failure of a training."""
    if isinstance(error, (TrainingError, RequestError)):
        return error
    return TrainingError(error.message, code=error.code, hint=error.hint, retryable=error.retryable)
