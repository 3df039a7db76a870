"""Runs by their keys and ids: what names which run, and what may be deleted; nothing serves them here."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from plans import plan_of

import whisktrain
from whisktrain.errors import NotFound, RequestError
from whisktrain.records import ids
from whisktrain.records.archive import RunArchive
from whisktrain.records.keys import RunKeys
from whisktrain.records.run import Outcome, RunState
from whisktrain.records.run_records import RunRecords
from whisktrain.records.summary import summarize
from whisktrain.store.protocol import Store


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[whisktrain.Connection]:
    address = f"sqlite:{tmp_path}/store"
    with whisktrain.connect(
        apihost="http://127.0.0.1:9", auth="a:b", store=address, home=tmp_path
    ) as opened:
        opened.store.ensure()
        yield opened


def begin(store: Store, key: str, **changes: Any) -> RunState:
    now = time.time()
    run = RunKeys(store).claim(key, {})["run"]
    state = RunState(run, plan_of(), 1, round=3, phase="train", created=now, opened=now, **changes)
    made = RunRecords(store, run).create(state)
    assert made is not None
    return made


def end(store: Store, state: RunState) -> None:
    final = RunState(
        state.run,
        state.spec,
        1,
        status="completed",
        reason="Done.",
        created=1.0,
        outcome=Outcome(2.0),
    )
    RunArchive(store, state.run).put_summary(summarize(final, [], ["a"], published=True))
    RunRecords(store, state.run).delete_all()


def documents(store: Store) -> list[str]:
    return [d.id for part in (store.library, store.rounds) for d in part.list("", bodies=False)]


def test_a_run_is_called_by_its_key_and_found_by_either(connection: whisktrain.Connection) -> None:
    state = begin(connection.store, "churn")
    for name in ("churn", state.run):
        shown = connection.runs.show(name)
        assert (shown["run"], shown["run_id"], shown["status"]) == ("churn", state.run, "running")
    end(connection.store, state)
    for name in ("churn", state.run):
        shown = connection.runs.show(name)
        assert (shown["run"], shown["run_id"], shown["status"]) == ("churn", state.run, "completed")
    [entry] = connection.runs.list()
    assert (entry["run"], entry["run_id"]) == ("churn", state.run)
    for name in ("churn@00000000", "other"):
        with pytest.raises(NotFound):
            connection.runs.show(name)


def test_a_live_run_is_deleted_only_by_force(connection: whisktrain.Connection) -> None:
    begin(connection.store, "churn")
    with pytest.raises(RequestError) as refused:
        connection.runs.delete("churn")
    assert refused.value.code == "still_running" and "--force" in refused.value.hint
    connection.runs.delete("churn", force=True)
    assert documents(connection.store) == []
    with pytest.raises(NotFound):
        connection.runs.delete("churn", force=True)


def test_a_key_whose_run_was_never_created_can_be_deleted(
    connection: whisktrain.Connection,
) -> None:
    RunKeys(connection.store).claim("churn", {})
    with pytest.raises(NotFound):
        connection.runs.show("churn")
    connection.runs.delete("churn")
    assert documents(connection.store) == []


def test_a_deletion_that_was_interrupted_is_completed(connection: whisktrain.Connection) -> None:
    store = connection.store
    state = begin(store, "churn")
    RunKeys(store).mark_deleted(state.run)
    [entry] = connection.runs.list()
    assert entry["run"] == state.run, "the key does not name it any more"
    connection.runs.delete("churn")
    assert documents(store) == []


def test_what_a_key_does_not_name_any_more_is_listed_and_deleted_by_its_id(
    connection: whisktrain.Connection,
) -> None:
    """A summary that a killed aggregate of a deleted run has left."""
    store = connection.store
    lost = RunState("churn@00000000", plan_of(), 1, status="stopped", outcome=Outcome(2.0))
    RunArchive(store, lost.run).put_summary(summarize(lost, [], ["a"], published=False))
    state = begin(store, "churn")
    assert {entry["run"] for entry in connection.runs.list()} == {"churn", "churn@00000000"}
    connection.runs.delete("churn@00000000")
    assert [entry["run_id"] for entry in connection.runs.list()] == [state.run]


def test_a_run_without_a_key_is_called_by_its_id(connection: whisktrain.Connection) -> None:
    store = connection.store
    state = RunState("0123abcd", plan_of(), 1, round=3, phase="train", created=1.0, opened=1.0)
    RunRecords(store, state.run).create(state)
    assert connection.runs.show("0123abcd")["run"] == "0123abcd"
    end(store, state)
    connection.runs.delete("0123abcd")
    assert documents(store) == [] and not ids.has_key("0123abcd")
