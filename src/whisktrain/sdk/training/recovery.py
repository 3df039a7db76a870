"""Carries on runs whose host on this machine has ended: those who held their leases ended with it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from whisktrain.records import ids
from whisktrain.records.keys import RunKeys
from whisktrain.records.run_records import RunRecords, list_runs
from whisktrain.sdk.hosts import HostsOfHome

if TYPE_CHECKING:
    from whisktrain.openwhisk.client import Client
    from whisktrain.records.run import RunState
    from whisktrain.sdk.hosting import Hosting
    from whisktrain.sdk.session import Session
    from whisktrain.sdk.training.following import Snapshots
    from whisktrain.store.protocol import Store

__all__ = ["Recovery", "carry_on", "carry_on_orphans"]

_LOOK_S = 1.0
"""Seconds between two looks for a host, while a run is waited for."""


class Recovery:
    """Looks, while a run is waited for, whether a host on this machine carries it on; starts one where none does.

    Args:
        session: The platform and store.
        snapshots: The run.
    """

    def __init__(self, session: Session, snapshots: Snapshots) -> None:
        self._session = session
        self._snapshots = snapshots
        self._hosts = HostsOfHome(session.where.home, str(session.where.store))
        self._next_look = 0.0

    def look(self) -> None:
        """Carry the run on, where its host has ended; looks at most once a second."""
        session, run = self._session, self._snapshots.run
        if not session.embedded or time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + _LOOK_S
        orphan = run in self._hosts.orphans()
        if not orphan and self._hosts.serving():
            return
        session.renew()
        id_ = self._snapshots.find()
        state = RunRecords(session.store, id_).read() if id_ is not None else None
        if state is None or state.final:
            return
        if not session.hosts:
            session.narrate(f"no host carries run {run} on; a host of this command does now")
        if session.hosting.adopt(run) or not orphan:
            session.hosting.note_run(run)
            carry_on(session.client, state)


def carry_on_orphans(hosting: Hosting, store: Store, client: Client) -> None:
    """Carry on every run whose host has ended, on a host that stays.

    Where no other host serves an embedded store, that is every run that is open in it.
    """
    for run in hosting.hosts.orphans():
        if not hosting.adopt(run):
            continue
        id_ = RunKeys(store).find_run(run)
        state = RunRecords(store, id_ or run).read()
        if state is None or state.final:
            hosting.forget_run(run)
        else:
            carry_on(client, state)
    if not (hosting.alone and store.url.startswith("sqlite:")):
        return
    known = set(hosting.runs())
    for state in list_runs(store):
        if not state.final and ids.key_of(state.run) not in known:
            hosting.note_run(ids.key_of(state.run))
            carry_on(client, state)


def carry_on(client: Client, state: RunState) -> None:
    """Invoke a run's workers and its aggregate at once, instead of when the leases would have ended.

    Doing that twice does no harm; a run that only begins needs no more than the worker that builds its model.
    """
    if state.round == 0:
        client.start("whisktrain/worker", {"run": state.run, "slot": 0})
    else:
        for slot in range(state.spec.slots):
            client.start("whisktrain/worker", {"run": state.run, "slot": slot, "successor": True})
    client.start("whisktrain/aggregate", {"run": state.run, "after": state.nonce})
