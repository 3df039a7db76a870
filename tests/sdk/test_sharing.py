"""The host that commands share: who may use it, and when it ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from whisktrain.errors import ConfigurationError, StoreUnreachable
from whisktrain.records.keys import RunKeys
from whisktrain.records.run_records import RunRecords
from whisktrain.sdk import keeper, sharing
from whisktrain.sdk.hosts import HostsOfHome
from whisktrain.store.opening import open_store
from whisktrain.store.protocol import Store


@pytest.fixture
def hosts(tmp_path: Path) -> HostsOfHome:
    return HostsOfHome(tmp_path, f"sqlite:{tmp_path}/store")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:{tmp_path}/store")
    opened.ensure()
    yield opened
    opened.close()


def test_a_host_is_found_by_what_it_was_started_with(hosts: HostsOfHome, tmp_path: Path) -> None:
    folder, lock = hosts.claim(kind="shared")
    assert hosts.attach("this") is None, "it does not listen yet"
    hosts.publish(lock, kind="shared", apihost="http://here", started_with="this")
    assert hosts.attach("that") is None
    assert HostsOfHome(tmp_path, "sqlite:other").attach("this") is None
    found = hosts.attach("this")
    assert found is not None
    assert found[0].apihost == "http://here"
    found[1].close()
    hosts.release(folder, lock)
    assert hosts.attach("this") is None


def test_a_host_that_is_used_does_not_withdraw(hosts: HostsOfHome) -> None:
    folder, lock = hosts.claim(kind="shared")
    hosts.publish(lock, kind="shared", apihost="http://here", started_with="this")
    found = hosts.attach("this")
    assert found is not None
    assert not hosts.withdraw(folder, lock)
    found[1].close()  # as when its process is killed
    assert not hosts.in_use(folder)
    assert hosts.withdraw(folder, lock)
    assert hosts.attach("this") is None
    hosts.release(folder, lock)


def test_other_settings_or_files_are_another_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WHISKTRAIN_WORKER_MEMORY", raising=False)
    usual = sharing._digest()
    monkeypatch.setenv("WHISKTRAIN_HOST_STAYS", "7")
    monkeypatch.setenv("HOME", "/elsewhere")
    assert sharing._digest() == usual
    monkeypatch.setenv("WHISKTRAIN_WORKER_MEMORY", "999")
    assert sharing._digest() != usual
    monkeypatch.delenv("WHISKTRAIN_WORKER_MEMORY")
    monkeypatch.setattr(sharing, "__version__", "0.0.1")
    assert sharing._digest() != usual


def test_a_home_that_cannot_be_written_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be written") as caught:
        sharing.SharedHost(tmp_path / "file", "sqlite:a").start()
    assert caught.value.code == "home_not_writable"


@pytest.mark.parametrize(("given", "seconds"), [("", 300.0), ("0", 0.0), ("-1", 0.0), ("x", 300.0)])
def test_how_long_a_host_stays(given: str, seconds: float) -> None:
    assert sharing.stays_for({"WHISKTRAIN_HOST_STAYS": given} if given else {}) == seconds


class Hosted:
    """A host as its keeper sees it, with a run on it and a number of looks in which a command uses it."""

    def __init__(self, folder: Path, uses: int = 0, runs: tuple[str, ...] = ()) -> None:
        self.folder, self.uses, self.noted = folder, uses, list(runs)
        self.refused, self.published = 0, 0

    def check(self) -> None:
        pass

    def in_use(self) -> bool:
        self.uses -= 1
        return self.uses >= 0

    def withdraw(self) -> bool:
        self.refused -= 1
        return self.refused < 0

    def publish(self) -> None:
        self.published += 1

    def runs(self) -> list[str]:
        return list(self.noted)

    def forget_run(self, run: str) -> None:
        self.noted.remove(run)


def keep(hosting: Hosted, store: Store, stays: float = 0.05) -> threading.Thread:
    ending = threading.Event()
    thread = threading.Thread(target=keeper.keep, args=(hosting, store, stays, ending))
    thread.ending = ending  # type: ignore[attr-defined]
    thread.start()
    return thread


def test_it_ends_when_nothing_needs_it(tmp_path: Path, store: Store) -> None:
    hosting = Hosted(tmp_path, uses=3, runs=("ended",))
    hosting.refused = 1  # a command was faster once
    keep(hosting, store).join(20)
    assert hosting.uses < 0
    assert hosting.noted == [], "a run that is not there any more keeps nothing"
    assert hosting.refused < 0


def test_it_stays_for_a_run_until_it_is_told_to_end(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "_LOOK_RUNS_S", 0.02)
    run = RunKeys(store).claim("r", {})["run"]
    looked = threading.Event()
    exists = RunRecords.exists

    def look(self: Any) -> bool:
        looked.set()
        exists(self)
        return True

    monkeypatch.setattr(RunRecords, "exists", look)
    thread = keep(Hosted(tmp_path, runs=("r",)), store)
    assert looked.wait(20)
    thread.join(0.3)
    assert thread.is_alive(), run
    thread.ending.set()  # type: ignore[attr-defined]
    thread.join(20)
    assert not thread.is_alive()


def test_a_store_that_does_not_answer_does_not_end_it(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bool:
        raise StoreUnreachable("no")

    monkeypatch.setattr(RunRecords, "exists", fail)
    assert keeper._trains(Hosted(tmp_path, runs=("r",)), store)  # type: ignore[arg-type]


def test_it_ends_with_its_folder(tmp_path: Path, store: Store) -> None:
    thread = keep(Hosted(tmp_path / "gone"), store, 60.0)
    thread.join(20)
    assert not thread.is_alive()
