"""Every named step of the protocol killed in turn: the run ends with the same bytes, and leaves nothing behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from numpy_learner import NumpyLearner
from rounds_rig import (
    Killed,
    Limits,
    Platform,
    model_bytes,
    plan_of,
    put_dataset,
    train,
    wait_clean,
    wait_summary,
)

from whisktrain.records import ids
from whisktrain.records.archive import RunArchive
from whisktrain.records.run_records import RunRecords
from whisktrain.rounds import failpoints
from whisktrain.rounds.opening import create
from whisktrain.rules.resuming import resumed_plan
from whisktrain.spec import Spec, Work
from whisktrain.store.protocol import Store
from whisktrain.store.sqlite import SqliteStore

ROUNDS = 5


class Killer:
    """Kill the activation that reaches a step for the nth time, once."""

    def __init__(self, step: str, nth: int) -> None:
        self.step, self.left = step, nth
        self.lock = threading.Lock()

    def __call__(self, step: str) -> None:
        if step != self.step:
            return
        with self.lock:
            self.left -= 1
            kill = self.left == 0
        if kill:
            raise Killed(step)

    @property
    def killed(self) -> bool:
        return self.left <= 0


def spec_for(lease: float, **changes):
    return plan_of(**{"lease": lease, "rounds": ROUNDS, "batch": 20, **changes})


def trained(tmp_path_factory: pytest.TempPathFactory, **changes) -> bytes:
    store = SqliteStore(tmp_path_factory.mktemp("undisturbed"))
    put_dataset(store)
    train(store, spec_for(30.0, **changes))
    data = model_bytes(store)
    store.close()
    return data


@pytest.fixture(scope="session")
def expected(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The weights of an undisturbed run."""
    return trained(tmp_path_factory)


@pytest.fixture(scope="session")
def expected_of_forty(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return trained(tmp_path_factory, rounds=40)


def run_to_the_end(
    store: Store,
    killer: Callable[[str], None],
    spec: Spec,
    *,
    run: str = "r",
    learner: NumpyLearner | None = None,
    keeps_records: bool = True,
    between: Callable[[Platform], None] = lambda platform: None,
) -> Platform:
    """Run under a killer; `between` is called once the run is open."""
    platform = Platform(store, learner)
    platform.keeps_records = keeps_records
    with failpoints.observed(killer), platform.following():
        while True:
            try:
                create(store, platform, run, spec)
            except Killed:
                continue  # the caller repeats its invocation
            break
        between(platform)
        wait_summary(store, run)
        wait_clean(store)
    assert not platform.errors(), platform.errors()
    return platform


def slowly(work: Work) -> None:
    time.sleep(0.02)


ELSEWHERE = {
    "C1.key",
    "W3.state",
    "W3.failure",
    "W5",
    "W6",
    "A2.lost",
    "A2.repair",
    "A2.claim",
    "A2.again",
    "F2.checkpoint",
    "SWEEP",
}
ONCE = {
    "C1",
    "C2.version",
    "C2.run",
    "C2.key",
    "C3",
    "W3.blueprint",
    "W3.params",
    "F1",
    "F1.swapped",
    "F2",
    "F2.alias",
    "F3",
    "F4",
    "F5",
}
PLAIN = [
    (s, n) for s in failpoints.Step if s not in ELSEWHERE for n in ((1,) if s in ONCE else (1, 4))
]


@pytest.mark.parametrize("lease", [30.0, 0.0])
@pytest.mark.parametrize(("step", "nth"), PLAIN)
def test_a_kill_changes_nothing(
    store: Store, expected: bytes, step: str, nth: int, lease: float
) -> None:
    put_dataset(store)
    killer = Killer(step, nth)
    run_to_the_end(store, killer, spec_for(lease))
    assert killer.killed, f"{step} was not reached"
    assert model_bytes(store) == expected
    assert [d.id for d in store.library.list("model:", bodies=False)] == ["model:m:1"]


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_kill_at_the_hand_over_changes_nothing(
    store: Store, expected_of_forty: bytes, nth: int
) -> None:
    put_dataset(store)
    killer = Killer("W6", nth)
    platform = run_to_the_end(store, killer, spec_for(0.4, rounds=40), learner=NumpyLearner(slowly))
    assert killer.killed
    assert any(arguments.get("successor") for _, arguments in platform.invoked)
    assert model_bytes(store) == expected_of_forty


@pytest.mark.parametrize("step", ["W3.failure", "A2.claim", "A2.again", "A2.lost", "W5"])
def test_a_kill_on_top_of_a_failure_changes_nothing(
    store: Store, expected: bytes, step: str
) -> None:
    put_dataset(store)
    failed: list[Work] = []

    def trouble(work: Work) -> None:
        if work.round == 3 and work.shard == 1 and not failed:
            failed.append(work)
            if step in ("A2.lost", "W5"):
                raise Killed("in the middle of a computation")
            raise OSError("the disk is full")

    killer = Killer(step, 1)
    run_to_the_end(
        store,
        killer,
        spec_for(0.0 if step == "A2.lost" else 30.0),
        learner=NumpyLearner(trouble),
        keeps_records=step != "W5",
    )
    assert killer.killed and failed
    assert model_bytes(store) == expected


@pytest.mark.parametrize(
    "step", ["F2.checkpoint", "F3", "F1", "F1.swapped", "A8", "A9", "A6.swapped", "W1"]
)
def test_a_kill_while_stopping_and_resuming_changes_nothing(
    store: Store, expected_of_forty: bytes, step: str
) -> None:
    put_dataset(store)
    spec = spec_for(30.0, rounds=40)
    killer = Killer(step, 1)

    def stop(platform: Platform) -> None:
        while (state := RunRecords(store, "r").read()) is not None and state.round < 7:
            time.sleep(0.002)
        store.rounds.put(ids.stop("r"), {"schema": 1})

    run_to_the_end(store, killer, spec, learner=NumpyLearner(slowly), between=stop)
    assert killer.killed
    assert store.library.get(ids.summary("r")).body["status"] == "stopped"
    checkpoint = RunArchive(store, "r").read_checkpoint()
    assert 7 < checkpoint.round < 40
    for again, where in (("s", "W3.state"), ("t", "W3.params")):
        goes_on, _ = resumed_plan(checkpoint, "r", again, Limits())
        killer = Killer(where, 1)
        run_to_the_end(store, killer, goes_on, run=again)
        assert killer.killed
        version = store.library.get(ids.summary(again)).body["model"].partition(":")[2]
        assert model_bytes(store, version=int(version)) == expected_of_forty


@pytest.mark.parametrize("nth", [1, 2])
def test_a_kill_while_sweeping_changes_nothing(store: Store, expected: bytes, nth: int) -> None:
    put_dataset(store)
    killer = Killer("SWEEP", nth)
    platform = run_to_the_end(store, killer, spec_for(0.0))
    assert killer.killed
    assert model_bytes(store) == expected
    # What writers that were late by a whole run leave behind is found and removed.
    late = Platform(store)
    with failpoints.observed(Killer("SWEEP", 1)), late.following():
        store.rounds.put(ids.update("r", 2, 0), {"schema": 1})
        store.rounds.put(ids.params("r", 3), {"schema": 1}, attachment=b"x")
        store.rounds.put(ids.failure("r", 2, 0, 1), {"schema": 1})
        wait_clean(store)
    assert platform.errors() == [] and late.errors() == []
