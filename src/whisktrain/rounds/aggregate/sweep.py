"""SWEEP: deleting what late writers left. A put without a revision succeeds on a deleted document, so that happens."""

from __future__ import annotations

from whisktrain.records.archive import RunArchive
from whisktrain.records.keys import RunKeys
from whisktrain.records.run_records import RunRecords
from whisktrain.rounds.failpoints import Step, failpoint
from whisktrain.rules.deletion import sweepable

__all__ = ["forget_deleted", "sweep_absent", "sweep_recreated"]


def sweep_absent(records: RunRecords) -> None:
    """Delete all that is left of a run that is absent."""
    failpoint(Step.SWEEP)
    found = records.leftovers()
    # The run is read after the listing, so that documents of a run created since then are not deleted.
    records.delete_documents(sweepable(found, records.run, records.read()), found)
    forget_deleted(records)


def forget_deleted(records: RunRecords) -> None:
    """Delete summary and checkpoint of a run that was deleted while an aggregate was writing them."""
    if not RunKeys(records.store).names(records.run):
        RunArchive(records.store, records.run).delete()


def sweep_recreated(records: RunRecords, rev: str) -> None:
    """Delete everything of an ended or deleted run that a late CREATE made again, its run document by its revision (A1)."""
    failpoint(Step.SWEEP)
    found = records.leftovers()
    records.delete_documents(found, found)
    records.delete(rev)
