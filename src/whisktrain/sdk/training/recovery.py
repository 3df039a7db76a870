"""Carries on a run whose host on this machine has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whisktrain.records.run_records import RunRecords

if TYPE_CHECKING:
    from whisktrain.sdk.session import Session

__all__ = ["carry_on_if_abandoned"]


def carry_on_if_abandoned(session: Session, run: str) -> None:
    """Start a host for a run on this machine that no live host carries on.

    The holders of its leases ended with the last host, so workers and aggregate are invoked at once instead of when the leases
    would have ended; doing that twice does no harm.
    """
    if not session.embedded or session.hosts:
        return
    from whisktrain.sdk.hosting import live_hosts

    if live_hosts(session.where.home):
        return
    session.narrate(f"no host carries run {run} on; a host of this command does now")
    state = RunRecords(session.store, run).read()
    for slot in range(state.spec.slots if state is not None and not state.final else 0):
        session.client.start("whisktrain/worker", {"run": run, "slot": slot, "successor": True})
    session.client.start("whisktrain/aggregate", {"run": run})
