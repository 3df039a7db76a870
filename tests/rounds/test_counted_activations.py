"""The cost of a run counts every activation of it that happened, by the platform's own records."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
from rounds_rig import QUICK, Killed, Platform, plan_of, put_dataset, train

from whisktrain.rounds import failpoints
from whisktrain.store.protocol import Store

AFTER_THE_END = ("the run has ended", "the run is absent", "the run is completed")


def happened(results: list[Any]) -> int:
    """The activations that count: all but those that had done nothing when they found the run ended."""
    answers = [result for result in results if isinstance(result, dict)]
    worked = [each for each in answers if each.get("updates") or each["rounds"]]
    idle = [e for e in answers if e not in worked and e["left"] not in AFTER_THE_END]
    # One aggregate ends the run; without a lease it closes no round.
    ended = any("slot" not in each and each["left"] == "the run is completed" for each in worked)
    return len(results) - len(answers) + len(worked) + len(idle) + (not ended)


def counted(store: Store, platform: Platform, **changes) -> tuple[int, int]:
    """The invocations of a run's cost, and those in the platform's records of it."""
    put_dataset(store)
    summary = train(store, plan_of(**changes), platform=platform)
    platform.join()
    assert summary["cost"]["gb_seconds"] > 0
    return summary["cost"]["invocations"], happened([result for _, result in platform.results])


@pytest.mark.parametrize("lease", [30.0, 0.0])
def test_an_undisturbed_run_counts_what_happened(store: Store, lease: float) -> None:
    cost, records = counted(store, Platform(store), lease=lease, rounds=8)
    assert cost == records


def test_activations_that_find_nothing_to_do_are_counted(store: Store) -> None:
    """Each slot and the aggregate are invoked twice in a round that is open: the second ones leave at once."""
    platform = Platform(store)
    doubled = threading.Event()

    def twice(step: str) -> None:
        if step == "A5" and not doubled.is_set():
            doubled.set()
            for thread in (
                platform.start("worker", {"run": "r", "slot": 0}, "idle worker"),
                platform.start("aggregate", {"run": "r"}, "idle aggregate"),
            ):
                thread.join(0.5)

    with failpoints.observed(twice):
        cost, records = counted(store, platform, rounds=150)
    assert doubled.is_set()
    assert cost == records


def test_killed_activations_are_counted(store: Store) -> None:
    """One builder and one worker are killed before they wrote anything: their records tell."""
    patient = replace(QUICK, build=20.0, first=20.0, least=20.0, stale=5.0)
    platform = Platform(store, timeouts=patient)
    kills = {"W3.blueprint": 1, "W4": 1}

    def kill(step: str) -> None:
        if kills.get(step):
            kills[step] -= 1
            raise Killed(step)

    with failpoints.observed(kill):
        cost, records = counted(store, platform, rounds=8, lease=0.0)
    assert not any(kills.values())
    assert cost == records
