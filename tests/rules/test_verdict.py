"""The verdict on an open round: any order of failures, late and missing documents."""

from __future__ import annotations

from dataclasses import replace

import pytest
from plans import failure, plan_of, running

from whisktrain.errors import ErrorRecord
from whisktrain.records import round_times
from whisktrain.records.failures import MERGE, REFUSED, Failure
from whisktrain.records.run import Start
from whisktrain.rules.timeouts import TIMEOUTS
from whisktrain.rules.verdict import failure_sentence, judge, lost_error


def test_overdue_shards_are_tried_again_until_the_run_has_failed() -> None:
    state, now = running(), 1000.0
    failures: list[Failure] = []
    for attempt in (1, 2, 3):
        limit = TIMEOUTS.first * 2 ** (attempt - 1)
        assert judge(state, {0}, failures, now + limit - 0.01, TIMEOUTS).kind == "waiting"
        verdict = judge(state, {0}, failures, now + limit, TIMEOUTS)
        assert (verdict.kind, verdict.overdue) == ("again", (1,))
        now += limit
        failures.append(failure(1, attempt, now))
        state = replace(state, starts={1: Start(now, attempt)})
    verdict = judge(state, {0}, failures, now, TIMEOUTS)
    assert verdict.kind == "exhausted" and verdict.cause == failures[0]
    # An update that comes after all counts.
    assert judge(state, {0, 1}, failures, now, TIMEOUTS).kind == "complete"


def test_a_fatal_failure_ends_the_run_at_once_unless_its_shard_came_through() -> None:
    fatal = failure(1, fatal=True, error={"code": "diverged", "message": "nan"})
    verdict = judge(running(), {0}, [failure(0), fatal], 1000.0, TIMEOUTS)
    assert verdict.kind == "exhausted" and verdict.cause is fatal and fatal.diverged
    assert judge(running(), {0, 1}, [fatal], 1000.0, TIMEOUTS).kind == "complete"
    merge = failure(MERGE, fatal=True)
    assert judge(running(), {0, 1}, [merge], 1000.0, TIMEOUTS).kind == "exhausted"


def test_the_merge_fails_the_run_at_its_last_attempt() -> None:
    attempts = [failure(MERGE, attempt) for attempt in (1, 2, 3)]
    assert judge(running(), {0, 1}, attempts[:2], 1000.0, TIMEOUTS).kind == "complete"
    verdict = judge(running(), {0, 1}, attempts, 1000.0, TIMEOUTS)
    assert verdict.kind == "exhausted" and verdict.cause is attempts[0]


def test_what_a_worker_wrote_itself_is_the_cause_before_a_refusal_and_a_loss() -> None:
    lost = failure(1, 1, error={"code": "worker_lost", "message": "m"})
    refused = failure(1, 2, error={"code": "worker_refused", "message": "m"})
    own = failure(1, 3)
    for failures, cause in (
        ([lost, refused, own], own),
        ([lost, refused, lost], refused),
        ([lost, lost, lost], lost),
    ):
        attempts = [
            Failure(1, attempt, f.error, written=f.written)
            for attempt, f in enumerate(failures, start=1)
        ]
        verdict = judge(running(), {0}, attempts, 1000.0, TIMEOUTS)
        assert verdict.kind == "exhausted"
        assert verdict.cause is not None and verdict.cause.error == cause.error


def test_a_refusal_to_start_is_no_attempt_and_counts_for_the_newest_attempt_only() -> None:
    refusal = failure(1, REFUSED, written=1001.0, error={"code": "forbidden", "message": "no key"})
    of_shard_0 = failure(0, REFUSED, written=1001.0)
    verdict = judge(running(), {0}, [refusal, of_shard_0], 1000.0 + TIMEOUTS.first, TIMEOUTS)
    assert (verdict.kind, verdict.attempts, verdict.refused) == ("again", {}, {1: refusal.error})
    attempted = [refusal, failure(1, 1, written=1060.0)]
    assert judge(running(), {0}, attempted, 1061.0, TIMEOUTS).refused == {}


def test_it_is_judged_again_when_the_next_shard_becomes_overdue() -> None:
    state = running(starts={0: Start(1011.0)})
    verdict = judge(state, set(), [failure(0, 1, written=1010.0)], 1020.0, TIMEOUTS)
    assert verdict.kind == "waiting" and verdict.until == 1000.0 + TIMEOUTS.first


def test_a_failure_is_answered_by_an_invocation_that_is_newer() -> None:
    """Whichever aggregate looks: it is noted in the run document."""
    failures = [failure(1, 1, written=1010.0)]
    for starts in ({}, {1: Start(1009.0)}, {0: Start(1012.0)}):
        verdict = judge(running(starts=starts), {0}, failures, 1020.0, TIMEOUTS)
        assert (verdict.kind, verdict.unanswered, verdict.overdue) == ("again", (1,), ())
    assert judge(running(), {0}, failures, 1009.0, TIMEOUTS).kind == "waiting", "as of then"
    answered = running(starts={1: Start(1012.0)})
    assert judge(answered, {0}, failures, 1020.0, TIMEOUTS).kind == "waiting"
    assert judge(answered, {0}, failures, 1012.0 + 2 * TIMEOUTS.start, TIMEOUTS).overdue == (1,)


def test_a_slow_start_is_not_overdue_before_others_here_were() -> None:
    """A round of milliseconds does not make a cold start of half a minute overdue."""
    timing = {next(iter(round_times.added({}, 50.0))): 20}
    warm = running(timing=timing, leases={1: 2000.0})
    assert judge(warm, {0}, [], 1000.0 + TIMEOUTS.least, TIMEOUTS).overdue == (1,)
    cold = replace(warm, starts={1: Start(1000.0)}, longest_start=30.0)
    assert judge(cold, {0}, [], 1000.0 + 90.0 - 0.01, TIMEOUTS).kind == "waiting"
    assert judge(cold, {0}, [], 1000.0 + 90.0, TIMEOUTS).overdue == (1,)
    without_leases = replace(warm, spec=plan_of(lease=0.0), longest_start=30.0)
    assert judge(without_leases, {0}, [], 1000.0 + 90.0 - 0.01, TIMEOUTS).kind == "waiting"


def test_what_the_platform_knows_comes_before_any_time_out() -> None:
    verdict = judge(running(), {0}, [], 1000.5, TIMEOUTS, {1})
    assert (verdict.kind, verdict.overdue) == ("again", (1,))
    ended: ErrorRecord = {
        "code": "action_failed",
        "message": "It exhausted its memory.",
        "hint": "",
        "retryable": False,
    }
    error = lost_error(1, running(), None, ended)
    assert error["code"] == "worker_lost" and error["retryable"]
    assert error["message"] == "There was no update of shard 1: It exhausted its memory."
    assert "memory" in error["hint"]


def test_a_lost_worker_is_described_by_what_is_known_of_it() -> None:
    killed = lost_error(1, running(), None)
    assert killed["code"] == "worker_lost" and killed["retryable"] is True
    assert killed["message"].startswith(
        "There was no update of shard 1 in time; its activation was killed"
    )
    assert lost_error(0, running(phase="build", round=0), None)["message"].startswith(
        "The model was not built in time"
    )
    refusal: ErrorRecord = {
        "code": "forbidden",
        "message": "no key",
        "hint": "Deploy again.",
        "retryable": False,
    }
    refused = lost_error(1, running(), refusal)
    assert (refused["code"], refused["hint"]) == ("worker_refused", "Deploy again.")
    assert refused["message"].endswith("the platform did not start its activation: no key")
    bare = lost_error(
        1, running(), {"code": "forbidden", "message": "", "hint": "", "retryable": False}
    )
    assert bare["hint"] == "See what the platform's log says."


@pytest.mark.parametrize(
    ("cause", "phase", "sentence"),
    [
        (failure(1), "train", "Worker 1 failed while training in round 3: m"),
        (failure(1, 2), "train", "Worker 1 failed while training in round 3 at attempt 2: m"),
        (failure(0), "build", "Worker 0 failed while building the model in round 3: m"),
        (failure(MERGE), "evaluate", "The aggregate failed while evaluating in round 3: m"),
    ],
)
def test_the_first_failing_worker_is_named(cause: Failure, phase: str, sentence: str) -> None:
    assert failure_sentence(cause, running(phase=phase)) == sentence
