"""The history of a run: the figures of its closed epochs, and the sums of the epoch under way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypedDict

from whisktrain.spec import Figures, MetricSums

__all__ = ["HistoryBody", "TrainingHistory"]


class HistoryBody(TypedDict):
    """A history as a document holds it."""

    entries: list[Figures]
    epoch: int
    sums: MetricSums | None


@dataclass(frozen=True, slots=True)
class TrainingHistory:
    """The history so far, as the params documents carry it.

    Attributes:
        entries: One entry for each closed epoch: its number ("epoch", from 1), its last round ("round") and its figures.
        epoch: The epoch under way, from 0.
        sums: The training sums of its rounds so far; None before the first.
    """

    entries: list[Figures] = field(default_factory=list)
    epoch: int = 0
    sums: MetricSums | None = None

    def to_body(self) -> HistoryBody:
        """The history as JSON."""
        return {"entries": self.entries, "epoch": self.epoch, "sums": self.sums}

    @classmethod
    def from_body(cls, body: HistoryBody) -> TrainingHistory:
        """The history that `to_body` wrote."""
        return cls(body["entries"], body["epoch"], body["sums"])
