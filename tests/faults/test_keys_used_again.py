"""A key used again after its run was deleted, with everything of the deleted run still under way: nothing of it is reused."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from numpy_learner import NumpyLearner
from rounds_rig import Killed, Limits, Platform, model_bytes, put_dataset, wait_clean, wait_summary

from whisktrain.errors import RequestError, TrainingError, WhisktrainError
from whisktrain.records import ids
from whisktrain.records.keys import RunKeys, delete_run
from whisktrain.records.run_records import RunRecords
from whisktrain.rounds import failpoints
from whisktrain.stages import train as stage
from whisktrain.store.protocol import Store
from whisktrain.store.sqlite import SqliteStore

BODY = {
    "schema": 1,
    "source": "m.csv",
    "task": "classification",
    "classes": ["a", "b", "c"],
    "x_shape": [4],
    "y": {"kind": "class", "counts": [20, 20, 10]},
    "shards": [30, 20],
    "validation": [9, 9],
}
FIRST = {"seed": 1, "epochs": 5}
SECOND = {"seed": 2, "epochs": 4}


def put(store: Store) -> None:
    put_dataset(store)
    found = store.library.get("dataset:d", attachment=True)
    assert found is not None
    store.library.put(
        "dataset:d", {**found.body, **BODY}, rev=found.rev, attachment=found.attachment
    )


def train(
    store: Store, platform: Platform, settings: dict[str, Any], key: str = "k", **named: Any
) -> Any:
    request = {"train": {"learning_rate": 0.05, "key": key, "batch": 16, **settings}}
    return stage.train(
        {"request": request, "dataset": "d"},
        store=store,
        invoker=platform,
        execution=named.pop("execution", "act"),
        deadline=time.time() + named.pop("seconds", 40),
        limits=Limits(),
        **named,
    )


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """The models of both requests, undisturbed."""
    store = SqliteStore(tmp_path_factory.mktemp("undisturbed"))
    put(store)
    platform = Platform(store)
    with platform.following():
        for number, settings in enumerate((FIRST, SECOND)):
            train(store, platform, settings, key=f"k{number}")
        wait_clean(store)
    both = model_bytes(store), model_bytes(store, version=2)
    store.close()
    assert both[0] != both[1]
    return both


@pytest.fixture
def ready(store: Store) -> Store:
    put(store)
    return store


def library(store: Store) -> set[str]:
    return {
        d.id
        for d in store.library.list("", bodies=False)
        if d.id.split(":")[0] in ("key", "summary", "checkpoint")
    }


def test_a_key_used_again_trains_and_publishes_anew(
    ready: Store, expected: tuple[bytes, bytes]
) -> None:
    platform = Platform(ready)
    with platform.following():
        first = train(ready, platform, FIRST)
        delete_run(ready, RunKeys(ready).resolve("k"))
        second = train(ready, platform, SECOND)
        wait_clean(ready)
    assert not platform.errors()
    assert (first["run"], first["model"], second["run"], second["model"]) == (
        "k",
        "m:1",
        "k",
        "m:2",
    )
    assert first["run_id"] != second["run_id"] and first["metrics"] != second["metrics"]
    assert (model_bytes(ready), model_bytes(ready, version=2)) == expected
    assert ready.library.get(ids.model("m", 2)).body["metrics"] == second["metrics"]
    assert library(ready) == {ids.key("k"), ids.summary(second["run_id"])}


def test_another_request_under_the_same_key_is_refused(ready: Store) -> None:
    platform = Platform(ready)
    with platform.following():
        first = train(ready, platform, FIRST)
        for wait in (True, False):
            with pytest.raises(RequestError) as refused:
                train(ready, platform, SECOND, wait=wait)
        assert train(ready, platform, {**FIRST, "optimizer": {}}) == first
        wait_clean(ready)
    error = refused.value
    assert error.code == "key_in_use" and "whisktrain runs delete k" in error.hint
    assert "train.epochs: was 5, is 4; train.seed: was 1, is 2" in error.message
    assert {d.id for d in ready.library.list("model:", bodies=False)} == {"model:m:1"}


def test_of_two_at_once_one_opens_the_run_and_the_other_joins(
    ready: Store, expected: tuple[bytes, bytes]
) -> None:
    platform, results = Platform(ready), []
    with platform.following():
        threads = [
            threading.Thread(
                target=lambda n=n: results.append(train(ready, platform, FIRST, execution=f"a{n}"))
            )
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wait_clean(ready)
    assert len(results) == 4 and all(result == results[0] for result in results)
    assert [d.id for d in ready.library.list("version:", bodies=False)] == ["version:m:1"]
    assert model_bytes(ready) == expected[0]


class Paused:
    """Holds the first activation that reaches a step until it is let go; then it goes on as if nothing had happened."""

    def __init__(self, step: str, nth: int = 1) -> None:
        self.step, self.left = step, nth
        self.reached, self.go_on = threading.Event(), threading.Event()
        self.lock = threading.Lock()

    def __call__(self, step: str) -> None:
        if step != self.step:
            return
        with self.lock:
            self.left -= 1
            mine = self.left == 0
        if mine:
            self.reached.set()
            assert self.go_on.wait(30)


ZOMBIES = [
    ("W3.blueprint", 1), ("W3.params", 1), ("W2", 2), ("W4", 4), ("W5", 1), ("A2", 3), ("A4", 3), ("A5", 3), ("A6", 3),
    ("A7", 3), ("A8", 3), ("A9", 3), ("F1", 1), ("F2", 1), ("F2.alias", 1), ("F2.checkpoint", 1), ("F3", 1), ("F4", 1),
    ("F5", 1),
]  # fmt: skip


@pytest.mark.parametrize(("step", "nth"), ZOMBIES)
def test_an_activation_of_a_deleted_run_leaves_its_successor_alone(
    ready: Store, expected: tuple[bytes, bytes], step: str, nth: int
) -> None:
    """It is held at a step, its run is deleted and the key used again; then it goes on."""
    paused = Paused(step, nth)
    slow = NumpyLearner(
        lambda work: time.sleep(0.5 if (step, work.round, work.shard) == ("W5", 1, 1) else 0.005)
    )
    platform = Platform(ready, slow)
    with failpoints.observed(paused), platform.following():
        opening = threading.Thread(target=_suppressed(lambda: train(ready, platform, FIRST)))
        opening.start()
        assert paused.reached.wait(20), f"{step} was not reached"
        deleted = RunKeys(ready).resolve("k")
        delete_run(ready, deleted)
        successor: list[Any] = []
        other = threading.Thread(target=lambda: successor.append(train(ready, platform, SECOND)))
        other.start()
        while (run := RunKeys(ready).find_run("k")) is None or RunRecords(
            ready, run
        ).read() is None:
            time.sleep(0.001)
        paused.go_on.set()
        other.join()
        opening.join()
        wait_clean(ready)
    assert not platform.errors(), platform.errors()
    (result,) = successor
    assert result["status"] == "completed" and result["run_id"] == run != deleted
    version = int(result["model"].partition(":")[2])
    assert version == 2 and model_bytes(ready, version=2) == expected[1]
    assert library(ready) == {ids.key("k"), ids.summary(run)}, "nothing is left of the deleted run"


def _suppressed(call: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        with contextlib.suppress(WhisktrainError):
            call()

    return run


@pytest.mark.parametrize("step", ["C1", "C2.version", "C2.run", "C2.key"])
def test_a_late_create_of_a_deleted_run_opens_a_new_one(
    ready: Store, expected: tuple[bytes, bytes], step: str
) -> None:
    paused, platform, results = Paused(step), Platform(ready), []
    with failpoints.observed(paused), platform.following():
        thread = threading.Thread(target=lambda: results.append(train(ready, platform, FIRST)))
        thread.start()
        assert paused.reached.wait(20)
        deleted = RunKeys(ready).resolve("k")
        delete_run(ready, deleted)
        paused.go_on.set()
        thread.join()
        wait_clean(ready)
    assert not platform.errors()
    assert results[0]["status"] == "completed" and results[0]["run_id"] != deleted
    assert library(ready) == {ids.key("k"), ids.summary(results[0]["run_id"])}
    assert model_bytes(ready, version=int(results[0]["model"].partition(":")[2])) == expected[0]


def test_a_late_create_that_is_killed_leaves_nothing(ready: Store) -> None:
    """It makes a run again that was deleted, and dies before it looks at the key: an aggregate removes it."""

    def kill(step: str) -> None:
        if step == "C2.run":
            delete_run(ready, RunKeys(ready).resolve("k"))
        if step == "C2.key":
            raise Killed(step)

    platform = Platform(ready)
    with failpoints.observed(kill), pytest.raises(Killed):
        train(ready, platform, FIRST)
    assert [d.id.split("@")[0] for d in ready.rounds.list("run:", bodies=False)] == ["run:k"]
    with platform.following():
        wait_clean(ready)
    assert not platform.errors() and library(ready) == set()


@pytest.mark.parametrize("step", ["C1.key", "C1", "C2.run", "C2.key", "C3"])
def test_a_kill_while_opening_under_a_key_changes_nothing(
    ready: Store, expected: tuple[bytes, bytes], step: str
) -> None:
    left = [step]

    def kill(reached: str) -> None:
        if reached in left:
            left.remove(reached)
            raise Killed(reached)

    platform = Platform(ready)
    with failpoints.observed(kill), platform.following():
        with pytest.raises(Killed):
            train(ready, platform, FIRST)
        train(ready, platform, FIRST)
        wait_clean(ready)
    assert model_bytes(ready) == expected[0]
    assert {d.id for d in ready.library.list("version:", bodies=False)} == {"version:m:1"}


def test_a_run_is_deleted_under_its_activations(ready: Store) -> None:
    """Whoever waits for it is told."""
    platform = Platform(ready, NumpyLearner(lambda work: time.sleep(0.01)))
    caught: list[WhisktrainError] = []

    def wait() -> None:
        with pytest.raises(TrainingError) as deleted:
            train(ready, platform, FIRST)
        caught.append(deleted.value)

    with platform.following():
        thread = threading.Thread(target=wait)
        thread.start()
        while (
            (run := RunKeys(ready).find_run("k")) is None
            or not (state := RunRecords(ready, run).read())
            or state.round < 3
        ):
            time.sleep(0.001)
        began = time.monotonic()
        delete_run(ready, run)
        thread.join()
        assert time.monotonic() - began < 5
        wait_clean(ready)
    assert not platform.errors()
    assert caught[0].code == "run_deleted" and library(ready) == set()


def stopped_run(store: Store, platform: Platform) -> str:
    """A run of the key "k" that was stopped after some rounds."""
    train(store, platform, {**FIRST, "epochs": 20}, wait=False)
    run = RunKeys(store).resolve("k")
    while (state := RunRecords(store, run).read()) is not None and state.round < 5:
        time.sleep(0.001)
    RunRecords(store, run).request_stop()
    assert wait_summary(store, run)["status"] == "stopped"
    return run


def resume(store: Store, platform: Platform, run: str, **named: Any) -> Any:
    return stage.train(
        {"resume": run, **named},
        store=store,
        invoker=platform,
        execution="act9",
        deadline=time.time() + 30,
        limits=Limits(),
    )


@pytest.fixture
def slow(ready: Store) -> Iterator[Platform]:
    platform = Platform(ready, NumpyLearner(lambda work: time.sleep(0.01)))
    with platform.following():
        yield platform
        wait_clean(ready)
    assert not platform.errors()


def test_a_stopped_run_is_resumed_by_its_key(ready: Store, slow: Platform) -> None:
    run = stopped_run(ready, slow)
    with pytest.raises(RequestError) as refused:
        resume(ready, slow, "k", key="k")
    assert refused.value.code == "key_in_use" and "resuming" in refused.value.message
    first = resume(ready, slow, "k", key="more")
    assert (first["status"], first["run"]) == ("completed", "more")
    assert resume(ready, slow, run, key="more") == {**first}, "the same request finds the same run"
    assert resume(ready, slow, run)["run"] == "act9"
    models = {model_bytes(ready, version=n) for n in (2, 3)}
    assert len(models) == 1, "the same bytes under any name"
    delete_run(ready, run)
    with pytest.raises(WhisktrainError) as gone:
        resume(ready, slow, "k")
    assert gone.value.code == "no_checkpoint"
