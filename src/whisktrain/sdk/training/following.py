"""Snapshots of a run, read from the store one after another while it changes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from whisktrain.records import ids, round_times
from whisktrain.records.archive import RunArchive
from whisktrain.records.history import TrainingHistory
from whisktrain.records.keys import RunKeys
from whisktrain.records.run_records import RunRecords
from whisktrain.records.summary import unwritten_summary
from whisktrain.rules import batches
from whisktrain.spec import Spec

if TYPE_CHECKING:
    from whisktrain.records.failures import Failure
    from whisktrain.records.run import RunState
    from whisktrain.records.summary import RunSummary
    from whisktrain.spec import Figures
    from whisktrain.store.protocol import Store

__all__ = ["Progress", "Snapshots", "snapshot"]

_COUNT_S = 5.0
"""Seconds without a change of the run document after which, and between which, the open round's documents are counted."""


@dataclass(frozen=True, slots=True)
class Progress:
    """A snapshot of a run.

    Attributes:
        run: Its key, or its id where it has none.
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
        missed: Entries of the history that were there when watching began: they ended before `seconds`.
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
    missed: int = 0


def snapshot(state: RunState, records: RunRecords | None = None) -> Progress:
    """Take a snapshot of a run.

    Args:
        state: The run.
        records: Its documents, where the history and the open round are to be read too (three small reads).
    """
    spec = state.spec
    timed = round_times.count(state.timing) >= batches.rounds_per_epoch(spec)
    shown = Progress(
        run=ids.key_of(state.run),
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
    return _with_details(records, state, shown) if records is not None else shown


def _with_details(records: RunRecords, state: RunState, shown: Progress) -> Progress:
    """The snapshot with the history, and with what is there of the open round."""
    if state.final:
        history = state.outcome.history if state.outcome is not None else None
        return replace(shown, history=_entries(records, history or TrainingHistory()))
    failures = sorted(records.failures(state.round), key=lambda f: (f.shard, f.attempt))
    return replace(
        shown,
        history=_entries(records, records.read_history(state.params)),
        done=len(records.shards(state.round)),
        failed=len(failures),
        failures=tuple(failures),
    )


def _entries(records: RunRecords, history: TrainingHistory) -> tuple[Figures, ...]:
    """All entries of a history; the newest, where the run is being cleaned up."""
    return tuple(records.history.entries(history) or history.entries)


class Snapshots:
    """Snapshots of one run, as it changes.

    Args:
        store: The store.
        run: The run's id; or where it is awaited, its key.
        awaited: Whether the run may not be there yet.
        every: Seconds between two snapshots at least.

    Attributes:
        run: The run's key, or its id where it has none.
    """

    def __init__(
        self, store: Store, run: str, *, awaited: bool = False, every: float = 0.2
    ) -> None:
        self.run = ids.key_of(run)
        self._store = store
        self._keys = RunKeys(store)
        self._id: str | None = None
        self._every = every
        self._position: str | None = None
        self._state: RunState | None = None
        self._newest: Progress | None = None
        self._looked = False
        self._missed = 0
        self._changed = 0.0
        self._counted = (0, 0)
        self._count_at = 0.0
        if not awaited:
            self.bind(run)

    def bind(self, id_: str) -> None:
        """Follow the run of this id from now on."""
        if id_ != self._id:
            self._id, self._position, self._state = id_, None, None
            self._records = RunRecords(self._store, id_)
            self._archive = RunArchive(self._store, id_)

    def find(self) -> str | None:
        """The run's id; None while its key names none."""
        if self._id is None and (found := self._keys.find_run(self.run)) is not None:
            self.bind(found)
        return self._id

    @property
    def seen(self) -> bool:
        """Whether the run has been there."""
        return self._state is not None

    @property
    def round_ms(self) -> float | None:
        """Median length of a round so far, in milliseconds; None before there is one."""
        return self._newest.round_ms if self._newest is not None else None

    def idle(self) -> float:
        """Seconds for which neither the run nor what is there of its open round has changed; 0 before it is there."""
        if self._state is None:
            return 0.0
        now = time.monotonic()
        if now >= max(self._changed + _COUNT_S, self._count_at):
            self._count_at = now + _COUNT_S
            counted = self._count(self._state.round)
            if counted != self._counted:
                self._counted, self._changed = counted, now
        return now - self._changed

    def _count(self, round_: int) -> tuple[int, int]:
        return len(self._records.shards(round_)), len(self._records.failures(round_))

    def leased(self) -> bool:
        """Whether an activation has said that it serves the run until some time to come."""
        state = self._state
        ends = [] if state is None else [state.aggregate_lease, *state.leases.values()]
        return any(end > time.time() for end in ends)

    def wait(self, seconds: float) -> None:
        """Wait until the run has changed, at most so long."""
        if self._id is None:
            self._position = self._keys.wait(self.run, self._position, seconds)
            return
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
        first, self._looked = not self._looked, True
        if self.find() is None:
            return None
        state = self._records.read()
        if state is None or (self._state is not None and state.rev == self._state.rev):
            return None
        shown = snapshot(state, self._records)
        before = state.spec.first_round  # a resumed run has the epochs of the run that was stopped
        self._missed = (
            len(shown.history)
            if first
            else max(self._missed, sum(_round_of(entry) < before for entry in shown.history))
        )
        self._state, self._changed = state, time.monotonic()
        self._counted = (shown.done, shown.failed)
        self._newest = replace(shown, missed=self._missed)
        return self._newest

    def exists(self) -> bool:
        """Whether there is a run document."""
        return self.find() is not None and self._records.exists()

    def summary(self) -> RunSummary | None:
        """The summary of the run; None while it has not ended."""
        if self.find() is None:
            return None
        state = self._state
        return self._archive.summary() or (unwritten_summary(state) if state is not None else None)

    def deleted(self) -> bool:
        """Whether nothing is left of the run: it has not ended, it is gone."""
        return not self.exists() and self.summary() is None

    def last(self) -> Progress | None:
        """The last snapshot, from the run's summary; None without one.

        A run may have begun and ended between two looks, so that this is its only snapshot.
        """
        summary = self.summary()
        if summary is None or "spec" not in summary:
            return None
        before = self._newest or _ended(summary)
        return replace(
            before,
            status=summary["status"],
            reason=summary["reason"] or "",
            round=max(before.round, summary["rounds"] or 0),
            seconds=summary["seconds"] or before.seconds,
            history=tuple(summary["history"] or ()),
            failures=(),
        )


def _round_of(entry: Figures) -> int:
    round_ = entry.get("round")
    return round_ if isinstance(round_, int) else 0


def _ended(summary: RunSummary) -> Progress:
    """A snapshot of a run that has ended, from its summary alone."""
    spec = Spec.from_json(summary["spec"])
    epochs = batches.epoch_of(spec, spec.rounds) + 1
    return Progress(
        run=ids.key_of(summary["run"]),
        model=summary["model"] or spec.name,
        dataset=spec.dataset,
        status=summary["status"],
        reason=summary["reason"],
        phase="evaluate",
        round=summary["rounds"],
        rounds=spec.rounds,
        epoch=epochs,
        epochs=epochs,
        workers=spec.shards,
        round_ms=summary["round_ms"]["p50"],
    )
