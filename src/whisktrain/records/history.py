"""The history of a run: the figures of its closed epochs, and the sums of the epoch under way.

A round's parameters carry only the newest entries. Earlier ones are in documents of their own, `BLOCK` epochs each, written
once and before the first parameters that count on them. So no document of a round grows with the number of epochs, and
whatever is restored, repaired or resumed still has the whole history.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NotRequired, TypedDict

from whisktrain.errors import Conflict
from whisktrain.records import ids
from whisktrain.spec import Figures, MetricSums
from whisktrain.store.protocol import Store

__all__ = ["BLOCK", "HistoryBody", "HistoryRecords", "TrainingHistory"]

BLOCK = 32
"""Entries of a block. One write more for so many epochs."""


class HistoryBody(TypedDict):
    """A history as a document holds it; without blocks in documents of earlier versions."""

    entries: list[Figures]
    epoch: int
    sums: MetricSums | None
    blocks: NotRequired[int]


@dataclass(frozen=True, slots=True)
class TrainingHistory:
    """The history so far, as the params documents carry it.

    Attributes:
        entries: One entry for each closed epoch that no block holds: its number ("epoch", from 1), its last round ("round") and
            its figures. The newest entry is always here.
        epoch: The epoch under way, from 0.
        sums: The training sums of its rounds so far; None before the first.
        blocks: Blocks of earlier entries.
    """

    entries: list[Figures] = field(default_factory=list)
    epoch: int = 0
    sums: MetricSums | None = None
    blocks: int = 0

    def to_body(self) -> HistoryBody:
        """The history as JSON."""
        return {
            "entries": self.entries,
            "epoch": self.epoch,
            "sums": self.sums,
            "blocks": self.blocks,
        }

    @classmethod
    def from_body(cls, body: HistoryBody) -> TrainingHistory:
        """The history that `to_body` wrote."""
        return cls(body["entries"], body["epoch"], body["sums"], body.get("blocks", 0))

    def full_blocks(self) -> Iterator[tuple[int, list[Figures]]]:
        """The blocks that the entries fill, by number; at least one entry is left over."""
        for start in range(0, len(self.entries) - BLOCK, BLOCK):
            yield self.blocks + start // BLOCK, self.entries[start : start + BLOCK]


class HistoryRecords:
    """Every read and write of the blocks of one run's history.

    Args:
        store: The store.
        run: The run's id.
    """

    def __init__(self, store: Store, run: str) -> None:
        self._rounds = store.rounds
        self._run = run
        self._known: dict[int, list[Figures]] = {}

    def put_blocks(self, history: TrainingHistory) -> TrainingHistory:
        """Create the blocks that the history fills; two writers put the same.

        Returns:
            The history without the entries that blocks hold now.
        """
        for number, entries in history.full_blocks():
            try:
                body = {"schema": ids.SCHEMA, "entries": entries}
                self._rounds.put(ids.history(self._run, number), body)
            except Conflict:
                pass
            history = replace(history, entries=history.entries[BLOCK:], blocks=number + 1)
        return history

    def entries(self, history: TrainingHistory) -> list[Figures] | None:
        """All entries of a history; None where a block of it is gone: the run has ended."""
        wanted = range(history.blocks)
        unknown = {ids.history(self._run, n): n for n in wanted if n not in self._known}
        if unknown:
            found = self._rounds.get_many(unknown)
            self._known |= {unknown[id_]: d.body["entries"] for id_, d in found.items()}
        if any(n not in self._known for n in wanted):
            return None
        return [entry for n in wanted for entry in self._known[n]] + history.entries
