"""Every wait ends, and its end names what was waited for: runs in a real store, on a platform that does not answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from plans import plan_of

import whisktrain
from whisktrain.errors import (
    DataError,
    DeadlineExceeded,
    NotFound,
    PlatformError,
    PlatformUnreachable,
    StoreUnreachable,
    TrainingError,
    WhisktrainError,
)
from whisktrain.openwhisk.client import Activation
from whisktrain.records.archive import RunArchive
from whisktrain.records.history import TrainingHistory
from whisktrain.records.keys import RunKeys
from whisktrain.records.run import Outcome, RunState
from whisktrain.records.run_records import RunRecords
from whisktrain.records.summary import summarize
from whisktrain.sdk.training import stalls, watching
from whisktrain.sdk.training.following import Snapshots
from whisktrain.sdk.training.interrupts import Interrupts
from whisktrain.sdk.training.watching import Started, TrainingWatch

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[whisktrain.Connection]:
    address = f"sqlite:{tmp_path}/store"
    with whisktrain.connect(apihost=NOWHERE, auth="a:b", store=address, home=tmp_path) as opened:
        opened.store.ensure()
        yield opened


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("INFORM_S", "GIVE_UP_S", "GIVE_UP_STOPPING_S", "OUTAGE_S"):
        monkeypatch.setattr(stalls, name, 0.3)
    monkeypatch.setattr(watching, "_RECORD_S", 0.3)
    monkeypatch.setattr(watching, "_START_S", 0.3)


def open_run(connection: whisktrain.Connection, **changes: Any) -> RunState:
    """A run in its third round that nothing serves."""
    now = time.time()
    known = {"round": 3, "phase": "train", "params": "params:r:3", "created": now, "opened": now}
    run = RunKeys(connection.store).claim("r", {})["run"]
    state = RunState(run, plan_of(), 1, **{**known, **changes})
    made = RunRecords(connection.store, run).create(state)
    assert made is not None
    return made


def end_run(connection: whisktrain.Connection, state: RunState, status: str = "completed") -> None:
    """Write the run's summary and delete its documents, as an aggregate does."""
    outcome = Outcome(time.time(), metrics={"val_accuracy": 0.9})
    final = replace(state, status=status, reason="Done.", outcome=outcome)
    summary = summarize(final, [{"epoch": 1, "round": 2}], ["a", "b", "c"], published=True)
    RunArchive(connection.store, state.run).put_summary(summary)
    RunRecords(connection.store, state.run).delete_all()


def test_a_run_that_is_not_there_is_not_waited_for(connection: whisktrain.Connection) -> None:
    for wait in (connection.runs.watch, connection.runs.resume, connection.runs.stop):
        with pytest.raises(NotFound, match="'unknown'") as caught:
            wait("unknown")
        assert caught.value.run == "unknown"


def test_a_run_that_was_stopped_before_it_began_is_not_waited_for(
    connection: whisktrain.Connection,
) -> None:
    connection.runs.ask_to_stop("early")
    with pytest.raises(NotFound, match="before it had begun"):
        connection.runs.resume("early")


def test_a_stop_that_nothing_serves_ends_and_stays_requested(
    connection: whisktrain.Connection,
) -> None:
    state = open_run(connection)
    with pytest.raises(DeadlineExceeded, match="'r' was asked to stop") as caught:
        connection.runs.stop("r")
    assert (caught.value.run, caught.value.code) == ("r", "not_served")
    assert RunRecords(connection.store, state.run).stop_requested()


def test_a_run_that_nothing_serves_is_not_followed_for_ever(
    connection: whisktrain.Connection,
) -> None:
    open_run(connection)
    with pytest.raises(DeadlineExceeded, match="whisktrain doctor"):
        connection.runs.watch("r")


def test_a_run_with_a_living_lease_is_waited_for(connection: whisktrain.Connection) -> None:
    state = open_run(connection, leases={0: time.time() + 60})
    snapshots = Snapshots(connection.store, "r", awaited=True)
    assert snapshots.take() is not None
    assert snapshots.leased()
    stall = stalls.Stall(connection, snapshots)
    until = time.monotonic() + 1
    while time.monotonic() < until:
        stall.check()
        time.sleep(0.1)
    end_run(connection, state)
    assert connection.runs.watch("r")["status"] == "completed"


class Platform:
    """A platform whose answers about the activation are given."""

    def __init__(self, *answers: Activation | WhisktrainError | Callable[[], None] | None) -> None:
        self.answers = list(answers)

    def activation(self, _: str) -> Activation | None:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(answer):
            answer()
            return None
        if isinstance(answer, WhisktrainError):
            raise answer
        return answer

    def explain(self, activation: Activation) -> Activation:
        return activation

    def info(self) -> dict[str, Any]:
        return {"limits": {"max_action_duration": 100}}

    def close(self) -> None:
        pass


def watch(
    connection: whisktrain.Connection,
    platform: Platform,
    monkeypatch: pytest.MonkeyPatch,
    progress: Any = None,
) -> Any:
    monkeypatch.setattr(connection, "_client", platform)
    monkeypatch.setattr(watching, "_LOOK_REMOTE_S", 0.1)
    started = Started("activation", "r")
    return TrainingWatch(connection, started, Interrupts(), progress=progress).result()


REFUSED = PlatformUnreachable("OpenWhisk does not answer (connection refused).")


def test_a_platform_that_restarts_does_not_end_the_wait(
    connection: whisktrain.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_LOST_RECORD_S", 0.2)
    said: list[str] = []
    monkeypatch.setattr(connection, "narrate", said.append)
    state = open_run(connection, leases={0: time.time() + 60})
    threading.Timer(1.0, end_run, (connection, state)).start()  # long after OUTAGE_S
    result = watch(connection, Platform(REFUSED, *[REFUSED] * 30, None), monkeypatch)
    assert (result["status"], result["model"]) == ("completed", "m:1")
    assert sum("does not answer" in line and "run r" in line for line in said) == 1


def test_an_activation_that_the_platform_lost_does_not_end_the_wait(
    connection: whisktrain.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = open_run(connection, leases={0: time.time() + 60})
    killed = Activation("a", "train", "g/train", 1, 2, 1, "whisk internal error", {"error": "gone"})
    ending = Platform(killed)
    threading.Timer(0.2, end_run, (connection, state)).start()
    assert watch(connection, ending, monkeypatch)["status"] == "completed"


def test_a_platform_that_never_answers_ends_the_wait_for_a_run_that_has_not_begun(
    connection: whisktrain.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(PlatformUnreachable):
        watch(connection, Platform(REFUSED), monkeypatch)
    with pytest.raises(PlatformError, match="key"):
        watch(connection, Platform(PlatformError("The key is wrong.")), monkeypatch)


def test_a_run_that_never_begins_ends_the_wait(
    connection: whisktrain.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DeadlineExceeded, match="Run r has not begun"):
        watch(connection, Platform(None), monkeypatch)


def test_a_run_that_is_deleted_while_it_is_waited_for_ends_the_wait(
    connection: whisktrain.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = open_run(connection, leases={0: time.time() + 60})
    deleted = RunRecords(connection.store, state.run).delete_all
    with pytest.raises(NotFound, match="'r'"):
        watch(connection, Platform(None, deleted, None), monkeypatch)


def test_a_run_that_was_refused_before_it_began_is_listed_with_its_reason(
    connection: whisktrain.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = DataError("The target was 'kpt'.", hint="Did you mean 'kept'?").to_record()
    answer = {"error": {**refused, "kind": "DataError"}}
    ended = Activation("a", "preprocess", "g/preprocess", 1, 2, 1, "application error", answer)
    with pytest.raises(DataError, match="kpt") as caught:
        watch(connection, Platform(ended), monkeypatch)
    assert caught.value.run == "r"
    [entry] = connection.runs.list()
    assert (entry["run"], entry["status"], entry["reason"]) == ("r", "failed", refused["message"])
    assert connection.runs.show("r")["error"] == refused
    open_run(connection)
    [entry] = connection.runs.list()
    assert entry["status"] == "running", "the key was used again"
    connection.runs.delete("r", force=True)
    assert connection.runs.list() == []


def test_a_run_that_was_deleted_while_it_trained_is_not_listed_as_refused(
    connection: whisktrain.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleted = TrainingError("Run 'r' was deleted.", code="run_deleted").to_record()
    answer = {"error": {**deleted, "kind": "TrainingError"}}
    ended = Activation("a", "train", "g/train", 1, 2, 1, "application error", answer)
    with pytest.raises(TrainingError) as caught:
        watch(connection, Platform(ended), monkeypatch)
    assert caught.value.code == "run_deleted"
    assert connection.runs.list() == []


def test_a_store_that_comes_back_does_not_end_the_wait(
    connection: whisktrain.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = open_run(connection, leases={0: time.time() + 60})
    end_run(connection, state)
    summary, failed = RunArchive.summary, [2]

    def flaky(self: RunArchive) -> Any:
        if failed[0]:
            failed[0] -= 1
            raise StoreUnreachable("The store does not answer.")
        return summary(self)

    monkeypatch.setattr(RunArchive, "summary", flaky)
    monkeypatch.setattr(stalls, "OUTAGE_S", 60.0)
    assert connection.runs.watch("r")["status"] == "completed"
    failed[0] = 10_000
    monkeypatch.setattr(stalls, "OUTAGE_S", 0.3)
    with pytest.raises(StoreUnreachable):
        connection.runs.watch("r")


def test_a_run_that_ends_before_the_first_look_is_narrated_all_the_same(
    connection: whisktrain.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = open_run(connection)
    end_run(connection, state)
    shown: list[whisktrain.Progress] = []
    platform = Platform(None)
    watch(connection, platform, monkeypatch, shown.append)
    assert [(p.status, p.model, p.epochs, len(p.history)) for p in shown] == [
        ("completed", "m:1", 2, 1)
    ]


def test_epochs_from_before_the_watch_are_marked(connection: whisktrain.Connection) -> None:
    from whisktrain.records.params import ParamsBody

    state = open_run(connection)
    history = TrainingHistory(entries=[{"epoch": 1, "round": 2, "loss": 1.0}])
    body: ParamsBody = {"parent": "", "merged": [], "digest": "", "history": history.to_body()}
    connection.store.rounds.put(state.params, body)
    shown = Snapshots(connection.store, "r", awaited=True).take()
    assert shown is not None
    assert shown.missed == 1
    fresh = Snapshots(connection.store, "r", awaited=True)
    fresh._looked = True  # the run was not there at the first look
    seen = fresh.take()
    assert seen is not None
    assert seen.missed == 0
