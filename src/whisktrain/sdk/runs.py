"""The handle on runs: those that go on, and what is left of those that ended."""

from __future__ import annotations

import builtins
import datetime
import difflib
from typing import TYPE_CHECKING, TypedDict, cast

from whisktrain.errors import ErrorRecord, NotFound, RequestError
from whisktrain.records import ids
from whisktrain.records.archive import (
    Rejection,
    RunArchive,
    list_rejections,
    list_summaries,
)
from whisktrain.records.keys import RunKeys, delete_run
from whisktrain.records.run_records import RunRecords, list_runs
from whisktrain.sdk.training import lifecycle
from whisktrain.sdk.training.following import Progress, snapshot
from whisktrain.sdk.training.stalls import no_such_run

if TYPE_CHECKING:
    from whisktrain.records.cost import CostTotal
    from whisktrain.records.failures import Failure
    from whisktrain.records.run import RunState
    from whisktrain.records.summary import RunSummary
    from whisktrain.sdk.session import Session
    from whisktrain.sdk.training.watching import Report
    from whisktrain.serving.results import RunResult
    from whisktrain.spec import Figures

__all__ = ["FailureReport", "RunEntry", "RunReport", "Runs"]


class RunEntry(TypedDict):
    """One run of a list: `when` it ended, or began where it goes on; figures as of its last closed round.

    `reason` says why it is in a final state; "" where it goes on.
    """

    run: str
    run_id: str
    model: str | None
    status: str
    reason: str
    round: int
    rounds: int
    metrics: Figures
    seconds: float
    when: str | None


class FailureReport(ErrorRecord):
    """A failure of a worker, with its place."""

    round: int
    shard: int
    attempt: int
    activation: str


class RunReport(TypedDict, total=False):
    """Everything that is known of a run: of one that ended, its summary; of one that goes on, its state.

    Attributes:
        run: The run's key, or its id where it has none.
        run_id: The run's own id.
        status: "running", or its final state.
        model: "NAME:VERSION"; None where the run published none.
        phase: "build", "train" or "evaluate".
        round: The open round.
        rounds: Training rounds in total.
        epoch: The epoch under way, from 1.
        workers: Shards.
        workers_done: Shards whose update of the open round is there.
        workers_failed: Failures in the open round.
        seconds: Since the run was created.
        round_ms: Median length of a round.
        metrics: The newest figures.
        cost: Activations and GB-seconds.
        history: The entries of closed epochs.
        failures: All failures.
        reason: Why the run is in a final state.
        error: Why the run failed.
    """

    run: str
    run_id: str
    status: str
    model: str | None
    phase: str
    round: int
    rounds: int
    epoch: int
    workers: int
    workers_done: int
    workers_failed: int
    seconds: float
    round_ms: dict[str, float | None]
    metrics: Figures
    cost: CostTotal
    history: list[Figures]
    failures: list[FailureReport]
    reason: str
    error: ErrorRecord


class Runs:
    """Runs, by their keys or ids.

    Args:
        session: The platform and store.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def _keys(self) -> RunKeys:
        return RunKeys(self._session.store)

    def list(self) -> list[RunEntry]:
        """All runs, the newest first. One that its key does not name any more is called by its id."""
        store = self._session.store
        found = {run: _ended(run, summary) for run, summary in list_summaries(store).items()}
        for state in list_runs(store):
            if state.run not in found:
                found[state.run] = _running(state, snapshot(state))
        named = self._keys.runs()
        for run, entry in found.items():
            if ids.has_key(run) and run not in named:
                entry["run"] = run
        names = {entry["run"] for entry in found.values()}
        for run, rejection in list_rejections(store).items():
            if run not in names:
                found[run] = _rejected(run, rejection)
        return sorted(found.values(), key=lambda entry: str(entry["when"]), reverse=True)

    def show(self, run: str) -> RunReport:
        """Everything that is known of a run.

        Raises:
            NotFound: There is no such run.
        """
        store, id_ = self._session.store, self._keys.resolve(run)
        summary = RunArchive(store, id_).summary()
        if summary is not None:
            return cast(RunReport, lifecycle.without_schema(summary, id_))
        records = RunRecords(store, id_)
        state = records.read()
        if state is None:
            rejection = RunArchive(store, run).rejection()
            if rejection is None:
                raise self._missing(run)
            reason = rejection["error"]["message"]
            return {
                "run": run,
                "run_id": run,
                "status": "failed",
                "reason": reason,
                "error": rejection["error"],
            }
        failures = sorted(records.failures(), key=lambda f: (f.round, f.shard, f.attempt))
        return _report(state, snapshot(state, records), [_failure_report(f) for f in failures])

    def stop(self, run: str, *, wait: bool = True) -> RunReport:
        """Ask a run to stop after its present round.

        Args:
            run: Its key or id.
            wait: Whether to wait until it has; the run needs a host or a follower for that.

        Returns:
            As `show`.

        Raises:
            NotFound: There is no such run.
            DeadlineExceeded: Nothing serves it; it stops as soon as something does.
        """
        store, id_ = self._session.store, self._keys.resolve(run)
        if RunArchive(store, id_).summary() is not None:
            return self.show(id_)
        if not RunRecords(store, id_).exists():
            raise self._missing(run)
        self.ask_to_stop(id_)
        if wait:
            lifecycle.watch(self._session, id_, stopping=True)
        return self.show(id_)

    def ask_to_stop(self, run: str) -> None:
        """Ask a run to stop after its present round, without waiting; asking twice does no harm."""
        RunRecords(self._session.store, self._keys.resolve(run)).request_stop()

    def watch(self, run: str, progress: Report = None) -> RunResult:
        """Follow a run until it has ended.

        Returns:
            Its summary.

        Raises:
            NotFound: There is no such run.
        """
        return lifecycle.watch(self._session, self._keys.resolve(run), progress=progress)

    def resume(
        self,
        run: str,
        progress: Report = None,
        *,
        key: str | None = None,
        wait: bool = True,
        learning_rate: float | None = None,
    ) -> RunResult:
        """Resume a run that stopped, failed or diverged, as a new run that starts from its checkpoint.

        A run that was asked to stop when its host ended at the same time is brought to its stop first.

        Args:
            run: Its key or id.
            progress: Called with snapshots of the new run.
            key: The new run's key; made of the old one's otherwise.
            wait: Whether to wait for the end.
            learning_rate: The learning rate from here on, instead of the run's own; of a run that diverged, a lower one.

        Returns:
            The new run's result, as of `train`.

        Raises:
            NotFound: There is no such run.
            RequestError: It has no checkpoint.
        """
        store, id_ = self._session.store, self._keys.resolve(run)
        if RunRecords(store, id_).stop_requested():
            try:
                lifecycle.watch(self._session, id_, stopping=True)
            except NotFound:
                hint = "It was asked to stop before it had begun: train again."
                raise no_such_run(run, hint) from None
        round_ = RunArchive(store, id_).resumes_at()
        if round_ is None:
            status = self.show(run)["status"]
            raise RequestError(
                f"Run {run!r} is {status}; only a run that left a checkpoint can be resumed.",
                code="not_resumable",
                hint=f"`whisktrain runs watch {run}` follows it."
                if status == "running"
                else "Train again.",
            )
        self._session.narrate(
            f"rounds 1 to {round_ - 1} of run {run} are kept; going on with round {round_}"
        )
        return lifecycle.resume(
            self._session, id_, key=key, progress=progress, wait=wait, learning_rate=learning_rate
        )

    def delete(self, run: str, *, force: bool = False) -> None:
        """Delete everything of a run: its summary, its checkpoint, its key. Its model stays.

        A deletion that was interrupted is continued by another one.

        Args:
            run: Its key or id.
            force: Whether to delete a run that has not ended, too: its activations find it gone, and leave.

        Raises:
            NotFound: There is no such run.
            RequestError: It has not ended.
        """
        store, keys = self._session.store, self._keys
        owned = keys.owned_by(ids.check_run(run))
        id_ = owned or run
        records, ended = RunRecords(store, id_), RunArchive(store, id_).summary() is not None
        if not ended and not force and keys.names(id_) and records.exists():
            raise RequestError(
                f"Run {run!r} has not ended.",
                code="still_running",
                hint=f"Stop it first: `whisktrain runs stop {run}`; or delete it as it is: "
                f"`whisktrain runs delete {run} --force`.",
            )
        refused = RunArchive(store, run).rejection() is not None
        if not (ended or owned or refused or records.exists() or records.leftovers()):
            raise self._missing(run)
        RunArchive(store, ids.key_of(run)).delete_rejection()
        delete_run(store, id_)

    def _missing(self, run: str) -> NotFound:
        known = [entry["run"] for entry in self.list()]
        near = difflib.get_close_matches(run, known, n=1)
        return no_such_run(run, f"Did you mean {near[0]!r}?" if near else "")


def _ended(run: str, summary: RunSummary) -> RunEntry:
    return {
        "run": ids.key_of(run),
        "run_id": run,
        "model": summary["model"],
        "status": summary["status"],
        "reason": summary["reason"] or "",
        "round": summary["rounds"],
        "rounds": summary["rounds"],
        "metrics": summary["metrics"] or {},
        "seconds": summary["seconds"],
        "when": summary["ended"],
    }


def _rejected(run: str, rejection: Rejection) -> RunEntry:
    return {
        "run": run,
        "run_id": run,
        "model": None,
        "status": "failed",
        "reason": rejection["error"]["message"],
        "round": 0,
        "rounds": 0,
        "metrics": {},
        "seconds": 0.0,
        "when": _iso(rejection["ended"]),
    }


def _running(state: RunState, shown: Progress) -> RunEntry:
    return {
        "run": ids.key_of(state.run),
        "run_id": state.run,
        "model": shown.model,
        "status": shown.status,
        "reason": shown.reason,
        "round": shown.round,
        "rounds": shown.rounds,
        "metrics": _without_epoch(shown.latest),
        "seconds": round(shown.seconds, 1),
        "when": _iso(state.created),
    }


def _report(state: RunState, shown: Progress, failures: builtins.list[FailureReport]) -> RunReport:
    return {
        "run": ids.key_of(state.run),
        "run_id": state.run,
        "status": shown.status,
        "model": shown.model,
        "phase": shown.phase,
        "round": shown.round,
        "rounds": shown.rounds,
        "epoch": shown.epoch,
        "workers": shown.workers,
        "workers_done": shown.done,
        "workers_failed": shown.failed,
        "seconds": round(shown.seconds, 1),
        "round_ms": {"p50": shown.round_ms},
        "metrics": _without_epoch(shown.latest),
        "cost": state.cost.total(),
        "history": list(shown.history),
        "failures": failures,
    }


def _failure_report(failure: Failure) -> FailureReport:
    return {
        "round": failure.round,
        "shard": failure.shard,
        "attempt": failure.attempt,
        "activation": failure.execution,
        **failure.error,
    }


def _without_epoch(figures: Figures) -> Figures:
    return {key: value for key, value in figures.items() if key != "epoch"}


def _iso(seconds: float) -> str | None:
    return (
        datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="seconds")
        if seconds
        else None
    )
