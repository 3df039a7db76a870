"""The store's feed of changes: what waiting for the documents of a run, of a round, or of all runs has brought."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from whisktrain.records import ids
from whisktrain.records.ids import DocumentId
from whisktrain.records.run import RunState
from whisktrain.store.protocol import Changes, Store

__all__ = ["AnyChange", "RoundChange", "RunChange", "RunsFeed", "watched_ids"]


def watched_ids(state: RunState, missing: Collection[int]) -> set[str]:
    """The ids of the documents that an aggregate waits for in the open round.

    Args:
        state: The run.
        missing: What the round lacks: shards, or {0} for the first parameters in round 0.
    """
    run, attempts = state.run, range(state.spec.attempts + 1)
    failures = {
        ids.failure(run, state.round, shard, attempt) for shard in missing for attempt in attempts
    }
    if state.round == 0:
        needed = {ids.params(run, state.spec.first_round)}
    else:
        needed = {ids.update(run, state.round, shard) for shard in missing}
    return failures | needed | {ids.stop(run)}


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
            shards=tuple(
                part.shard for part in parsed if part.kind == "update" and part.shard is not None
            ),
            built=any(part.kind == "params" for part in parsed),
            failed=any(part.kind == "failure" for part in parsed),
            stop=stop_id in present,
            removed=bool(deleted),
        )


@dataclass(frozen=True, slots=True)
class AnyChange:
    """The result of waiting for any document of any run.

    Attributes:
        position: The feed's position after the wait.
        runs: The runs of which a document was written.
        registrations: Whether a registration was written or deleted.
    """

    position: str
    runs: frozenset[str]
    registrations: bool


class RunsFeed:
    """The feed of the documents of all runs, as the follower follows it.

    Args:
        store: The store.
    """

    def __init__(self, store: Store) -> None:
        self._rounds = store.rounds

    def list_runs(self) -> tuple[str, frozenset[str]]:
        """The feed's position, and after it was taken the runs that have documents, whether open or left over."""
        position = self._rounds.changes(None).position
        return position, _runs_of(document.id for document in self._rounds.list("", bodies=False))

    def wait(self, position: str, seconds: float) -> AnyChange:
        """Wait until a document is written or deleted, at most `seconds`."""
        changes = self._rounds.changes(position, timeout=seconds)
        return AnyChange(
            position=changes.position,
            runs=_runs_of(row.id for row in changes.rows if not row.deleted),
            registrations=any(row.id.startswith(ids.registration_prefix()) for row in changes.rows),
        )


def _runs_of(document_ids: Iterable[str]) -> frozenset[str]:
    parsed = map(DocumentId.parse, document_ids)
    return frozenset(part.run for part in parsed if part is not None)
