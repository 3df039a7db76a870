"""One training from the request to the result: started on the platform, followed in the store, stopped by Ctrl-C."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

from whisktrain.errors import (
    Interrupted,
    PlatformError,
    StoreError,
    StoreUnreachable,
    WhisktrainError,
)
from whisktrain.records import ids
from whisktrain.records.archive import RunArchive
from whisktrain.records.keys import RunKeys
from whisktrain.records.run_records import RunRecords
from whisktrain.sdk import requests
from whisktrain.sdk.cells import plain_setting
from whisktrain.sdk.training import detached, outcomes
from whisktrain.sdk.training.following import Snapshots
from whisktrain.sdk.training.interrupts import Interrupts
from whisktrain.sdk.training.recovery import Recovery
from whisktrain.sdk.training.stalls import Outage, Stall, no_such_run
from whisktrain.sdk.training.watching import Report, Started, TrainingWatch
from whisktrain.serving import messages
from whisktrain.version import __version__

if TYPE_CHECKING:
    from whisktrain.jsontypes import JsonObject
    from whisktrain.records.summary import RunSummary
    from whisktrain.sdk.requests import RequestObject
    from whisktrain.sdk.session import Session
    from whisktrain.serving.results import RunResult

__all__ = ["resume", "train", "watch", "without_schema"]

_LONGEST_TRAINING_S = 7 * 24 * 3600.0
_LONGEST_START_S = 60.0
_POLL_S = 0.5


def train(
    session: Session, request: RequestObject, *, progress: Report = None, wait: bool = True
) -> RunResult:
    """Run the sequence `pipeline` for a request.

    Args:
        session: The platform and store.
        request: The whole request.
        progress: Called with snapshots of the run.
        wait: Whether to wait for the end.

    Raises:
        RequestError: The request is not valid.
    """
    checked = requests.check(request)
    key = ids.check_key(checked.key or requests.new_key(checked.name))
    if checked.key and session.has_store:
        _withdraw_early_stop(session, key)
    settings: JsonObject = {**request.get("train", {}), "key": key}
    if not wait and session.ends_runs:
        return _leave_behind(
            session, {"key": key, "request": {**request, "train": {**settings, "wait": True}}}
        )
    arguments: JsonObject = {
        **request,
        "train": {**settings, "wait": wait},
        "lib_version": __version__,
    }
    return _run(session, "whisktrain/pipeline", arguments, key, progress=progress, wait=wait)


def resume(
    session: Session,
    run: str,
    *,
    key: str | None = None,
    progress: Report = None,
    wait: bool = True,
    learning_rate: float | None = None,
) -> RunResult:
    """Resume a run from its checkpoint, as a new run.

    Args:
        session: The platform and store.
        run: The stopped run's id.
        key: The new run's key; made of the stopped run's otherwise.
        progress: Called with snapshots of the run.
        wait: Whether to wait for the end.
        learning_rate: The learning rate from here on; the run's own by default.
    """
    name = ids.key_of(run)
    key = ids.check_key(key or requests.new_key(name.rpartition("-")[0] or name))
    if not wait and session.ends_runs:
        return _leave_behind(session, {"key": key, "resume": run, "learning_rate": learning_rate})
    arguments: JsonObject = {"resume": run, "key": key, "wait": wait, "lib_version": __version__}
    if learning_rate is not None:
        arguments["learning_rate"] = plain_setting(learning_rate)
    result = _run(session, "whisktrain/train", arguments, key, progress=progress, wait=wait)
    result.pop("predict", None)
    return {**result, "message": messages.of_training(result)}


def watch(
    session: Session, run: str, *, progress: Report = None, stopping: bool = False
) -> RunResult:
    """Follow a run until it has ended; a host of this session carries on one that no host on this machine does.

    Args:
        session: The platform and store.
        run: The run's id.
        progress: Called with snapshots of the run.
        stopping: Whether the run was asked to stop: then it is waited for less patiently.

    Returns:
        Its summary.

    Raises:
        NotFound: There is no such run.
        DeadlineExceeded: Nothing serves it.
    """
    snapshots = Snapshots(session.store, run)
    stall, recovery = Stall(session, snapshots, stopping=stopping), Recovery(session, snapshots)
    outage = Outage(session, snapshots.run)
    while True:
        try:
            summary = snapshots.summary()
            if summary is not None:
                break
            recovery.look()
            shown = snapshots.take()
            if shown is not None and progress is not None:
                progress(shown)
            if shown is None and not snapshots.exists() and snapshots.summary() is None:
                raise no_such_run(snapshots.run)
            stall.check()
            snapshots.wait(_POLL_S)
            outage.answered()
        except StoreUnreachable as error:
            outage.note(error)
            time.sleep(_POLL_S)
    end = snapshots.last() if snapshots.seen else None
    if end is not None and progress is not None:
        progress(end)
    session.forget_run(snapshots.run)
    result = {**outcomes.data_of(session, summary), **without_schema(summary, run)}
    return cast("RunResult", result)


def without_schema(summary: RunSummary, run: str) -> dict[str, object]:
    """The summary of the run of an id, as a result shows it."""
    shown = {key: value for key, value in summary.items() if key != "schema"}
    return {**shown, "run": ids.key_of(run), "run_id": run}


def _run(
    session: Session, action: str, arguments: JsonObject, run: str, *, progress: Report, wait: bool
) -> RunResult:
    """Start the action and follow the run until there is a result."""
    with Interrupts() as interrupts:
        activation = session.client.start(action, arguments)
        session.narrate(f"run {run} started")
        if not session.has_store:
            record = session.client.wait(
                activation, timeout=_LONGEST_TRAINING_S if wait else _LONGEST_START_S
            )
            return outcomes.result_of(session, record, run)
        started = Started(activation, run, arguments.get("predict"))
        session.note_run(run)
        try:
            result = TrainingWatch(
                session, started, interrupts, progress=progress, wait=wait
            ).result()
        except KeyboardInterrupt:
            raise _interrupted(session, run) from None
        except WhisktrainError as error:
            error.run = run
            if isinstance(error, (PlatformError, StoreError)):
                error.hint = f"{error.hint} `whisktrain runs watch {run}` follows the run.".strip()
            raise
        if result["status"] != "training":
            session.forget_run(run)
        return result


def _withdraw_early_stop(session: Session, key: str) -> None:
    """Withdraw a request to stop that came before the run had begun, and that would end the one that begins now."""
    run = RunKeys(session.store).find_run(key)
    if run is None or RunArchive(session.store, run).summary() is not None:
        return
    records = RunRecords(session.store, run)
    if records.stop_requested() and not records.exists():
        records.withdraw_stop()


def _interrupted(session: Session, run: str) -> Interrupted:
    """Ask a run to stop that is not waited for any longer; the error that says how to go on with it."""
    store, id_ = session.store, RunKeys(session.store).find_run(run)
    begun = id_ is not None and (
        RunRecords(store, id_).exists() or RunArchive(store, id_).summary() is not None
    )
    if id_ is not None and (begun or not session.ends_runs):
        RunRecords(store, id_).request_stop()
        hint = f"Go on with `whisktrain runs resume {run}`."
        error = Interrupted(f"Run {run} was interrupted.", hint=hint)
    else:  # on this machine it ends with its host
        if id_ is not None:
            RunRecords(store, id_).withdraw_stop()
        hint = (
            "Train again."
            if session.ends_runs
            else f"It may still begin: `whisktrain runs stop {run}` stops it then."
        )
        error = Interrupted(f"Run {run} was interrupted before it had begun.", hint=hint)
    error.run = run
    return error


def _leave_behind(session: Session, job: detached.Job) -> RunResult:
    """Have a process of its own carry the run on; it ends with the run."""
    run = job["key"]
    process = detached.start(session.where, job)
    session.narrate(
        f"run {run} goes on in the background (process {process['pid']}); it ends by itself"
    )
    started: RunResult = {"status": "training", "run": run, "model": process.get("model")}
    return {**started, "message": messages.of_training(started)}
