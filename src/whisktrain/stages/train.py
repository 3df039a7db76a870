"""Stage 2, `train`: open a run, fan out to the workers, and wait for the model as long as it may.

Training never depends on this activation: what it opened goes on by itself, and a repeated call finds it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from whisktrain.data.shards.storage import find_dataset
from whisktrain.errors import NotFound, RequestError
from whisktrain.records import ids, round_times
from whisktrain.records.archive import RunArchive
from whisktrain.records.run_records import RunRecords
from whisktrain.records.summary import rounds_done
from whisktrain.request import Request, parse
from whisktrain.rounds.opening import Opened, create
from whisktrain.rules.resuming import resumed_plan
from whisktrain.serving.results import RunResult, result_of
from whisktrain.stages.planning import resolve_spec, with_learning_rate

if TYPE_CHECKING:
    from whisktrain.data.dataset import DatasetBody
    from whisktrain.jsontypes import Json, JsonObject
    from whisktrain.records.run import PlatformFacts, RunState
    from whisktrain.rounds.invoker import Invoker
    from whisktrain.rules.capacity import Limits
    from whisktrain.spec import Spec
    from whisktrain.store.protocol import Store

__all__ = ["resume", "train"]

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
            execution=str(payload.get("key") or execution),
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
    run = ids.check_run_id(request.train.key or execution)
    body = _dataset(store, dataset)
    spec = _spec(store, request, dataset, body, limits)
    opened = create(store, invoker, run, spec, platform=_platform(limits))
    patient = request.train.wait if wait is None else wait
    result = _result(store, run, opened, deadline if patient else 0.0, body)
    return {**result, "predict": request.predict.model_dump(mode="json", exclude_unset=True)}


def resume(
    run: str,
    *,
    store: Store,
    invoker: Invoker,
    execution: str,
    deadline: float,
    limits: Limits,
    wait: bool = True,
    learning_rate: Json = None,
) -> RunResult:
    """Resume a run that was stopped, that diverged, or that failed for want of a worker, as a new run.

    Args:
        run: The run to resume.
        store: The store.
        invoker: Starts the first worker.
        execution: The new run's id.
        deadline: When the platform ends this activation, in seconds of the epoch.
        limits: The platform's limits; slots and lease are planned anew.
        wait: Whether to wait for the end.
        learning_rate: The learning rate from here on, instead of the run's own and of its schedule.

    Returns:
        As `train`.

    Raises:
        NotFound: The run has no checkpoint.
        RequestError: The learning rate is none.
    """
    ids.check_run_id(execution)
    checkpoint = RunArchive(store, ids.check_run_id(run)).read_checkpoint()
    optimizer = with_learning_rate(checkpoint.spec.optimizer, learning_rate)
    spec, best = resumed_plan(checkpoint, run, execution, limits, optimizer)
    body = _dataset(store, spec.dataset)
    opened = create(store, invoker, execution, spec, best=best, platform=_platform(limits))
    result = _result(store, execution, opened, deadline if wait else 0.0, body)
    return {**result, "predict": {}}


def _dataset(store: Store, dataset: str) -> DatasetBody:
    found = find_dataset(store, dataset)
    if found is None:
        raise NotFound(
            f"There is no data set {dataset!r} in the store.", hint="Preprocess the data again."
        )
    return found.body


def _spec(store: Store, request: Request, dataset: str, body: DatasetBody, limits: Limits) -> Spec:
    """The plan, after reading what the model of the request refers to (never Keras)."""
    model, given = request.model, None
    if model.config is not None:
        given = _checked(model.config, body)
    elif model.file is not None and model.factory is None:
        from whisktrain.data.sources.uploads import get_upload
        from whisktrain.learning.checks import read_archive

        given = _checked(read_archive(get_upload(store, model.file).bytes), body)
    elif model.init is not None:
        from whisktrain.serving.catalogue import resolve

        name, version = resolve(store, model.init)
        request = request.model_copy(
            update={"model": model.model_copy(update={"init": f"{name}:{version}"})}
        )
    return resolve_spec(request, dataset, body, limits, given)


def _checked(config: JsonObject, body: DatasetBody) -> JsonObject:
    from whisktrain.learning.checks import check_config

    check_config(config, tuple(body["x_shape"]))
    return config


def _platform(limits: Limits) -> PlatformFacts:
    return {
        "invocations_per_minute": limits.invocations_per_minute,
        "worker_mb": limits.actions.worker,
        "aggregate_mb": limits.actions.aggregate,
    }


def _result(
    store: Store, run: str, opened: Opened, deadline: float, dataset: DatasetBody
) -> RunResult:
    """Wait for the summary; shortly before the deadline return what is known then."""
    archive = RunArchive(store, run)
    summary = opened.summary or archive.wait_for_summary(deadline - MARGIN)
    if summary is not None:
        return result_of(summary)
    state = RunRecords(store, run).read() or opened.state
    if state is not None:
        return _so_far(state, dataset)
    summary = archive.summary()  # the run ended just now
    return result_of(summary) if summary is not None else {"status": "training", "run": run}


def _so_far(state: RunState, dataset: DatasetBody) -> RunResult:
    return {
        "status": "training",
        "run": state.run,
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
