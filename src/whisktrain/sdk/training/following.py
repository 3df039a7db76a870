"""Snapshots of a run, read from the store one after another until the run has ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from whisktrain.records import round_times
from whisktrain.records.archive import RunArchive
from whisktrain.records.run_records import RunRecords
from whisktrain.rules import batches

if TYPE_CHECKING:
    from whisktrain.records.failures import Failure
    from whisktrain.records.run import RunState
    from whisktrain.records.summary import RunSummary
    from whisktrain.spec import Figures
    from whisktrain.store.protocol import Store

__all__ = ["Progress", "Snapshots", "snapshot"]


@dataclass(frozen=True, slots=True)
class Progress:
    """A snapshot of a run.

    Attributes:
        run: Its id.
        model: The model that it will publish.
        dataset: The data set that it trains on.
        status: "running" or a final state.
        reason: Why it is in a final state.
        phase: "build", "train" or "evaluate".
        round: The open round, 0 while the model is built.
        rounds: Training rounds in total.
        epoch: The epoch under way, from 1.
        epochs: Epochs in total.
        workers: Shards.
        done: Shards whose update of the open round is there.
        failed: Failures in the open round.
        seconds: Since the run was created.
        round_ms: Median length of a round so far, in milliseconds; None before there is one.
        latest: The newest figures: "loss", "accuracy", "val_accuracy", … and the "epoch" that they belong to.
        history: The entries of closed epochs.
        failures: The failures in the open round.
    """

    run: str
    model: str
    dataset: str
    status: str
    reason: str
    phase: str
    round: int
    rounds: int
    epoch: int
    epochs: int
    workers: int
    done: int = 0
    failed: int = 0
    seconds: float = 0.0
    round_ms: float | None = None
    latest: Figures = field(default_factory=dict)
    history: tuple[Figures, ...] = ()
    failures: tuple[Failure, ...] = ()


def snapshot(store: Store, state: RunState, *, details: bool = True) -> Progress:
    """Take a snapshot of a run.

    Args:
        store: The store.
        state: The run.
        details: Whether to read the history and the open round's documents too (three small reads).
    """
    spec = state.spec
    timed = round_times.count(state.timing) >= batches.rounds_per_epoch(spec)
    shown = Progress(
        run=state.run,
        model=state.model,
        dataset=spec.dataset,
        status=state.status,
        reason=state.reason,
        phase=state.phase,
        round=state.round,
        rounds=spec.rounds,
        epoch=batches.epoch_of(spec, min(max(state.round, 1), spec.rounds)) + 1,
        epochs=batches.epoch_of(spec, spec.rounds) + 1,
        workers=spec.shards,
        seconds=max(0.0, (state.outcome.ended if state.outcome else time.time()) - state.created),
        round_ms=round_times.quantile(state.timing, 0.5) if timed else None,
        latest=dict(state.latest),
    )
    return _with_details(store, state, shown) if details else shown


def _with_details(store: Store, state: RunState, shown: Progress) -> Progress:
    """The snapshot with the history, and with what is there of the open round."""
    if state.final:
        history = state.outcome.history if state.outcome is not None else None
        return replace(shown, history=tuple(history or ()))
    records = RunRecords(store, state.run)
    failures = sorted(records.failures(state.round), key=lambda f: (f.shard, f.attempt))
    return replace(
        shown,
        history=tuple(records.read_history(state.params).entries),
        done=len(records.shards(state.round)),
        failed=len(failures),
        failures=tuple(failures),
    )


class Snapshots:
    """Snapshots of one run, as it changes.

    Args:
        store: The store.
        run: The run's id.
        every: Seconds between two snapshots at least.
    """

    def __init__(self, store: Store, run: str, *, every: float = 0.2) -> None:
        self._store = store
        self._records = RunRecords(store, run)
        self._archive = RunArchive(store, run)
        self._every = every
        self._position: str | None = None
        self._rev = ""
        self._changed = 0.0
        self.seen = False
        """Whether the run has been there."""

    @property
    def idle(self) -> float:
        """Seconds for which the run has not changed; 0 before it is there."""
        return time.monotonic() - self._changed if self.seen else 0.0

    def wait(self, seconds: float) -> None:
        """Wait until the run has changed, at most so long."""
        if self._position is None:
            self._position = self._records.position()
            return
        begin = time.monotonic()
        change = self._records.wait_for_run(self._position, seconds)
        self._position = change.position
        rest = self._every - (time.monotonic() - begin)
        if (
            change.changed and rest > 0
        ):  # several rounds may pass in this time: one snapshot shows them all
            time.sleep(rest)

    def take(self) -> Progress | None:
        """The run as it is now; None where it is not there, or has not changed since the last time."""
        state = self._records.read()
        if state is None or state.rev == self._rev:
            return None
        self.seen, self._rev, self._changed = True, state.rev, time.monotonic()
        return snapshot(self._store, state)

    def exists(self) -> bool:
        """Whether there is a run document."""
        return self._records.exists()

    def summary(self) -> RunSummary | None:
        """The summary of the run; None while it has not ended."""
        return self._archive.summary()

    def last(self, before: Progress | None) -> Progress | None:
        """The last snapshot, from the run's summary; None without a summary, or where there was no snapshot before."""
        summary = self.summary()
        if summary is None or before is None:
            return None
        return replace(
            before,
            status=summary["status"],
            reason=summary["reason"] or "",
            round=max(before.round, summary["rounds"] or 0),
            seconds=summary["seconds"] or before.seconds,
            history=tuple(summary["history"] or ()),
            failures=(),
        )

    def until_ended(self) -> Iterator[Progress]:
        """Snapshots until there is a summary, or nothing of the run."""
        newest = None
        while self.summary() is None:
            found = self.take()
            if found is not None:
                newest = found
                yield found
            elif self.seen and not self.exists() and self.summary() is None:
                return
            self.wait(0.5)
        if (end := self.last(newest)) is not None:
            yield end
