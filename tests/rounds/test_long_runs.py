"""Runs of many epochs: nothing that a round writes or reads grows with the number of epochs before it."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from numpy_learner import NumpyLearner
from rounds_rig import (
    Limits,
    Platform,
    model_bytes,
    plan_of,
    put_dataset,
    train,
    wait_clean,
    wait_summary,
)

from whisktrain.errors import StoreError
from whisktrain.records import ids
from whisktrain.records.archive import RunArchive
from whisktrain.records.run_records import RunRecords
from whisktrain.rounds.opening import create
from whisktrain.rules.resuming import resumed_plan
from whisktrain.store.protocol import Database, Store

MAX_DOCUMENT = 16_000


class SmallDocuments:
    """A database that refuses large documents (not attachments), as CouchDB does with `max_document_size`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.puts = 0
        self.largest = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    def put(self, id: str, body: Any, **named: Any) -> str:  # noqa: A002
        size = len(json.dumps(body))
        if size > MAX_DOCUMENT:
            raise StoreError(f"{id} is too large: {size} bytes", code="too_large")
        self.puts, self.largest = self.puts + 1, max(self.largest, size)
        return self._database.put(id, body, **named)


class SmallStore:
    def __init__(self, store: Store) -> None:
        self.url, self.ensure = store.url, store.ensure
        self.library, self.rounds = SmallDocuments(store.library), SmallDocuments(store.rounds)


def test_a_run_of_1200_epochs_ends_on_a_store_for_small_documents(store: Store) -> None:
    put_dataset(store)
    small: Any = SmallStore(store)
    summary = train(
        small,
        plan_of(rounds=1200, batch=0, lease=280.0),
        platform=Platform(small, seconds=300),
        seconds=280,
    )
    assert summary["status"] == "completed"
    assert [entry["epoch"] for entry in summary["history"]] == list(range(1, 1201))
    assert small.rounds.puts / 1200 < 2 + 3 + 0.1, "a block of history is one write for many rounds"
    assert RunArchive(store, "r").summary() == summary
    assert "history" not in store.library.get(ids.summary("r")).body


def test_stopped_and_resumed_after_many_epochs_has_the_whole_history(store: Store) -> None:
    put_dataset(store)
    spec = plan_of(rounds=150, batch=0)
    whole = train(store, spec, run="whole")
    small: Any = SmallStore(store)
    platform = Platform(small, NumpyLearner(lambda work: time.sleep(0.002)))
    with platform.following():
        create(small, platform, "s", spec)
        while (state := RunRecords(store, "s").read()) is None or state.round < 75:
            time.sleep(0.002)
        RunRecords(store, "s").request_stop()
        assert wait_summary(small, "s")["status"] == "stopped"
        checkpoint = RunArchive(small, "s").read_checkpoint()
        assert len(checkpoint.history.entries) >= 70 and checkpoint.history.blocks == 0
        goes_on, best = resumed_plan(checkpoint, "s", "t", Limits())
        create(small, platform, "t", goes_on, best=best)
        resumed = wait_summary(small, "t")
        wait_clean(store)
    assert not platform.errors()
    assert resumed["history"] == whole["history"] and resumed["metrics"] == whole["metrics"]
    assert model_bytes(store, version=3) == model_bytes(store)


@pytest.mark.parametrize("phase", ["failed", "stopped"])
def test_however_a_long_run_ends_its_history_is_whole(store: Store, phase: str) -> None:
    put_dataset(store)

    def trouble(work: Any) -> None:
        time.sleep(0.001)
        if phase == "failed" and work.round == 70:
            raise ValueError("no more")

    platform = Platform(store, NumpyLearner(trouble))
    with platform.following():
        create(store, platform, "r", plan_of(rounds=500, batch=0, attempts=1))
        while phase == "stopped" and (
            (state := RunRecords(store, "r").read()) is None or state.round < 70
        ):
            time.sleep(0.002)
        if phase == "stopped":
            RunRecords(store, "r").request_stop()
        summary = wait_summary(store, "r")
        wait_clean(store)
    assert summary["status"] == phase
    epochs = [entry["epoch"] for entry in summary["history"]]
    assert epochs == list(range(1, len(epochs) + 1)) and len(epochs) >= 68
