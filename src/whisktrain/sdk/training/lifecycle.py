"""One training from the request to the result: started on the platform, followed in the store, stopped by Ctrl-C."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from whisktrain.errors import Interrupted, NotFound
from whisktrain.records import ids
from whisktrain.records.run_records import RunRecords
from whisktrain.sdk import requests
from whisktrain.sdk.training import detached, outcomes
from whisktrain.sdk.training.following import Snapshots
from whisktrain.sdk.training.interrupts import Interrupts
from whisktrain.sdk.training.recovery import carry_on_if_abandoned
from whisktrain.sdk.training.watching import Report, Started, TrainingWatch
from whisktrain.serving import messages
from whisktrain.version import __version__

if TYPE_CHECKING:
    from whisktrain.jsontypes import JsonObject
    from whisktrain.sdk.requests import RequestObject
    from whisktrain.sdk.session import Session
    from whisktrain.serving.results import RunResult

__all__ = ["resume", "train", "watch"]

_LONGEST_TRAINING_S = 7 * 24 * 3600.0
_LONGEST_START_S = 60.0


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
    key = ids.check_run_id(checked.key or requests.new_run_id(checked.name))
    settings: JsonObject = {**request.get("train", {}), "key": key}
    if not wait and session.embedded:
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
) -> RunResult:
    """Resume a stopped run, under a new id.

    Args:
        session: The platform and store.
        run: The stopped run.
        key: The new run's id.
        progress: Called with snapshots of the run.
        wait: Whether to wait for the end.
    """
    key = key or requests.new_run_id(run.rpartition("-")[0] or run)
    if not wait and session.embedded:
        return _leave_behind(session, {"key": key, "resume": run})
    arguments: JsonObject = {"resume": run, "key": key, "wait": wait, "lib_version": __version__}
    result = _run(session, "whisktrain/train", arguments, key, progress=progress, wait=wait)
    result.pop("predict", None)
    return {**result, "message": messages.of_training(result)}


def watch(session: Session, run: str, *, progress: Report = None) -> RunResult:
    """Follow a run until it has ended; a host of this session carries on one that no host on this machine does.

    Returns:
        Its summary.

    Raises:
        NotFound: There is no such run.
    """
    snapshots = Snapshots(session.store, run)
    if snapshots.summary() is None and snapshots.exists():
        carry_on_if_abandoned(session, run)
    for shown in snapshots.until_ended():
        if progress is not None:
            progress(shown)
    summary = snapshots.summary()
    if summary is None:
        raise NotFound(
            f"There is no run {run!r} in the store.",
            code="no_such_run",
            hint="`whisktrain runs list` shows what there is.",
        )
    return cast(
        "RunResult",
        {"run": run, **{key: value for key, value in summary.items() if key != "schema"}},
    )


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
        try:
            return TrainingWatch(
                session, started, interrupts, progress=progress, wait=wait
            ).result()
        except KeyboardInterrupt:
            RunRecords(session.store, run).request_stop()
            hint = f"Go on with `whisktrain runs resume {run}`."
            raise Interrupted(f"Run {run} was interrupted.", hint=hint) from None


def _leave_behind(session: Session, job: detached.Job) -> RunResult:
    """Have a process of its own carry the run on; it ends with the run."""
    run = job["key"]
    process = detached.start(session.where, job)
    session.narrate(
        f"run {run} goes on in the background (process {process['pid']}); it ends by itself"
    )
    started: RunResult = {"status": "training", "run": run, "model": process.get("model")}
    return {**started, "message": messages.of_training(started)}
