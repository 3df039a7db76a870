"""A platform without a follower: the caller is informed that the run is idle, and Ctrl-C does not wait for ever."""

from __future__ import annotations

import os
import signal
import threading

import pytest

import whisktrain
from openwhisk_local import Host
from whisktrain.errors import Interrupted
from whisktrain.openwhisk.client import Client
from whisktrain.openwhisk.deployment import deploy
from whisktrain.records.keys import RunKeys
from whisktrain.records.run_records import RunRecords
from whisktrain.sdk.training import stalls
from whisktrain.store.opening import open_store


def test_nothing_moves(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(stalls, "INFORM_S", 2.0)
    address, narrated = f"sqlite:{tmp_path}/store", []
    moved = threading.Event()

    def narrate(line: str) -> None:
        narrated.append(line)
        if line.startswith("nothing has moved"):
            moved.set()

    def press() -> None:
        if moved.wait(60):
            os.kill(os.getpid(), signal.SIGINT)

    with Host(tmp_path / "host") as host, Client(host.apihost, host.auth) as client:
        deploy(client, environment={"WHISKTRAIN_STORE": address})
        threading.Thread(target=press, daemon=True).start()
        with (
            whisktrain.connect(
                apihost=host.apihost, auth=host.auth, store=address, home=tmp_path, narrate=narrate
            ) as connection,
            pytest.raises(Interrupted) as caught,
        ):
            connection.train("iris", model="linear", epochs=1)
    assert moved.is_set()
    assert "whisktrain doctor" in " ".join(narrated)
    run = str(caught.value).split()[1]
    store = open_store(address)
    assert RunRecords(store, RunKeys(store).resolve(run)).stop_requested(), (
        "the next follower stops it"
    )
    store.close()
