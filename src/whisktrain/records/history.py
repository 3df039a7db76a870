"""The history of a run: the figures of its closed epochs, and the sums of the epoch under way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["TrainingHistory"]


@dataclass(frozen=True, slots=True)
class TrainingHistory:
    """The history so far, as the params documents carry it.

    Attributes:
        history: One entry for each closed epoch.
        epoch: The epoch that is under way.
        sums: The training sums of its rounds so far; None before the first.
    """

    history: list[dict[str, Any]] = field(default_factory=list)
    epoch: int = 0
    sums: dict[str, Any] | None = None

    def to_body(self) -> dict[str, Any]:
        """The history as JSON."""
        return {"history": self.history, "epoch": self.epoch, "sums": self.sums}
