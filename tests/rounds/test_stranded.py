"""A run that no aggregate comes for: it ends within a minute, with the reason that the platform knows."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from rounds_rig import QUICK, Platform, plan_of, put_dataset, wait_summary
from single import Invocations, open_run, serve_aggregate, serve_worker, state_of

from whisktrain.errors import PlatformError, PlatformUnreachable
from whisktrain.records.archive import RunArchive
from whisktrain.records.failures import MERGE
from whisktrain.rounds.opening import create
from whisktrain.rounds.stranded import end_if_stranded
from whisktrain.rules.timeouts import TIMEOUTS
from whisktrain.stages import train as stage
from whisktrain.store.protocol import Store

FAULT = PlatformError(
    "No aggregate came: the rule whisktrain is inactive.",
    code="rule_inactive",
    hint="Switch it on: wsk rule enable whisktrain (or whisktrain deploy)",
    retryable=True,
)
SOON = replace(QUICK, stranded=0.5, backup=0.1)


def ended(store: Store) -> None:
    """The run has ended as the fault says, and can go on once it is mended."""
    summary = wait_summary(store, "r")
    assert summary["status"] == "failed" and summary["error"]["code"] == "rule_inactive"
    assert summary["reason"] == f"{FAULT.message} {FAULT.hint}"
    assert summary["resumable"] or summary["rounds"] == 0


def test_a_minute_is_enough() -> None:
    assert TIMEOUTS.stranded + TIMEOUTS.poll <= 60.0


@pytest.mark.parametrize("rounds", [0, 3])
def test_a_worker_that_waits_for_the_aggregate_in_vain_ends_the_run(
    store: Store, rounds: int
) -> None:
    """No follower runs; in the second case the aggregate is killed in its third round."""
    put_dataset(store)
    platform = Platform(store, timeouts=SOON)
    platform.fault = FAULT
    create(store, platform, "r", plan_of())
    if rounds:
        from rounds_rig import Killed
        from single import at_step

        def kill() -> None:
            raise Killed("the aggregate")

        with at_step("A4", kill):
            platform.invoke("aggregate", {"run": "r"})
            ended(store)
    else:
        ended(store)
    platform.join()
    assert not platform.errors(), platform.errors()


def test_the_train_stage_ends_a_run_without_leases(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_dataset(store)
    platform = Platform(store, timeouts=SOON)
    platform.fault = FAULT
    create(store, platform, "r", plan_of(lease=0.0))
    monkeypatch.setattr(stage, "LOOK_S", 0.1)
    monkeypatch.setattr(stage, "TIMEOUTS", SOON)
    summary = stage._wait_for_summary(store, platform, "r", time.time() + 20)
    assert summary is not None and summary["reason"].startswith(FAULT.message)
    platform.join()


def test_a_run_that_needs_no_aggregate_is_left_alone(store: Store) -> None:
    records = open_run(store, lease=30.0)
    invoker = Invocations()
    invoker.fault = FAULT
    assert not end_if_stranded(records, invoker, state_of(records), time.time(), TIMEOUTS)
    assert invoker.asked_for_faults == [], "its workers are at work"
    final = replace(state_of(records), status="failed")
    assert not end_if_stranded(records, invoker, final, time.time(), TIMEOUTS)


def test_where_the_platform_knows_of_no_fault_it_is_waited_for(store: Store) -> None:
    records = open_run(store)
    for slot in (0, 1):
        serve_worker(store, slot)
    state, now = state_of(records), time.time()
    invoker = Invocations()
    assert not end_if_stranded(records, invoker, state, now, TIMEOUTS)
    assert invoker.asked_for_faults == [now] and records.failures() == []

    class Down(Invocations):
        def wake_up_fault(self, triggers: object, since: float) -> None:
            raise PlatformUnreachable("no answer")

    assert not end_if_stranded(records, Down(), state, now, TIMEOUTS)


def test_the_reason_is_a_failure_that_an_aggregate_ends_the_run_with(store: Store) -> None:
    records = open_run(store)
    for slot in (0, 1):
        serve_worker(store, slot)
    invoker = Invocations()
    invoker.fault = FAULT
    assert end_if_stranded(records, invoker, state_of(records), time.time(), TIMEOUTS)
    (failure,) = records.failures(1)
    assert (failure.shard, failure.fatal, failure.resumable) == (MERGE, True, True)
    assert invoker.made == [("aggregate", {"run": "r"})]
    assert serve_aggregate(store)["left"] == "the run is failed"
    summary = RunArchive(store, "r").summary()
    assert summary is not None and summary["resumable"]
