"""From what an activation or a summary says to the result of a training, or to the error that it failed of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from whisktrain.errors import RequestError, TrainingError, WhisktrainError, from_record
from whisktrain.records.archive import RunArchive
from whisktrain.records.keys import RunKeys
from whisktrain.records.run_records import RunRecords
from whisktrain.sdk.decisions import with_decisions
from whisktrain.serving import messages
from whisktrain.serving.results import result_of as serving_result

if TYPE_CHECKING:
    from whisktrain.jsontypes import Json, JsonObject
    from whisktrain.openwhisk.client import Activation
    from whisktrain.records.summary import RunSummary
    from whisktrain.sdk.session import Session
    from whisktrain.serving.results import DecisionAnswer, RunResult

__all__ = ["data_of", "late_result", "result_of"]


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
        id_ = RunKeys(session.store).resolve(run)
        summary = RunArchive(session.store, id_).summary()
        began = error.code == "run_deleted" or RunRecords(session.store, id_).exists()
        if summary is None and not began:
            RunArchive(session.store, run).put_rejection(error.to_record())
        error.workers_log = summary.get("workers_log") if summary else None  # type: ignore[attr-defined]
    raise error


def late_result(session: Session, summary: RunSummary, rows: Json) -> RunResult:
    """The result of a run that outlived its sequence, with the decisions that the sequence could not make.

    It is the same as the sequence would have answered.

    Args:
        session: The platform and store.
        summary: How the run ended.
        rows: The request's `predict` section, where rows were given.

    Raises:
        WhisktrainError: The run failed.
    """
    result = cast("RunResult", {**serving_result(summary), **data_of(session, summary)})
    if error := result.get("error"):
        failed_run = _training_error(from_record(error))
        failed_run.workers_log = summary.get("workers_log")  # type: ignore[attr-defined]
        raise failed_run
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


def data_of(session: Session, summary: RunSummary) -> JsonObject:
    """The key `data` of a run's result; nothing where the store, or the data set in it, is not there any more."""
    dataset = str(summary["spec"].get("dataset") or "")
    if not session.has_store or not dataset:
        return {}
    from whisktrain.data.report import used_data
    from whisktrain.data.shards.storage import find_dataset

    found = find_dataset(session.store, dataset)
    return {} if found is None else {"data": cast("Json", used_data(dataset, found.body))}


def _training_error(error: WhisktrainError) -> WhisktrainError:
    """The failure of a run: a request that only the worker could refuse, or the failure of a training."""
    if isinstance(error, (TrainingError, RequestError)):
        return error
    return TrainingError(error.message, code=error.code, hint=error.hint, retryable=error.retryable)
