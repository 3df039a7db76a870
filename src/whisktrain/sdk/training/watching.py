"""Follows one training until there is a result: its activation, its run in the store, and Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from whisktrain.errors import DeadlineExceeded, PlatformError, StoreUnreachable
from whisktrain.records.run_records import RunRecords
from whisktrain.sdk.training import outcomes, stalls
from whisktrain.sdk.training.following import Progress, Snapshots
from whisktrain.sdk.training.recovery import Recovery
from whisktrain.sdk.training.report import data_report
from whisktrain.sdk.training.stalls import Outage, Stall, no_such_run

if TYPE_CHECKING:
    from whisktrain.jsontypes import Json
    from whisktrain.sdk.session import Session
    from whisktrain.sdk.training.interrupts import Interrupts
    from whisktrain.serving.results import RunResult

__all__ = ["Report", "Started", "TrainingWatch"]

Report: TypeAlias = Callable[[Progress], None] | None
"""Called with snapshots of the run."""

_FIRST_LOOK_S = 0.1
_LOOK_UNSEEN_S = 0.2
"""Seconds between two looks at the activation, before the run is there."""
_LOOK_ENDING_S = 0.05
"""The same once the run has been there and has ended: its result is about to come."""
_LOOK_EMBEDDED_S = 1.0
"""The same while the run trains on this machine."""
_LOOK_REMOTE_S = 3.0
"""The same while it trains on OpenWhisk."""
_LONGEST_WAIT_S = 0.5
_RECORD_S = 150.0
"""Seconds after a run's end within which the record of its sequence comes, which decides on rows last, …"""
_LOST_RECORD_S = 10.0
"""… and where the platform did not answer meanwhile: it may have lost the activation."""
_START_S = 60.0
"""Seconds by which a run's start may be later than the longest activation that the platform allows."""


@dataclass(frozen=True, slots=True)
class Started:
    """A training that was started.

    Attributes:
        activation: The activation of the sequence, or of `train`.
        run: The run's key.
        rows: The request's `predict` section, where rows were given.
    """

    activation: str
    run: str
    rows: Json = None


class TrainingWatch:
    """Waits for the result of one training, and reports its progress.

    Args:
        session: The platform and store.
        started: What to wait for.
        interrupts: Counts Ctrl-C.
        progress: Called with snapshots of the run.
        wait: Whether to wait for the end; else the first answer counts.
    """

    def __init__(
        self,
        session: Session,
        started: Started,
        interrupts: Interrupts,
        *,
        progress: Report = None,
        wait: bool = True,
    ) -> None:
        self._session = session
        self._started = started
        self._interrupts = interrupts
        self._progress = progress
        self._wait = wait
        self._snapshots = Snapshots(session.store, started.run, awaited=True)
        self._stall = Stall(session, self._snapshots)
        self._recovery = Recovery(session, self._snapshots)
        self._store_outage = Outage(session, started.run)
        self._platform_outage = Outage(session, started.run)
        self._stop_requested: float | None = None
        self._stop_announced = False
        self._outlived = False
        self._named = False
        self._begun = time.monotonic()
        self._unseen_until: float | None = None
        self._ended: float | None = None
        self._reported = False
        self._next_look = 0.0
        self._pause = _FIRST_LOOK_S
        self._training_pause = _LOOK_EMBEDDED_S if session.embedded else _LOOK_REMOTE_S

    def result(self) -> RunResult:
        """Wait for the result.

        Raises:
            WhisktrainError: The training failed, or is not waited for any longer; the error carries the run.
            KeyboardInterrupt: Ctrl-C was pressed twice; or once, where no process takes the run to its stop.
        """
        while True:
            try:
                result = self._look()
                if result is not None:
                    return result
                self._snapshots.wait(min(self._pause, _LONGEST_WAIT_S))
                self._store_outage.answered()
            except StoreUnreachable as error:
                self._store_outage.note(error)
                time.sleep(_LONGEST_WAIT_S)

    def _look(self) -> RunResult | None:
        """Look once at everything that is waited for; the result, where there is one."""
        self._request_stop_on_interrupt()
        self._stall.check()
        self._recovery.look()
        training = self._show_progress()
        if not self._outlived:
            return self._look_at_activation(training)
        return self._look_at_summary()

    def _request_stop_on_interrupt(self) -> None:
        """Ask the run to stop at the first Ctrl-C; give up where it does not move any more."""
        if self._interrupts.asked and self._stop_requested is None:
            run = self._snapshots.find()
            if run is not None:
                self._stop_requested = time.monotonic()
                RunRecords(self._session.store, run).request_stop()
                self._session.narrate("stopping after this round; Ctrl-C again stops at once")
            elif not self._stop_announced:  # there is nothing yet that could be asked to stop
                self._stop_announced = True
                self._session.narrate("stopping once the run has begun; Ctrl-C again stops at once")
        if self._stop_requested is not None and not self._session.embedded:
            waited = time.monotonic() - self._stop_requested
            if min(self._snapshots.idle(), waited) > stalls.INFORM_S:
                raise KeyboardInterrupt  # the run stops as soon as a follower serves it; waiting here does not help

    def _show_progress(self) -> bool:
        """Report a new snapshot, where there is one; whether the run trains, as far as is known."""
        shown = self._snapshots.take()
        if shown is None:
            return self._snapshots.seen and self._pause == self._training_pause
        self._report(shown)
        return shown.status == "running"

    def _report(self, shown: Progress) -> None:
        """Report a snapshot, before the first one what was done with the data."""
        if not self._reported:
            self._reported = True
            self._report_data(shown.dataset)
        if self._progress is not None:
            self._progress(shown)

    def _report_data(self, dataset: str) -> None:
        from whisktrain.data.shards.storage import find_dataset

        found = find_dataset(self._session.store, dataset)
        for line in data_report(found.body) if found is not None else ():
            self._session.narrate(line)

    def _look_at_activation(self, training: bool) -> RunResult | None:
        """The result of the activation, where it is due to look and the activation has ended."""
        if time.monotonic() < self._next_look:
            return None
        result = self._read_activation()
        if result is not None:
            if result["status"] != "training" or not self._wait:
                self._show_the_end()
                return result
            why = result.get("reason") or f"run {self._started.run} outlives its train stage"
            self._follow_in_store(
                f"{why.rstrip('.')}; following it in the store",
                result.get("run_id"),
            )
        elif training:
            training = self._snapshots.exists()
        self._pause = (
            self._training_pause
            if training
            else _LOOK_ENDING_S
            if self._snapshots.seen
            else _LOOK_UNSEEN_S
        )
        self._next_look = time.monotonic() + self._pause
        if not self._outlived:
            return None if training else self._look_without_record()
        return self._look_at_summary()

    def _read_activation(self) -> RunResult | None:
        """The result of the activation; None while it has none, and where only the store can say how the run goes on.

        Raises:
            WhisktrainError: The training failed; or the platform does not answer, and there is no run.
        """
        started = self._started
        try:
            record = self._session.client.activation(started.activation)
            self._platform_outage.answered()
        except PlatformError as error:
            self._platform_outage.note(error, bounded=not self._snapshots.seen)
            return None
        if record is None:
            return None
        try:
            return outcomes.result_of(self._session, record, started.run)
        except (
            PlatformError
        ) as error:  # the platform ended the activation: that is not the run's end
            if not self._wait or not (self._snapshots.exists() or self._snapshots.summary()):
                raise
            self._follow_in_store(
                f"{error.message} Run {started.run} goes on; following it in the store",
            )
            return None

    def _follow_in_store(self, why: str, run_id: str | None = None) -> None:
        self._outlived = True
        if run_id is not None:
            self._snapshots.bind(run_id)
            self._named = True
        self._session.narrate(why)

    def _look_without_record(self) -> RunResult | None:
        """What is known while the activation has no record: nothing yet, or the end of a run whose record was lost.

        Raises:
            DeadlineExceeded: Neither a run nor a record, for longer than the platform lets an activation run.
            NotFound: The run is gone.
        """
        now = time.monotonic()
        if not self._snapshots.seen and self._snapshots.summary() is None:
            self._check_start(now)
            return None
        if self._snapshots.exists():
            self._ended = None
            return None
        self._ended = self._ended or now
        lost = self._platform_outage.seen
        if now - self._ended < (_LOST_RECORD_S if lost else _RECORD_S):
            return None
        return self._look_at_summary()

    def _check_start(self, now: float) -> None:
        """Raise `DeadlineExceeded` where the run should have begun long ago."""
        if now - self._begun < _START_S:
            return
        if self._unseen_until is None:
            limits = self._session.client.info().get("limits", {})
            longest = float(limits.get("max_action_duration") or 300_000) / 1000
            self._unseen_until = self._begun + 2 * longest + _START_S
        if now > self._unseen_until:
            raise DeadlineExceeded(
                f"Run {self._started.run} has not begun after {now - self._begun:.0f} s, and its activation "
                f"{self._started.activation} has no record.",
                code="not_started",
                hint="OpenWhisk may have lost the activation: `whisktrain doctor` checks that; then train again.",
            )

    def _look_at_summary(self) -> RunResult | None:
        """The result of a run that outlived its activation, where the run has ended."""
        summary = self._snapshots.summary()
        if summary is None:
            if (self._snapshots.seen or self._named) and self._snapshots.deleted():
                raise no_such_run(self._started.run, "It was deleted while it was waited for.")
            return None
        self._show_the_end()
        return outcomes.late_result(self._session, summary, self._started.rows)

    def _show_the_end(self) -> None:
        if (end := self._snapshots.last()) is not None:
            self._report(end)
