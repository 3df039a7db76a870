"""One training from the request to the result: started on the platform, followed in the store, stopped by Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from whisktrain.errors import Interrupted, NotFound, RequestError, TrainingError, WhisktrainError, from_record
from whisktrain.records import ids
from whisktrain.records.models import ModelRecords
from whisktrain.sdk import requests
from whisktrain.sdk.following import Progress, Snapshots
from whisktrain.sdk.interrupts import Interrupts
from whisktrain.sdk.report import data_report
from whisktrain.serving import messages
from whisktrain.version import __version__

if TYPE_CHECKING:
    from whisktrain.sdk.connection import Connection

__all__ = ["fit", "resume", "train", "watch"]

Report = Callable[[Progress], None] | None

_PATIENCE_S = 7 * 24 * 3600.0
_STILL_S = 30.0
"""Seconds without any movement of a run after which a person is told; longer than a cold start of everything."""


def train(connection: Connection, request: Mapping[str, Any], *, progress: Report = None, wait: bool = True) -> dict[str, Any]:
    """Run the sequence `pipeline` for a request.

    Args:
        connection: Where.
        request: The whole request.
        progress: Called with snapshots of the run.
        wait: Whether to wait for the end.
    """
    from whisktrain.request import Request, parse

    checked = parse(Request, dict(request))
    key = checked.train.key or requests.new_run_id(checked.train.name)
    ids.check_run_id(key)
    settings = {**dict(request.get("train") or {}), "key": key, "wait": wait}
    if not wait and connection.where.platform == "embedded":
        return _leave_behind(connection, {"request": {**request, "train": {**settings, "wait": True}}}, key)
    arguments = {**request, "train": settings, "lib_version": __version__}
    return _carry(connection, "whisktrain/pipeline", arguments, key, progress, wait=wait)


def resume(
    connection: Connection, run: str, *, key: str | None = None, progress: Report = None, wait: bool = True
) -> dict[str, Any]:
    """Go on with a stopped run, under a new id."""
    key = key or requests.new_run_id(run.rpartition("-")[0] or run)
    if not wait and connection.where.platform == "embedded":
        return _leave_behind(connection, {"resume": run}, key)
    arguments = {"resume": run, "key": key, "wait": wait, "lib_version": __version__}
    result = _carry(connection, "whisktrain/train", arguments, key, progress, wait=wait)
    result.pop("predict", None)
    return {**result, "message": messages.of_training(result)}


def watch(connection: Connection, run: str, *, progress: Report = None) -> dict[str, Any]:
    """Follow a run until it has ended; one that nobody on this machine carries on, a host of this connection does."""
    store = connection.store
    snapshots = Snapshots(store, run)
    if snapshots.summary() is None and store.rounds.get(ids.run(run)) is not None:
        connection.carry_on_if_abandoned(run)
    for shown in snapshots.until_ended():
        if progress is not None:
            progress(shown)
    summary = snapshots.summary()
    if summary is None:
        raise NotFound(
            f"There is no run {run!r} in the store.", code="no_such_run", hint="`whisktrain runs list` shows what there is."
        )
    return {"run": run, **summary}


def _carry(
    connection: Connection, action: str, arguments: Mapping[str, Any], run: str, progress: Report, *, wait: bool
) -> dict[str, Any]:
    """Start the action and follow the run until there is a result."""
    client = connection.client
    with Interrupts() as interrupts:
        activation = client.start(action, arguments)
        connection.narrate(f"run {run} started")
        if not connection.has_store:
            return _result_of(connection, client.wait(activation, timeout=_PATIENCE_S if wait else 60.0), run)
        rows = arguments.get("predict")
        try:
            return _follow(connection, activation, run, progress=progress, interrupts=interrupts, rows=rows, wait=wait)
        except KeyboardInterrupt:
            connection.runs.ask_to_stop(run)
            hint = f"Go on with `whisktrain runs resume {run}`."
            raise Interrupted(f"Run {run} was interrupted.", hint=hint) from None


def _follow(
    connection: Connection,
    activation: str,
    run: str,
    *,
    progress: Report,
    interrupts: Interrupts,
    rows: Any,
    wait: bool,
) -> dict[str, Any]:
    snapshots = Snapshots(connection.store, run)
    here = connection.where.platform == "embedded"
    stopping, early, look_at, pause = 0.0, None, 0.0, 0.1
    told_still, unhurried = False, 1.0 if here else 3.0
    newest: Progress | None = None

    def say_the_end() -> None:
        if progress is not None and (end := snapshots.last(newest)) is not None:
            progress(end)

    while True:
        if interrupts.asked and not stopping:
            stopping = time.monotonic()
            connection.runs.ask_to_stop(run)
            connection.narrate("stopping after this round; Ctrl-C again stops at once")
        if not told_still and snapshots.still > _STILL_S:
            connection.narrate(
                f"nothing has moved for {_STILL_S:.0f} s; unless a round takes that long, `whisktrain doctor` says why"
            )
        told_still = snapshots.still > _STILL_S
        if stopping and not here and min(snapshots.still, time.monotonic() - stopping) > _STILL_S:
            raise KeyboardInterrupt  # the run stops as soon as somebody looks after it; nobody has to wait for that here
        shown = snapshots.take()
        if shown is not None and newest is None:
            _tell_data(connection, shown.dataset)
        newest = shown or newest
        if shown is not None and progress is not None:
            progress(shown)
        training = shown.status == "running" if shown is not None else snapshots.seen and pause == unhurried
        if early is None and time.monotonic() >= look_at:
            record = connection.client.activation(activation)
            if record is not None:
                result = _result_of(connection, record, run)
                if result.get("status") != "training" or not wait:
                    say_the_end()
                    return result
                early = result
                connection.narrate(f"run {run} outlives its train stage; following it in the store")
            elif training:
                training = connection.store.rounds.get(ids.run(run)) is not None
            pause = unhurried if training else 0.05 if snapshots.seen else 0.2
            look_at = time.monotonic() + pause
        if early is not None:
            summary = snapshots.summary()
            if summary is not None:
                say_the_end()
                return _late(connection, {**early, **summary, "run": run}, rows)
        snapshots.wait(min(pause, 0.5))


def _tell_data(connection: Connection, dataset: str) -> None:
    """Say what was done with the data, before the training is shown."""
    found = connection.store.library.get(ids.dataset(dataset))
    for line in data_report(found.body) if found is not None else ():
        connection.narrate(line)


def _result_of(connection: Connection, record: Any, run: str) -> dict[str, Any]:
    """The result of an activation that has ended, with stored decisions fetched.

    Raises:
        WhisktrainError: It failed; the error carries `run`, and `workers_log`, the last log lines of the worker that failed.
    """
    from whisktrain.openwhisk.client.activation import failure_of

    if record.succeeded:
        return connection.with_decisions(dict(record.result))
    error = failure_of(connection.client.explain(record))
    told = record.result.get("error") if isinstance(record.result, Mapping) else None
    if isinstance(told, Mapping) and "code" in told and "kind" not in told:  # no stage failed: the run did
        error = _ended_badly(error)
    error.run = run  # type: ignore[attr-defined]
    if connection.has_store:
        summary = connection.store.library.get(ids.summary(run))
        error.workers_log = (summary.body if summary else {}).get("workers_log")  # type: ignore[attr-defined]
    raise error


def _ended_badly(error: WhisktrainError) -> WhisktrainError:
    """What a run failed of: a request that only the worker could refuse, or the failure of a training."""
    if isinstance(error, (TrainingError, RequestError)):
        return error
    return TrainingError(error.message, code=error.code, hint=error.hint, retryable=error.retryable)


def _late(connection: Connection, result: dict[str, Any], rows: Any) -> dict[str, Any]:
    """The result of a run that outlived its sequence: from its summary, with the decisions that the sequence could not make."""
    result = {k: v for k, v in result.items() if k not in ("history", "predict", "ended", "workers_log")}
    if result.get("error"):
        raise _ended_badly(from_record(dict(result["error"])))
    message = messages.of_training(result)
    if not rows or result["status"] != "completed":
        return {**result, "message": message}
    request = {"rows": rows} if isinstance(rows, list) else dict(rows)
    try:
        answer = connection.client.call("whisktrain/predict", {**request, "model": result["model"]})
    except WhisktrainError as error:
        return {
            **result,
            "decisions": None,
            "decisions_error": error.to_record(),
            "message": f"{message} {error}",
        }
    answer = connection.with_decisions(answer)
    return {**result, "decisions": answer["decisions"], "message": f"{message} {answer['message']}"}


def _leave_behind(connection: Connection, job: Mapping[str, Any], run: str) -> dict[str, Any]:
    """Have a process of its own carry the run on; it ends with the run."""
    from whisktrain.sdk import background

    result = background.start(connection.where, {**job, "key": run})
    connection.narrate(f"run {run} goes on in the background (process {result['pid']}); it ends by itself")
    model = result.get("model")
    started = {"status": "training", "run": run, "model": model}
    return {**started, "message": messages.of_training(started)}


def fit(
    connection: Connection, keras_model: Any, x: Any, y: Any, *, name: str | None, progress: Report, **options: Any
) -> dict[str, Any]:
    """Train a Keras model on arrays; see `Connection.fit`."""
    import io
    import tempfile
    from pathlib import Path

    import numpy as np

    arrays = io.BytesIO()
    np.savez_compressed(arrays, x=np.asarray(x), y=np.asarray(y).reshape(len(y)))
    with tempfile.TemporaryDirectory(prefix="whisktrain-") as folder:
        path = Path(folder) / "model.keras"
        keras_model.save(path)
        model = connection.data.put(path.read_bytes(), "model.keras")
    data = connection.data.put(arrays.getvalue(), "arrays.npz")
    settings = {"scale": "none", **options, "name": name or requests.default_name(str(keras_model.name)) or "model"}
    request = requests.build({"source": data}, {"file": model}, settings)
    result = train(connection, request, progress=progress)
    if result.get("status") != "completed":
        return result
    classes = result.get("classes")
    if classes is None or list(classes) != list(range(len(classes))):
        notice = (
            "The Keras model's weights were not set in place: ask for answers with predict, which knows the targets' own units."
        )
        return {**result, "notices": [*result.get("notices", []), notice]}
    _set_weights(connection, keras_model, result["model"])
    return result


def _set_weights(connection: Connection, keras_model: Any, reference: str) -> None:
    name, _, version = reference.rpartition(":")
    found = ModelRecords(connection.store).read(name, int(version))
    if found is None:
        raise NotFound(f"The model {reference!r} was deleted.")
    _, files = found
    for variable, key in zip(keras_model.weights, sorted(files.params), strict=True):
        variable.assign(files.params[key])
