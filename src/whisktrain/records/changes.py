"""The results of waiting for a run's documents in the store's feed of changes."""

from __future__ import annotations

from dataclasses import dataclass

from whisktrain.records.ids import DocumentId
from whisktrain.records.run import RunState
from whisktrain.store.protocol import Changes

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

    @classmethod
    def of(cls, changes: Changes, stop_id: str) -> RoundChange:
        """What rows of the feed say.

        Args:
            changes: Rows of the round's documents.
            stop_id: The id of the run's stop request.
        """
        present = [row.id for row in changes.rows if not row.deleted]
        deleted = [row.id for row in changes.rows if row.deleted and row.id != stop_id]
        parsed = [part for part in map(DocumentId.parse, present) if part is not None]
        return cls(
            position=changes.position,
            shards=tuple(part.shard for part in parsed if part.kind == "update" and part.shard is not None),
            built=any(part.kind == "params" for part in parsed),
            failed=any(part.kind == "failure" for part in parsed),
            stop=stop_id in present,
            removed=bool(deleted),
        )
