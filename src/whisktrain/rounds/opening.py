"""CREATE: from a plan to a run whose first worker is on its way (steps C1 to C3)."""

from __future__ import annotations

import time
from dataclasses import dataclass

from whisktrain.errors import PlatformError
from whisktrain.records import ids
from whisktrain.records.archive import RunArchive
from whisktrain.records.models import ModelRecords
from whisktrain.records.run import Best, PlatformFacts, RunState
from whisktrain.records.run_records import RunRecords
from whisktrain.records.summary import RunSummary
from whisktrain.rounds.failpoints import Step, failpoint
from whisktrain.rounds.invoker import Invoker, record_start_failure
from whisktrain.spec import Spec
from whisktrain.store.protocol import Store

__all__ = ["Opened", "create"]


@dataclass(frozen=True, slots=True)
class Opened:
    """The run that CREATE found or made.

    Attributes:
        state: The run; None where it has ended.
        summary: Its summary, where it has ended.
    """

    state: RunState | None
    summary: RunSummary | None


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
    records = RunRecords(store, ids.check_run_id(run))
    summary = RunArchive(store, run).summary()
    if summary is not None:
        return Opened(None, summary)
    state = records.read()
    if state is None:
        failpoint(Step.RESERVE_VERSION)
        version = ModelRecords(store).reserve_version(spec.name, run)
        now = time.time()
        fresh = RunState(
            run, spec, version, best=best, created=now, opened=now, platform=platform or {}
        )
        failpoint(Step.CREATE_RUN)
        state = records.create(fresh)
    failpoint(Step.INVOKE_BUILDER)
    if state is not None and state.round == 0 and not state.final:
        try:
            invoker.invoke("worker", {"run": run, "slot": 0})
        except PlatformError as error:
            record_start_failure(records, state, 0, error)
            raise
    return Opened(state, None)
