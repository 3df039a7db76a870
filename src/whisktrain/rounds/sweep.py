"""SWEEP: removing what late writers left. A put without a revision succeeds on a deleted document, so that happens."""

from __future__ import annotations

from whisktrain.rounds import rules
from whisktrain.rounds.places import prefixes, singles
from whisktrain.rounds.state import read_state
from whisktrain.rounds.steps import at
from whisktrain.store import documents
from whisktrain.store.protocol import Store

__all__ = ["leftovers", "sweep", "sweep_recreated"]


def leftovers(store: Store, run: str) -> list[str]:
    """The ids of all documents of a run in the rounds' database, but for its run document."""
    found = [d.id for prefix in prefixes(run) for d in store.rounds.list(prefix, bodies=False)]
    return [*found, *(id_ for id_ in singles(run) if store.rounds.get(id_) is not None)]


def sweep(store: Store, run: str) -> int:
    """Delete a run's documents that nobody can need: all of them where the run is absent.

    Returns:
        How many were deleted.
    """
    at("SWEEP")
    found = leftovers(store, run)
    # The run is read after the listing: what has been written since belongs to rounds that are not swept.
    return store.rounds.delete_many(rules.sweepable(found, run, read_state(store, run))) if found else 0


def sweep_recreated(store: Store, run: str, rev: str) -> None:
    """A1: a late CREATE made an ended run again: delete all of it, and the run by its revision."""
    at("SWEEP")
    store.rounds.delete_many(leftovers(store, run))
    store.rounds.delete(documents.run(run), rev=rev)
