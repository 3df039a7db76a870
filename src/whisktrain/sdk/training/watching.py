"""Follows one training until there is a result: its activation, its run in the store, and Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from whisktrain.records.run_records import RunRecords
from whisktrain.sdk.training import outcomes
from whisktrain.sdk.training.following import Progress, Snapshots
from whisktrain.sdk.training.report import data_report

if TYPE_CHECKING:
    from whisktrain.jsontypes import Json
    from whisktrain.sdk.session import Session
    from whisktrain.sdk.training.interrupts import Interrupts
    from whisktrain.serving.results import RunResult

__all__ = ["Report", "Started", "TrainingWatch"]

Report: TypeAlias = Callable[[Progress], None] | None
"""Called with snapshots of the run."""

_IDLE_S = 30.0
"""Seconds without any change of a run after which a person is informed; longer than a cold start of everything."""
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


@dataclass(frozen=True, slots=True)
class Started:
    """A training that was started.

    Attributes:
        activation: The activation of the sequence, or of `train`.
        run: The run's id.
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
        self._snapshots = Snapshots(session.store, started.run)
        self._newest: Progress | None = None
        self._stop_requested: float | None = None
        self._idle_reported = False
        self._early: RunResult | None = None
        self._next_look = 0.0
        self._pause = _FIRST_LOOK_S
        self._training_pause = _LOOK_EMBEDDED_S if session.embedded else _LOOK_REMOTE_S

    def result(self) -> RunResult:
        """Wait for the result.

        Raises:
            WhisktrainError: The training failed.
            KeyboardInterrupt: Ctrl-C was pressed twice; or once, where no process takes the run to its stop.
        """
        while True:
            self._request_stop_on_interrupt()
            self._report_idleness()
            training = self._show_progress()
            result = (
                self._look_at_activation(training)
                if self._early is None
                else self._look_at_summary(self._early)
            )
            if result is not None:
                return result
            self._snapshots.wait(min(self._pause, _LONGEST_WAIT_S))

    def _request_stop_on_interrupt(self) -> None:
        """Ask the run to stop at the first Ctrl-C; give up where it does not move any more."""
        if self._interrupts.asked and self._stop_requested is None:
            self._stop_requested = time.monotonic()
            RunRecords(self._session.store, self._started.run).request_stop()
            self._session.narrate("stopping after this round; Ctrl-C again stops at once")
        if self._stop_requested is not None and not self._session.embedded:
            waited = time.monotonic() - self._stop_requested
            if min(self._snapshots.idle, waited) > _IDLE_S:
                raise KeyboardInterrupt  # the run stops as soon as a follower serves it; waiting here does not help

    def _report_idleness(self) -> None:
        idle = self._snapshots.idle > _IDLE_S
        if idle and not self._idle_reported:
            self._session.narrate(
                f"nothing has moved for {_IDLE_S:.0f} s; unless a round takes that long, `whisktrain doctor` says why"
            )
        self._idle_reported = idle

    def _show_progress(self) -> bool:
        """Report a new snapshot, where there is one; whether the run trains, as far as is known."""
        shown = self._snapshots.take()
        if shown is None:
            return self._snapshots.seen and self._pause == self._training_pause
        if self._newest is None:
            self._report_data(shown.dataset)
        self._newest = shown
        if self._progress is not None:
            self._progress(shown)
        return shown.status == "running"

    def _report_data(self, dataset: str) -> None:
        """Say what was done with the data, before the training is shown."""
        from whisktrain.data.shards.storage import find_dataset

        found = find_dataset(self._session.store, dataset)
        for line in data_report(found.body) if found is not None else ():
            self._session.narrate(line)

    def _look_at_activation(self, training: bool) -> RunResult | None:
        """The result of the activation, where it is due to look and the activation has ended."""
        if time.monotonic() < self._next_look:
            return None
        record = self._session.client.activation(self._started.activation)
        if record is not None:
            result = outcomes.result_of(self._session, record, self._started.run)
            if result["status"] != "training" or not self._wait:
                self._show_the_end()
                return result
            self._early = result
            self._session.narrate(
                f"run {self._started.run} outlives its train stage; following it in the store"
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
        return self._look_at_summary(self._early) if self._early is not None else None

    def _look_at_summary(self, early: RunResult) -> RunResult | None:
        """The result of a run that outlived its activation, where the run has ended."""
        summary = self._snapshots.summary()
        if summary is None:
            return None
        self._show_the_end()
        return outcomes.late_result(self._session, early, summary, self._started.rows)

    def _show_the_end(self) -> None:
        if self._progress is not None and (end := self._snapshots.last(self._newest)) is not None:
            self._progress(end)
