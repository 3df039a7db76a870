"""CREATE: from a plan to a run whose first worker is on its way (steps C1 to C3)."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, replace

from whisktrain.errors import Conflict, PlatformError, RequestError, StoreUnreachable
from whisktrain.records import ids
from whisktrain.records.archive import RunArchive
from whisktrain.records.keys import RunKeys
from whisktrain.records.models import ModelRecords
from whisktrain.records.run import Best, PlatformFacts, RunState, Start
from whisktrain.records.run_records import RunRecords
from whisktrain.records.summary import RunSummary
from whisktrain.request.comparison import Asked, differences
from whisktrain.rounds.failpoints import Step, failpoint
from whisktrain.rounds.invoker import Invoker, record_start_failure
from whisktrain.spec import Spec
from whisktrain.store.protocol import Store

__all__ = ["Opened", "claim", "create"]


@dataclass(frozen=True, slots=True)
class Opened:
    """The run that CREATE found or made.

    Attributes:
        state: The run; None where it has ended.
        summary: Its summary, where it has ended. Without both, the run was deleted meanwhile.
    """

    state: RunState | None
    summary: RunSummary | None


def claim(store: Store, key: str, asked: Asked) -> str:
    """Find the id of the run that a caller's key names, or give it a new one.

    Args:
        store: The store.
        key: The key.
        asked: What the caller asks for.

    Raises:
        RequestError: The key names a run of another request.
    """
    failpoint(Step.CLAIM_KEY)
    claimed = RunKeys(store).claim(ids.check_key(key), asked)
    differing = differences(claimed["request"], asked)
    if differing:
        raise RequestError(
            f"The key {key!r} names a run of another request: {'; '.join(differing)}.",
            code="key_in_use",
            hint=f"Choose another key, or delete that run first: `whisktrain runs delete {key}`.",
        )
    return claimed["run"]


def create(
    store: Store,
    invoker: Invoker,
    run: str,
    spec: Spec,
    *,
    best: Best | None = None,
    platform: PlatformFacts | None = None,
) -> Opened:
    """Open a run, or find it: a repeated call finds what the first one made.

    Args:
        store: The store.
        invoker: Starts the first worker.
        run: The run's id.
        spec: Its plan; that of a run that exists already stays.
        best: The best parameters of the run that this one resumes.
        platform: What is known of the platform, for the rounds' rate and the cost.

    Raises:
        PlatformError: The worker that builds the model could not be started. The run exists all the same: a repeated call
            with its id continues it, and so does an aggregate once the model is overdue.
    """
    failpoint(Step.READ_SUMMARY)
    records = RunRecords(store, ids.check_run(run))
    summary = RunArchive(store, run).summary()
    if summary is not None:
        return Opened(None, summary)
    state = records.read()
    if state is None:
        failpoint(Step.RESERVE_VERSION)
        version = ModelRecords(store).reserve_version(spec.name, run)
        now = time.time()
        fresh = RunState(
            run,
            spec,
            version,
            best=best,
            created=now,
            opened=now,
            starts={0: Start(round(now, 3))},
            platform=platform or {},
        )
        failpoint(Step.CREATE_RUN)
        state = records.create(fresh)
    failpoint(Step.CHECK_KEY)
    if state is not None and state.round == 0 and not RunKeys(store).names(run):
        records.delete_all()
        return Opened(None, None)
    failpoint(Step.INVOKE_BUILDER)
    if state is not None and state.round == 0 and not state.final:
        try:
            activation = invoker.invoke("worker", {"run": run, "slot": 0})
        except PlatformError as error:
            record_start_failure(records, state, 0, error)
            raise
        state = _note_builder(records, state, activation)
    return Opened(state, None)


def _note_builder(records: RunRecords, state: RunState, activation: str) -> RunState:
    """Note the builder's activation, so that its end is noticed; without it, the model becomes overdue in time."""
    start = replace(state.starts.get(0) or Start(state.opened), activation=activation)
    with contextlib.suppress(Conflict, StoreUnreachable):
        return records.swap(replace(state, starts={**state.starts, 0: start})) or state
    return state
