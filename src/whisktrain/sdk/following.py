"""What a run is doing, read from the store: one snapshot after another until it has ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from whisktrain.errors import ErrorRecord
from whisktrain.records import ids, round_times
from whisktrain.records.run import RunState
from whisktrain.records.run_records import RunRecords
from whisktrain.rules import batches

if TYPE_CHECKING:
    from whisktrain.store.protocol import Store

__all__ = ["Failed", "Progress", "Snapshots", "failures", "snapshot"]


@dataclass(frozen=True, slots=True)
class Failed:
    """A worker's failure.

    Attributes:
        round: The round.
        shard: The shard.
        attempt: Which attempt it was.
        activation: The activation, "" where it is not known.
        error: `{code, message, hint, retryable}`.
        log: The last log lines.
    """

    round: int
    shard: int
    attempt: int
    activation: str
    error: ErrorRecord
    log: tuple[str, ...] = ()


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
    latest: dict[str, Any] = field(default_factory=dict)
    history: tuple[dict[str, Any], ...] = ()
    failures: tuple[Failed, ...] = ()


def failures(store: Store, run: str, round_: int | None = None) -> tuple[Failed, ...]:
    """The failures of a run, or of one of its rounds, in the order of round, shard and attempt."""
    found = (
        Failed(f.round, f.shard, f.attempt, f.execution, f.error, tuple(f.log)) for f in RunRecords(store, run).failures(round_)
    )
    return tuple(sorted(found, key=lambda f: (f.round, f.shard, f.attempt)))


def snapshot(store: Store, state: RunState, *, details: bool = True) -> Progress:
    """What a run is doing now.

    Args:
        store: The store.
        state: The run.
        details: Whether to read the history and the open round's documents too (three small reads).
    """
    spec = state.spec
    each = batches.rounds_per_epoch(spec)
    history: tuple[dict[str, Any], ...] = ()
    done, failed = 0, cast(tuple[Failed, ...], ())
    if details and state.outcome is not None:
        history = tuple(state.outcome.history or ())
    if details and not state.final:
        records = RunRecords(store, state.run)
        history = tuple(records.read_history(state.params).entries)
        done = len(records.shards(state.round))
        failed = failures(store, state.run, state.round)
    return Progress(
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
        done=done,
        failed=len(failed),
        seconds=max(0.0, (state.outcome.ended if state.outcome else time.time()) - state.created),
        round_ms=round_times.quantile(state.timing, 0.5) if round_times.count(state.timing) >= each else None,
        latest=dict(state.latest),
        history=history,
        failures=failed,
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
        self._run = run
        self._every = every
        self._position: str | None = None
        self._rev = ""
        self._moved = 0.0
        self.seen = False
        """Whether the run has been there."""

    @property
    def still(self) -> float:
        """Seconds for which the run has not changed; 0 before it is there."""
        return time.monotonic() - self._moved if self.seen else 0.0

    def wait(self, seconds: float) -> None:
        """Wait until the run has changed, at most so long."""
        watched = [ids.run(self._run)]
        if self._position is None:
            self._position = self._store.rounds.changes(None, ids=watched).position
            return
        begin = time.monotonic()
        found = self._store.rounds.changes(self._position, timeout=seconds, ids=watched)
        self._position = found.position
        rest = self._every - (time.monotonic() - begin)
        if found.rows and rest > 0:  # several rounds may pass in this time: one snapshot shows them all
            time.sleep(rest)

    def take(self) -> Progress | None:
        """The run as it is now; None where it is not there, or has not changed since the last time."""
        document = self._store.rounds.get(ids.run(self._run))
        if document is None or document.rev == self._rev:
            return None
        self.seen, self._rev, self._moved = True, document.rev, time.monotonic()
        return snapshot(self._store, RunState.from_body(self._run, document.rev, document.body))

    def summary(self) -> dict[str, Any] | None:
        """The summary of the run; None while it has not ended."""
        found = self._store.library.get(ids.summary(self._run))
        return None if found is None else {k: v for k, v in found.body.items() if k != "schema"}

    def last(self, before: Progress | None) -> Progress | None:
        """The run as its summary tells it, for whoever saw it before; None where there is no summary, or nobody saw it."""
        summary = self.summary()
        if summary is None or before is None:
            return None
        return replace(
            before,
            status=str(summary["status"]),
            reason=str(summary.get("reason") or ""),
            round=max(before.round, int(summary.get("rounds") or 0)),
            seconds=float(summary.get("seconds") or before.seconds),
            history=tuple(summary.get("history") or ()),
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
            elif self.seen and self._store.rounds.get(ids.run(self._run)) is None and self.summary() is None:
                return
            self.wait(0.5)
        if (end := self.last(newest)) is not None:
            yield end
