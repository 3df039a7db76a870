"""Which hosts of a home are alive, and who carries on the runs of those that are not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from plans import plan_of

from whisktrain.records.run import RunState
from whisktrain.records.run_records import RunRecords
from whisktrain.sdk.hosting import Hosting
from whisktrain.sdk.hosts import HostsOfHome
from whisktrain.sdk.training.following import Snapshots
from whisktrain.sdk.training.recovery import Recovery, carry_on_orphans
from whisktrain.store.opening import open_store
from whisktrain.store.protocol import Store

CLAIM = """
import sys, time
from pathlib import Path
from whisktrain.sdk.hosts import HostsOfHome
hosts = HostsOfHome(Path(sys.argv[1]), sys.argv[2])
folder, lock = hosts.claim()
hosts.note_run(folder, "r")
print(folder, flush=True)
time.sleep(600)
"""


@pytest.fixture
def hosts(tmp_path: Path) -> HostsOfHome:
    return HostsOfHome(tmp_path, "sqlite:a")


def killed_host(home: Path, store: str) -> None:
    """A host of another process, on which run "r" trains, killed."""
    command = [sys.executable, "-c", CLAIM, str(home), store]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline()
    try:
        assert process.pid in [host.pid for host in HostsOfHome(home, store).serving()]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_home_without_hosts_has_none(hosts: HostsOfHome, tmp_path: Path) -> None:
    assert hosts.alive() == []
    assert not (tmp_path / "hosts").exists(), "a look makes nothing"


def test_a_host_is_alive_as_long_as_it_holds_its_lock(hosts: HostsOfHome, tmp_path: Path) -> None:
    folder, lock = hosts.claim()
    assert [host.pid for host in hosts.serving()] == [os.getpid()]
    assert HostsOfHome(tmp_path, "sqlite:b").serving() == [], "it serves another store"
    hosts.release(folder, lock)
    assert hosts.alive() == []
    assert not folder.exists()


def test_a_bare_host_serves_no_run(hosts: HostsOfHome) -> None:
    folder, lock = hosts.claim(bare=True)
    assert len(hosts.alive()) == 1
    assert hosts.serving() == []
    hosts.release(folder, lock)


def test_a_live_process_with_a_dead_hosts_number_is_no_host(
    hosts: HostsOfHome, tmp_path: Path
) -> None:
    left = tmp_path / "hosts" / f"{os.getpid()}-00000000"
    left.mkdir(parents=True)
    (left / "lock").write_text(json.dumps({"pid": os.getpid(), "store": ""}))
    assert hosts.alive() == []
    assert not left.exists()


def test_the_runs_of_a_killed_host_are_adopted_once(hosts: HostsOfHome, tmp_path: Path) -> None:
    killed_host(tmp_path, "sqlite:a")
    assert hosts.orphans() == ["r"]
    assert HostsOfHome(tmp_path, "sqlite:b").orphans() == []
    folder, lock = hosts.claim()
    assert hosts.adopt(folder, "r")
    assert not hosts.adopt(folder, "r")
    assert hosts.orphans() == []
    hosts.release(folder, lock)
    assert hosts.orphans() == ["r"], "it goes on, and its host has ended"


def test_a_run_that_has_ended_is_no_orphan(hosts: HostsOfHome) -> None:
    folder, lock = hosts.claim()
    hosts.note_run(folder, "r")
    hosts.forget_run(folder, "r")
    hosts.release(folder, lock)
    assert hosts.orphans() == []


class OwnHost:
    """The host of a session, as far as a recovery sees it: nothing is started."""

    def __init__(self, home: Path, store: Store) -> None:
        self.where = SimpleNamespace(home=home, store=store.url)
        self.store, self.embedded, self.hosts = store, True, False
        self.started: list[tuple[str, dict[str, Any]]] = []
        self.said: list[str] = []
        self.narrate = self.said.append
        self.registry = HostsOfHome(home, store.url)
        self._hosting: Hosting | None = None

    def renew(self) -> None:
        """Its host never ends."""

    @property
    def hosting(self) -> Any:
        if not self.hosts:
            self.hosts, self.claimed = True, self.registry.claim()
        folder = self.claimed[0]
        return SimpleNamespace(
            adopt=lambda run: self.registry.adopt(folder, run),
            note_run=lambda run: self.registry.note_run(folder, run),
        )

    @property
    def client(self) -> Any:
        return SimpleNamespace(start=lambda *words: self.started.append(words))


@pytest.fixture
def session(tmp_path: Path) -> Iterator[OwnHost]:
    store = open_store(f"sqlite:{tmp_path}/store")
    store.ensure()
    yield OwnHost(tmp_path, store)
    store.close()


def open_run(store: Store, round_: int) -> None:
    state = RunState("r", plan_of(), 1, round=round_, nonce="n", leases={0: time.time() + 600})
    RunRecords(store, "r").create(state)


TAKEN_OVER = [
    ("whisktrain/worker", {"run": "r", "slot": 0, "successor": True}),
    ("whisktrain/worker", {"run": "r", "slot": 1, "successor": True}),
    ("whisktrain/aggregate", {"run": "r", "after": "n"}),
]


@pytest.mark.parametrize("others", [0, 1])
def test_the_run_of_a_killed_host_is_carried_on_at_once_whatever_its_leases_say(
    session: OwnHost, tmp_path: Path, others: int
) -> None:
    held = [session.registry.claim() for _ in range(others)]
    open_run(session.store, 3)
    killed_host(tmp_path, session.store.url)
    recovery = Recovery(session, Snapshots(session.store, "r"))  # type: ignore[arg-type]
    for _ in range(3):
        recovery.look()
        recovery._next_look = 0.0
    assert session.started == TAKEN_OVER
    assert len(session.said) == 1
    for claim in [*held, session.claimed]:
        session.registry.release(*claim)


def test_a_host_that_dies_later_is_noticed(session: OwnHost) -> None:
    open_run(session.store, 0)
    other = session.registry.claim()
    session.registry.note_run(other[0], "r")
    recovery = Recovery(session, Snapshots(session.store, "r"))  # type: ignore[arg-type]
    recovery.look()
    assert session.started == []
    session.registry.release(*other)
    recovery._next_look = 0.0
    recovery.look()
    assert session.started[0] == ("whisktrain/worker", {"run": "r", "slot": 0})
    session.registry.release(*session.claimed)


@pytest.mark.parametrize("alone", [True, False])
def test_a_host_that_stays_carries_on_what_dead_ones_have_left(
    session: OwnHost, tmp_path: Path, alone: bool
) -> None:
    open_run(session.store, 3)
    hosting = Hosting(tmp_path, session.store.url, kind="local")
    hosting.alone = alone
    hosting._claim = session.registry.claim()
    carry_on_orphans(hosting, session.store, session.client)
    assert session.started == (TAKEN_OVER if alone else []), "no orphan, but nothing else serves it"
    session.started.clear()
    session.registry.release(*hosting._claim)
    hosting._claim = session.registry.claim()
    session.registry.note_run(hosting._claim[0], "ended")
    killed_host(tmp_path, session.store.url)
    carry_on_orphans(hosting, session.store, session.client)
    assert session.started == TAKEN_OVER
    assert hosting.runs() == ["ended", "r"]
    session.registry.release(*hosting._claim)


def test_a_run_that_is_not_there_needs_no_host(session: OwnHost) -> None:
    Recovery(session, Snapshots(session.store, "r")).look()  # type: ignore[arg-type]
    assert (session.started, session.hosts) == ([], False)
