"""Workers that are killed every time, or that the platform refuses to start: what the run says, and when it ends."""

from __future__ import annotations

from dataclasses import replace

import pytest
from numpy_learner import NumpyLearner
from rounds_rig import (
    QUICK,
    Killed,
    Platform,
    plan_of,
    put_dataset,
    train,
    wait_clean,
    wait_summary,
)

from whisktrain.errors import PlatformError, TooManyRequests
from whisktrain.rounds.opening import create
from whisktrain.spec import Work
from whisktrain.store.protocol import Store


def test_a_worker_that_is_killed_every_time_ends_the_run(store: Store) -> None:
    put_dataset(store)

    def trouble(work: Work) -> None:
        if work.round == 2 and work.shard == 1:
            raise Killed("out of memory")

    summary = train(store, plan_of(lease=0.0), platform=Platform(store, NumpyLearner(trouble)))
    assert (
        summary["status"] == "failed"
        and summary["error"]["code"] == "worker_lost"
        and summary["error"]["retryable"]
    )
    assert (
        "Worker 1 failed while training in round 2" in summary["error"]["message"]
        and summary["resumable"]
    )


def test_a_platform_that_refuses_to_start_workers_is_named(store: Store) -> None:
    put_dataset(store)

    class Full(Platform):
        def invoke(self, action, arguments):
            if action == "worker" and arguments["slot"] == 1:
                raise TooManyRequests(
                    "Too many concurrent requests in flight (count: 5, allowed: 5)."
                )
            return super().invoke(action, arguments)

    # No other worker computes its shard meanwhile.
    summary = train(store, plan_of(), platform=Full(store, timeouts=replace(QUICK, backup=60.0)))
    assert (
        summary["status"] == "failed"
        and "Too many concurrent requests" in summary["error"]["message"]
    )


def test_what_the_platform_answered_for_ever_is_the_reason(store: Store) -> None:
    """Without leases, the activation that is refused and the one that finds the shard overdue are different ones."""
    put_dataset(store)

    class Full(Platform):
        def invoke(self, action, arguments):
            if action == "worker" and arguments["slot"] == 1:
                raise TooManyRequests(
                    "OpenWhisk answered 429: Too many requests.", hint="Have the limits raised."
                )
            return super().invoke(action, arguments)

    summary = train(store, plan_of(lease=0.0), platform=Full(store))
    assert summary["status"] == "failed" and summary["error"]["code"] == "worker_refused"
    assert "Worker 1 failed while training in round 1" in summary["reason"]
    assert "answered 429: Too many requests. Have the limits raised." in summary["reason"]
    assert summary["error"]["hint"] == "Have the limits raised." and summary["error"]["retryable"]


def test_a_refusal_that_passes_is_no_failed_attempt(store: Store) -> None:
    put_dataset(store)
    refused = []

    class Full(Platform):
        def invoke(self, action, arguments):
            if action == "worker" and arguments["slot"] == 1 and len(refused) < 2:
                refused.append(arguments)
                raise TooManyRequests("Too many requests.")
            return super().invoke(action, arguments)

    assert (
        train(store, plan_of(lease=0.0, attempts=4), platform=Full(store))["status"] == "completed"
    )
    assert len(refused) == 2


def test_a_platform_that_does_not_start_the_first_worker_is_the_reason(store: Store) -> None:
    put_dataset(store)

    class Empty(Platform):
        def invoke(self, action, arguments):
            if action == "worker":
                raise PlatformError(
                    "OpenWhisk answered 404: The requested resource does not exist.",
                    hint="whisktrain deploy",
                )
            return super().invoke(action, arguments)

    platform = Empty(store, timeouts=replace(QUICK, build=0.3))
    with platform.following():
        with pytest.raises(PlatformError, match="does not exist"):
            create(store, platform, "r", plan_of(lease=0.0))
        summary = wait_summary(store, "r")
        wait_clean(store)
    assert (
        summary["status"] == "failed"
        and "404" in summary["reason"]
        and "whisktrain deploy" in summary["reason"]
    )
