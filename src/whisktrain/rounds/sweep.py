"""SWEEP: removing what late writers left. A put without a revision succeeds on a deleted document, so that happens."""

from __future__ import annotations

from whisktrain.records import ids
from whisktrain.records.ids import prefixes, singles
from whisktrain.records.run import read_state
from whisktrain.rounds.failpoints import failpoint
from whisktrain.rules import closing
from whisktrain.store.protocol import Store

__all__ = ["dated", "leftovers", "sweep_absent", "sweep_recreated"]


def dated(store: Store, run: str) -> dict[str, str]:
    """The ids of a run's documents that belong to a round, with their revisions."""
    return {d.id: d.rev for prefix in prefixes(run) for d in store.rounds.list(prefix, bodies=False)}


def leftovers(store: Store, run: str) -> dict[str, str]:
    """The ids of all documents of a run in the rounds' database, but for its run document, with their revisions."""
    found = (store.rounds.get(id_) for id_ in singles(run))
    return dated(store, run) | {d.id: d.rev for d in found if d is not None}


def sweep_absent(store: Store, run: str) -> None:
    """Delete all that is left of a run that is absent."""
    failpoint("SWEEP")
    found = leftovers(store, run)
    # The run is read after the listing: what has been written since it may have been created is not touched.
    store.rounds.delete_many(closing.sweepable(found, run, read_state(store, run)), known=found)


def sweep_recreated(store: Store, run: str, rev: str) -> None:
    """A1: a late CREATE made an ended run again: delete all of it, and the run by its revision."""
    failpoint("SWEEP")
    found = leftovers(store, run)
    store.rounds.delete_many(found, known=found)
    store.rounds.delete(ids.run(run), rev=rev)
