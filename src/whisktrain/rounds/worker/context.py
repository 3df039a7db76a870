"""The state of one worker activation."""

from __future__ import annotations

from dataclasses import dataclass, field

from whisktrain.records.params import Params
from whisktrain.records.run import RunState
from whisktrain.records.run_records import RunRecords
from whisktrain.rounds.invoker import Invoker
from whisktrain.rounds.lease_clock import LeaseClock
from whisktrain.rounds.worker.poll_delay import PollDelay
from whisktrain.spec import Learner, OpenModel

__all__ = ["WorkerContext"]


@dataclass(slots=True)
class WorkerContext:
    """The state of one activation; nothing of it is needed to continue elsewhere."""

    records: RunRecords
    invoker: Invoker
    learner: Learner
    slot: int
    successor: bool
    clock: LeaseClock
    position: str | None = None
    changed: RunState | None = None
    poll_delay: PollDelay = field(default_factory=PollDelay)
    updates: int = 0
    built: bool = False
    rounds: set[int] = field(default_factory=set)
    params: Params | None = None
    model: OpenModel | None = None
    last_write_ms: float = 0.0
    cold: bool = False
    handed_over_to: str | None = None
    unmoved_since: float = 0.0

    def forget(self) -> None:
        """Forget the run's state, so that it is read again."""
        self.changed = None

    @property
    def model_key(self) -> tuple[str, str]:
        """The key of the run's model among the warm ones."""
        return self.records.store.url, self.records.run
