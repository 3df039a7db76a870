"""The state of one aggregate activation."""

from __future__ import annotations

from dataclasses import dataclass

from whisktrain.records.run import RunState
from whisktrain.records.run_records import RunRecords
from whisktrain.rounds.activations import Activations
from whisktrain.rounds.aggregate.cleanup import Cleanup
from whisktrain.rounds.invoker import Invoker
from whisktrain.rounds.lease_clock import LeaseClock

__all__ = ["AggregateContext"]


@dataclass(slots=True)
class AggregateContext:
    """The state of one activation; nothing of it is needed to continue elsewhere.

    Attributes:
        records: The run's documents.
        invoker: Starts workers and the successor.
        clock: The activation's time.
        nonce: The random word of this execution.
        predecessor: The nonce of the execution that handed over to this one.
        cleanup: What is yet to be stored and deleted.
        activations: What the platform knows of the slots' activations.
        position: The feed's position.
        state: The run, where this execution knows it without reading.
        stop: Whether a stop was requested.
        listing: Whether the round's updates have to be listed: another execution may have seen them arrive.
        swept: Whether leftovers of earlier rounds were deleted.
        closed: Rounds closed so far.
        typical_bytes: The bytes of one update in the round before.
    """

    records: RunRecords
    invoker: Invoker
    clock: LeaseClock
    nonce: str
    predecessor: str
    cleanup: Cleanup
    activations: Activations
    position: str = ""
    state: RunState | None = None
    stop: bool = False
    listing: bool = True
    swept: bool = False
    closed: int = 0
    typical_bytes: int = 0

    def forget(self) -> None:
        """Forget the run's state, so that it is read again."""
        self.state = None
