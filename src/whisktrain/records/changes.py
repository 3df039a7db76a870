"""The results of waiting for a run's documents in the store's feed of changes."""

from __future__ import annotations

from dataclasses import dataclass

from whisktrain.records.run import RunState

__all__ = ["RoundChange", "RunChange"]


@dataclass(frozen=True, slots=True)
class RunChange:
    """The result of waiting for the run document.

    Attributes:
        position: The feed's position after the wait.
        changed: Whether the run document has changed, or was deleted.
        state: The run as it is now, where it has changed and is there.
    """

    position: str
    changed: bool
    state: RunState | None


@dataclass(frozen=True, slots=True)
class RoundChange:
    """The result of waiting for the documents of the open round.

    Attributes:
        position: The feed's position after the wait.
        shards: Shards whose update was written.
        built: Whether the first parameters were written.
        failed: Whether a failure was written.
        stop: Whether a stop was requested.
        removed: Whether a document of the round was deleted: the run has moved on.
    """

    position: str
    shards: tuple[int, ...] = ()
    built: bool = False
    failed: bool = False
    stop: bool = False
    removed: bool = False
