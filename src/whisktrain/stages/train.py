"""Stage 2, `train`: open a run, fan out to the workers, and wait for the model as long as it may.

Training never depends on this activation: what it opened goes on by itself, and a repeated call finds it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from whisktrain.data.report import used_data
from whisktrain.data.shards.storage import find_dataset
from whisktrain.errors import NotFound, RequestError, TrainingError
from whisktrain.records import ids, round_times
from whisktrain.records.archive import RunArchive
from whisktrain.records.keys import RunKeys
from whisktrain.records.run_records import RunRecords
from whisktrain.records.summary import RunSummary, rounds_done, unwritten_summary
from whisktrain.request import Request, parse
from whisktrain.request.comparison import Asked, resume_asked, training_asked
from whisktrain.rounds.opening import Opened, claim, create
from whisktrain.rounds.stranded import end_if_stranded
from whisktrain.rules.capacity import may_wait
from whisktrain.rules.resuming import resumed_plan
from whisktrain.rules.timeouts import TIMEOUTS
from whisktrain.serving.results import RunResult, result_of
from whisktrain.stages.given_model import given_config
from whisktrain.stages.planning import resolve_spec, with_learning_rate
from whisktrain.stages.sizing import fitted
from whisktrain.store.trial import try_to_write

if TYPE_CHECKING:
    from whisktrain.data.dataset import DatasetBody
    from whisktrain.jsontypes import Json
    from whisktrain.records.run import RunState
    from whisktrain.rounds.invoker import Invoker
    from whisktrain.rules.capacity import Limits
    from whisktrain.spec import Spec
    from whisktrain.store.protocol import Store

__all__ = ["resume", "train"]

LOOK_S = 15.0
"""Seconds after which a waiting stage looks whether the store still takes what is written."""

MARGIN = 3.0
"""Seconds before its deadline at which the stage stops waiting."""


def train(
    payload: Mapping[str, Json],
    *,
    store: Store,
    invoker: Invoker,
    execution: str,
    deadline: float,
    limits: Limits,
    wait: bool | None = None,
) -> RunResult:
    """Train a model.

    Args:
        payload: What `preprocess` answered: `{"request", "dataset", "data"}`; or
            `{"resume": RUN, "key"?, "wait"?, "learning_rate"?}`.
        store: The store.
        invoker: Starts the first worker.
        execution: This activation's id: the run's id where the caller chose no key.
        deadline: When the platform ends this activation, in seconds of the epoch.
        limits: The platform's limits.
        wait: Whether to wait for the end; as the request says by default.

    Returns:
        The run's result, with the request's section `predict` for stage 3. Its status is "training" where the run goes on.

    Raises:
        RequestError: What is asked for cannot be done.
        NotFound: The data set, or the model to start from, does not exist.
    """
    if "resume" in payload:
        return resume(
            str(payload["resume"]),
            store=store,
            invoker=invoker,
            execution=execution,
            key=str(payload["key"]) if payload.get("key") else None,
            deadline=deadline,
            limits=limits,
            wait=bool(payload.get("wait", True)) if wait is None else wait,
            learning_rate=payload.get("learning_rate"),
        )
    for key in ("request", "dataset"):
        if key not in payload:
            raise RequestError(
                f"train received {', '.join(sorted(payload)) or 'nothing'}; expected preprocess' answer, with {key!r}.",
                hint="Invoke the sequence `pipeline`, or preprocess first.",
            )
    request, dataset = parse(Request, payload["request"]), str(payload["dataset"])
    if request.train.key is not None:
        ids.check_key(request.train.key)
    body = _dataset(store, dataset)
    spec = _spec(store, request, dataset, body, limits)

    def open_run(run: str) -> Opened:
        plan, facts = fitted(store, invoker, spec, limits)
        return create(store, invoker, run, plan, platform=facts)

    asked = training_asked(request, dataset)
    run, opened = _open(store, request.train.key, execution, asked, open_run)
    patient = request.train.wait if wait is None else wait
    result = _result(store, invoker, run, opened, deadline if patient else 0.0, body, limits)
    result = {**result, "data": used_data(dataset, body)}
    return {**result, "predict": request.predict.model_dump(mode="json", exclude_unset=True)}


def resume(
    run: str,
    *,
    store: Store,
    invoker: Invoker,
    execution: str,
    deadline: float,
    limits: Limits,
    key: str | None = None,
    wait: bool = True,
    learning_rate: Json = None,
) -> RunResult:
    """Resume a run that was stopped, that diverged, or that failed for want of a worker, as a new run.

    Args:
        run: The run to resume: its key, or its id.
        store: The store.
        invoker: Starts the first worker.
        execution: This activation's id: the new run's id where the caller chose no key.
        key: The new run's key.
        deadline: When the platform ends this activation, in seconds of the epoch.
        limits: The platform's limits; slots and lease are planned anew.
        wait: Whether to wait for the end.
        learning_rate: The learning rate from here on, instead of the run's own and of its schedule.

    Returns:
        As `train`.

    Raises:
        RequestError: The key names another run.
        NotFound: The run has no checkpoint.
        RequestError: The learning rate is none.
    """
    stopped = RunKeys(store).resolve(run)
    checkpoint = RunArchive(store, stopped).read_checkpoint(attachment=False)
    optimizer = with_learning_rate(checkpoint.spec.optimizer, learning_rate)
    body = _dataset(store, checkpoint.spec.dataset)

    def open_run(new: str) -> Opened:
        spec, best = resumed_plan(checkpoint, stopped, new, limits, optimizer)
        plan, facts = fitted(store, invoker, spec, limits, checkpoint.blueprint.layout)
        return create(store, invoker, new, plan, best=best, platform=facts)

    new, opened = _open(store, key, execution, resume_asked(stopped, learning_rate), open_run)
    result = _result(store, invoker, new, opened, deadline if wait else 0.0, body, limits)
    return {**result, "data": used_data(checkpoint.spec.dataset, body), "predict": {}}


def _open(
    store: Store, key: str | None, execution: str, asked: Asked, open_run: Callable[[str], Opened]
) -> tuple[str, Opened]:
    """Open the run that the key names, or that has no key; the run's id with it.

    A run that is deleted just then is not what was asked for: the key gets a new one.
    """
    while True:
        run = ids.check_key(execution) if key is None else claim(store, key, asked)
        opened = open_run(run)
        if key is None or opened.state is not None or opened.summary is not None:
            return run, opened
        if RunKeys(store).names(run):
            return run, opened  # it ended just now


def _dataset(store: Store, dataset: str) -> DatasetBody:
    found = find_dataset(store, dataset)
    if found is None:
        raise NotFound(
            f"There is no data set {dataset!r} in the store.", hint="Preprocess the data again."
        )
    return found.body


def _spec(store: Store, request: Request, dataset: str, body: DatasetBody, limits: Limits) -> Spec:
    """The plan, after reading what the model of the request refers to (never Keras)."""
    model = request.model
    given = given_config(model, store, tuple(body["x_shape"]))
    if given is None and model.init is not None:
        from whisktrain.serving.catalogue import resolve

        name, version = resolve(store, model.init)
        request = request.model_copy(
            update={"model": model.model_copy(update={"init": f"{name}:{version}"})}
        )
    return resolve_spec(request, dataset, body, limits, given)


def _result(  # noqa: PLR0917 - what a result is made of
    store: Store,
    invoker: Invoker,
    run: str,
    opened: Opened,
    deadline: float,
    dataset: DatasetBody,
    limits: Limits,
) -> RunResult:
    """Wait for the summary; shortly before the deadline, or where waiting takes a worker's place, return what is known."""
    archive, keys = RunArchive(store, run), RunKeys(store)
    crowded = opened.state is not None and not may_wait(limits, opened.state.spec.slots)
    until = 0.0 if crowded else deadline - MARGIN
    summary = opened.summary or _wait_for_summary(store, invoker, run, until)
    if summary is not None:
        return result_of(summary)
    state = RunRecords(store, run).read()
    if state is not None and keys.names(run):
        so_far = _so_far(state, dataset)
        return {**so_far, "reason": _crowded(limits)} if crowded and deadline else so_far
    summary = archive.summary()  # the run ended just now
    if summary is not None:
        return result_of(summary)
    raise TrainingError(
        f"Run {ids.key_of(run)!r} was deleted before it had ended.", code="run_deleted"
    )


def _crowded(limits: Limits) -> str:
    return (
        f"The platform allows {limits.concurrent} activations at once: train does not wait for the model, "
        "because workers and aggregate need its place."
    )


def _wait_for_summary(store: Store, invoker: Invoker, run: str, until: float) -> RunSummary | None:
    """Wait for the summary; None at the time `until`, or where the run was deleted.

    Raises:
        StoreRefused: The store does not take what is written, so that not even the run's end can be; nothing moves.
    """
    archive, keys, records = RunArchive(store, run), RunKeys(store), RunRecords(store, run)
    rev, since = "", time.time()
    while (now := time.time()) < until:
        found = archive.wait_for_summary(
            min(until, now + LOOK_S), given_up=lambda: not keys.names(run)
        )
        if found is not None or not keys.names(run):
            return found
        state = records.read()
        if state is not None and (refused := unwritten_summary(state)) is not None:
            return refused
        if state is not None and state.rev == rev:
            try_to_write(store)
            if time.time() - since >= TIMEOUTS.stranded:
                end_if_stranded(records, invoker, state, since, TIMEOUTS)
                since = time.time()
        else:
            rev, since = state.rev if state is not None else "", now
    return None


def _so_far(state: RunState, dataset: DatasetBody) -> RunResult:
    return {
        "status": "training",
        "run": ids.key_of(state.run),
        "run_id": state.run,
        "model": state.model,
        "task": state.spec.task,
        "classes": [*dataset["classes"]] if dataset["classes"] else None,
        "workers": state.spec.shards,
        "rounds": rounds_done(state),
        "seconds": round(time.time() - state.created, 3),
        "round_ms": round_times.round_ms(state.timing),
        "metrics": {key: value for key, value in state.latest.items() if key != "epoch"},
        "cost": state.cost.total(),
    }
