"""The live view of a run on stderr: one line that changes on a terminal, one line for each epoch elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from whisktrain.cli.output.live import LiveLine

if TYPE_CHECKING:
    from whisktrain.cli.context import CommandContext
    from whisktrain.sdk import Progress
    from whisktrain.spec import Figures

__all__ = ["Screen", "line"]


EVERY_EPOCH = 100
"""Up to so many epochs each has a line of its own; of more, one a second has."""


def line(shown: Progress, width: int = 200) -> str:
    """A run in one line: round, figures, workers, time; without the epoch where that is too wide."""
    full = _line(shown, epoch=True)
    return full if len(full) <= width else _line(shown, epoch=False)


def _line(shown: Progress, *, epoch: bool) -> str:
    if shown.status != "running":
        return f"{shown.status}: {shown.reason}"
    if shown.phase == "build":
        return f"building the model, {shown.workers} workers, {shown.seconds:.1f} s"
    if shown.phase == "evaluate":
        head = "evaluating"
    else:
        head = f"round {shown.round}/{shown.rounds}"
        if epoch and shown.rounds != shown.epochs:
            head += f" (epoch {shown.epoch}/{shown.epochs})"
    parts = [head, *_two_figures(shown.latest or _last(shown))]
    parts.append(
        f"workers {shown.done}/{shown.workers}"
        + (f", {shown.failed} failed" if shown.failed else "")
    )
    parts.append(f"{shown.seconds:.1f} s")
    if shown.round_ms is not None:
        parts.append(f"{shown.round_ms:.0f} ms/round")
    return "  ".join(parts)


def _last(shown: Progress) -> Figures:
    return shown.history[-1] if shown.history else {}


def _two_figures(figures: Figures) -> list[str]:
    """The loss, and the one figure beside it that says most."""
    best = next(
        (k for k in ("val_accuracy", "val_mae", "accuracy", "mae") if figures.get(k) is not None),
        None,
    )
    return _figures({k: figures.get(k) for k in ("loss", best) if k is not None})


_WORDS = {
    "loss": "loss",
    "accuracy": "accuracy",
    "mae": "mae",
    "val_loss": "val loss",
    "val_accuracy": "val accuracy",
    "val_mae": "val mae",
    "val_r2": "val R²",
}
"""The figures that are shown, in this order, with their words."""


def _figures(figures: Figures) -> list[str]:
    found = []
    for key, word in _WORDS.items():
        value = figures.get(key)
        if isinstance(value, (int, float)):
            found.append(f"{word} {value:.4f}" if abs(value) < 1000 else f"{word} {value:.4g}")
    return found


def epoch_line(entry: Figures, shown: Progress, *, timed: bool = True) -> str:
    """A closed epoch in one line.

    Args:
        entry: The epoch's figures.
        shown: The run.
        timed: Whether the epoch has just ended: the run's times are not those of an epoch that ended before.
    """
    parts = [
        f"epoch {entry['epoch']}/{shown.epochs}",
        f"round {entry['round']}/{shown.rounds}",
        *_figures(entry),
    ]
    if timed:
        parts.append(f"{shown.seconds:.1f} s")
        if shown.round_ms is not None:
            parts.append(f"{shown.round_ms:.0f} ms/round")
    return "  ".join(parts)


class Screen:
    """Shows snapshots of a run. A context manager: leaving it puts the terminal in order.

    Args:
        context: Where narration goes.
        on: Whether to show anything.
    """

    def __init__(self, context: CommandContext, on: bool = True) -> None:
        self._context = context
        self._on = on
        self._live = LiveLine()
        self._epochs = 0
        self._failures: set[tuple[int, int, int]] = set()
        self._begun = False
        self._said = 0.0

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take the live line away."""
        self._live.close()

    def show(self, shown: Progress) -> None:
        """Show a snapshot."""
        if not self._on:
            return
        self._say_failures(shown)
        if sys.stderr.isatty():
            self._live.show(lambda width: line(shown, width))
        else:
            self._say_epochs(shown)

    def _say_epochs(self, shown: Progress) -> None:
        if not self._begun and shown.round > 0:
            self._begun = True
            self._context.say(
                f"training {shown.model}: {shown.workers} workers, {shown.rounds} rounds in {shown.epochs} epochs"
            )
        for number in self._due(shown):
            entry = shown.history[number]
            self._epochs, self._said = number + 1, shown.seconds
            self._context.say(epoch_line(entry, shown, timed=number >= shown.missed))

    def _due(self, shown: Progress) -> range:
        """The entries of the history to show now: all new ones; of a long run the newest, once a second and at the end."""
        count = len(shown.history)
        if shown.epochs <= EVERY_EPOCH:
            return range(self._epochs, count)
        ended = count > 0 and shown.history[-1]["epoch"] == shown.epochs
        due = ended or shown.status != "running" or shown.seconds - self._said >= 1.0
        return range(max(self._epochs, count - 1), count) if due else range(0)

    def _say_failures(self, shown: Progress) -> None:
        for failed in shown.failures:
            at = (failed.round, failed.shard, failed.attempt)
            if at in self._failures:
                continue
            self._failures.add(at)
            who = "the model's builder" if shown.phase == "build" else f"worker {failed.shard}"
            where = f"activation {failed.execution}" if failed.execution else "activation unknown"
            why = failed.error.get("message", "")
            text = (
                f"{who} failed in round {failed.round}, attempt {failed.attempt} ({where}): {why}"
            )
            if not self._live.above(text):
                self._context.say(text)
