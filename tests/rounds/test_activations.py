"""What the platform knows of a slot's activation: asked for rarely, followed to its successor, used before any time-out."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from numpy_learner import NumpyLearner
from plans import plan_of, running
from rounds_rig import (
    QUICK,
    Killed,
    Platform,
    model_bytes,
    put_dataset,
    train,
)
from single import (
    Invocations,
    change,
    create_run,
    open_run,
    serve_aggregate,
    serve_worker,
    state_of,
)

from whisktrain.errors import ErrorRecord, PlatformUnreachable
from whisktrain.records.cost import Cost, Usage
from whisktrain.records.run import Start
from whisktrain.rounds.activations import Activations, Ended, Lost, NoRecords
from whisktrain.rules.timeouts import TIMEOUTS
from whisktrain.spec import Work
from whisktrain.store.protocol import Store

KILLED: ErrorRecord = {"code": "x", "message": "It was killed.", "hint": "", "retryable": False}
PATIENT = replace(QUICK, build=60.0, first=60.0, least=60.0, start=60.0, backup=60.0, stale=60.0)
"""No time-out ends within a test: what moves is moved by what the platform knows."""


class Records:
    """A platform with these records. Attributes: asked: what it was asked for."""

    def __init__(self, **records: Ended) -> None:
        self.records, self.asked = records, []

    def ended(self, activation: str) -> Ended | None:
        self.asked.append(activation)
        return self.records.get(activation)


def looked(platform: Records, state: Any, *, at: float = 1000.0) -> dict[int, Lost]:
    """What is lost of shard 1, where the round is open for longer than the first look takes."""
    activations = Activations(platform)
    activations.lost(state, (1,), at, TIMEOUTS)
    assert platform.asked == [], "not before it has been waited for"
    return activations.lost(state, (1,), at + TIMEOUTS.look, TIMEOUTS)


def test_an_activation_that_failed_is_lost() -> None:
    state = running(starts={1: Start(1000.0, 1, "a")})
    assert looked(Records(a=Ended({}, KILLED)), state) == {1: Lost("a", KILLED)}
    assert looked(Records(), state) == {}
    assert looked(Records(a=Ended({"successor": None})), state) == {}, "another one serves"
    assert looked(Records(a=Ended({"successor": ""})), state) == {1: Lost("a", None)}


def test_an_activation_that_handed_over_is_followed() -> None:
    usage = Usage("a", 900.0, 990.0, 512)
    serving = running(leases={1: 1000.0}, cost=Cost(1, 0.0, {"1": usage}))
    chain = {"a": Ended({"successor": "b"}), "b": Ended({"successor": "c"})}
    assert looked(Records(**chain), serving) == {}
    assert looked(Records(**chain, c=Ended({}, KILLED)), serving) == {1: Lost("c", KILLED)}


def test_without_leases_the_aggregate_that_opened_the_round_says_what_it_invoked() -> None:
    usage = Usage("opener", 900.0, 990.0, 256)
    state = running(
        plan_of(lease=0.0), starts={1: Start(1000.0)}, cost=Cost(1, 0.0, {"aggregate": usage})
    )
    opener = Ended({"invoked": {"0": "a", "1": "b"}})
    assert looked(Records(opener=opener, b=Ended({}, KILLED)), state) == {1: Lost("b", KILLED)}
    assert looked(Records(opener=opener), state) == {}
    assert looked(Records(opener=Ended({}, KILLED)), state) == {}
    assert looked(Records(), state) == {}
    assert looked(Records(), replace(state, cost=Cost())) == {}


def test_records_are_asked_for_with_growing_pauses() -> None:
    platform = Records()
    activations = Activations(platform)
    state = running(starts={1: Start(1000.0, 1, "a")})
    times = []
    for tenth in range(0, 1200):
        now = 1000.0 + tenth / 10
        before = len(platform.asked)
        activations.lost(state, (1,), now, TIMEOUTS)
        if len(platform.asked) > before:
            times.append(now - 1000.0)
        assert activations.next_look() > now
    assert times[:4] == [2.0, 4.0, 8.0, 16.0] and len(times) <= 11
    activations.lost(state, (), 2000.0, TIMEOUTS)
    assert activations.next_look() == float("inf")


def test_a_start_that_nobody_waits_for_is_looked_after_too() -> None:
    """Others close the rounds: each is shorter than the first look takes."""
    platform = Records(a=Ended({}, KILLED))
    activations = Activations(platform)
    found = []
    for tenth in range(30):
        now = 1000.0 + tenth / 10
        state = running(round=3 + tenth, opened=now, starts={1: Start(1000.0, 1, "a")})
        found.append(activations.ended_starts(state, now, TIMEOUTS))
        activations.lost(state, (0,), now, TIMEOUTS)
    assert found.index({1}) == 20 and len(platform.asked) == 1
    assert activations.ended_starts(running(round=0, starts=state.starts), now, TIMEOUTS) == set()


def test_a_platform_that_does_not_answer_says_nothing() -> None:
    class Down(Records):
        def ended(self, activation: str) -> Ended | None:
            raise PlatformUnreachable("no answer")

    assert looked(Down(), running(starts={1: Start(1000.0, 1, "a")})) == {}
    assert NoRecords().ended("a") is None


def test_a_lost_activation_is_recorded_once_and_its_slot_is_invoked_again(store: Store) -> None:
    records = open_run(store)
    serve_worker(store)
    change(records, starts={1: Start(time.time() - 5, 1, "a")}, opened=time.time() - 5)
    invoker = Invocations()
    invoker.records["a"] = Ended({}, KILLED)
    serve_aggregate(store, invoker=invoker, timeouts=PATIENT)
    (lost,) = records.failures(1)
    assert (lost.attempt, lost.execution, lost.error["code"]) == (1, "a", "worker_lost")
    assert lost.error["message"] == "There was no update of shard 1: It was killed."
    assert invoker.made == [("worker", {"run": "r", "slot": 1})]
    assert state_of(records).starts[1].count == 2
    # The next aggregate finds that it was invoked, and that the record is of the attempt before.
    serve_aggregate(store, invoker=invoker, timeouts=PATIENT)
    assert len(records.failures(1)) == 1 and len(invoker.made) == 1


def test_of_two_aggregates_one_invokes_a_slot_again(store: Store) -> None:
    records = open_run(store)
    serve_worker(store)
    change(records, starts={1: Start(time.time() - 5, 1, "a")}, opened=time.time() - 5)
    invoker = Invocations()
    invoker.records["a"] = Ended({}, KILLED)
    from single import at_step

    with at_step("A2.claim", lambda: serve_aggregate(store, invoker=invoker, timeouts=PATIENT)):
        serve_aggregate(store, invoker=invoker, timeouts=PATIENT)
    assert invoker.made == [("worker", {"run": "r", "slot": 1})]
    assert len(records.failures(1)) == 1


def test_the_builder_is_noted_in_the_run(store: Store) -> None:
    records = create_run(store)
    assert state_of(records).starts[0].activation == "id 1"


@pytest.mark.parametrize("lease", [30.0, 0.0])
@pytest.mark.parametrize("where", ["build", "train", "evaluate"])
def test_a_killed_worker_is_replaced_long_before_any_time_out(
    store: Store, where: str, lease: float
) -> None:
    put_dataset(store)
    train(store, plan_of(), run="undisturbed")
    killed: list[str] = []

    def kill(phase: str) -> None:
        if phase == where and not killed:
            killed.append(phase)
            raise Killed(phase)

    def trouble(work: Work) -> None:
        if work.round != 1 and work.shard == 1:
            kill(work.phase)

    class Mortal(NumpyLearner):
        def build(self, spec, files):
            kill("build")
            return super().build(spec, files)

    platform = Platform(store, Mortal(trouble), timeouts=PATIENT)
    began = time.monotonic()
    assert train(store, plan_of(lease=lease), platform=platform)["status"] == "completed"
    assert killed and time.monotonic() - began < 20
    assert model_bytes(store, version=2) == model_bytes(store)


def slowly(work: Work) -> None:
    time.sleep(0.02)


def starts_of(platform: Platform) -> list[int]:
    """The slots that were invoked, in order; the first one is the builder's."""
    return [arguments["slot"] for action, arguments in platform.invoked if action == "worker"]


def test_slow_starts_are_not_invoked_again_and_again(store: Store) -> None:
    """Of four slots one takes a second to start; the rounds that others make good meanwhile are no reason."""
    put_dataset(store, rows=(9, 9, 9, 9))
    spec = plan_of((9, 9, 9, 9), rounds=60, slots=4)

    class SlowStarts(Platform):
        def _run(self, action, arguments, activation):
            if action == "worker" and arguments["slot"] == 3:
                time.sleep(1.0)
            super()._run(action, arguments, activation)

    timeouts = replace(PATIENT, backup=0.05, backup_first=0.05)
    platform = SlowStarts(store, NumpyLearner(slowly), timeouts=timeouts)
    assert train(store, spec, platform=platform)["status"] == "completed"
    assert starts_of(platform).count(3) == 1


def test_a_start_that_is_killed_is_made_again_though_others_make_the_rounds_good(
    store: Store,
) -> None:
    put_dataset(store, rows=(9, 9, 9))
    dropped: list[str] = []

    class Dropping(Platform):
        def _run(self, action, arguments, activation):
            if action == "worker" and arguments["slot"] == 2 and len(dropped) < 2:
                dropped.append(activation)
                self.records[activation] = Ended({}, KILLED)
                return
            super()._run(action, arguments, activation)

    timeouts = replace(PATIENT, backup=0.05, backup_first=0.05)
    platform = Dropping(store, NumpyLearner(slowly), timeouts=timeouts)
    spec = plan_of((9, 9, 9), rounds=60, slots=3)
    assert train(store, spec, platform=platform)["status"] == "completed"
    assert starts_of(platform).count(2) == 3


@pytest.mark.parametrize("lease", [0.02, 0.3])
def test_a_lease_shorter_than_the_build_makes_progress(store: Store, lease: float) -> None:
    put_dataset(store)
    train(store, plan_of(rounds=12), run="undisturbed")

    class Slow(NumpyLearner):
        def build(self, spec, files):
            time.sleep(0.5)
            return super().build(spec, files)

    platform = Platform(store, Slow(), timeouts=PATIENT)
    began = time.monotonic()
    spec = plan_of(rounds=12, lease=lease)
    assert train(store, spec, platform=platform)["status"] == "completed"
    assert time.monotonic() - began < 20
    assert model_bytes(store, version=2) == model_bytes(store)
    aggregates = [action for action, _ in platform.invoked if action == "aggregate"]
    assert len(aggregates) < 60, "none hands over to itself without having done anything"
