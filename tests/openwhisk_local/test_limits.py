"""What the host allows, what it publishes, and what it says when it was too much."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from openwhisk_local import Host, Limits
from openwhisk_local.activations.rates import MinuteCount, Rates
from openwhisk_local.rejections import Rejection

NOOP = "def main(args):\n    return {}\n"
SLEEP = "import time\ndef main(args):\n    time.sleep(args.get('seconds', 0))\n    return {}\n"


def wait_for_a_young_minute() -> None:
    """Counts are by clock minute: a test that needs one minute does not begin at its end."""
    left = 60 - time.time() % 60
    if left < 6:
        time.sleep(left)


def test_openwhisk_defaults_are_published(tmp_path: Path, calling: Any) -> None:
    with Host(tmp_path, limits=Limits.openwhisk_defaults()) as host:
        caller = calling(host)
        root = caller.send("GET", "/", auth=False).body["limits"]
        assert root["actions_per_minute"] == 60
        assert root["triggers_per_minute"] == 60
        assert root["concurrent_actions"] == 30
        assert root["max_action_memory"] == 512 << 20
        assert root["max_action_duration"] == 300_000
        assert root["sequence_length"] == 50
        mine = caller.api("GET", "limits").body
        assert (
            mine["invocationsPerMinute"],
            mine["concurrentInvocations"],
            mine["firesPerMinute"],
        ) == (60, 30, 60)
        assert (mine["maxActionMemory"], mine["maxActionTimeout"]) == (512, 300_000)
        too_much = caller.api(
            "PUT",
            "actions/a",
            {"exec": {"kind": "python:3", "code": NOOP}, "limits": {"memory": 513}},
        )
        assert (too_much.status, too_much.error) == (
            400,
            "requirement failed: memory size 513 MB exceeds allowed threshold of 512 MB",
        )


def test_the_own_defaults_are_generous(caller: Any) -> None:
    root = caller.send("GET", "/", auth=False).body["limits"]
    assert root["concurrent_actions"] == 200
    assert root["actions_per_minute"] >= 1_000_000
    assert root["max_action_memory"] == 4096 << 20
    assert root["max_action_duration"] == 600_000


def test_invocations_per_minute(tmp_path: Path, calling: Any) -> None:
    with Host(tmp_path, limits=Limits(invocations_per_minute=3)) as host:
        caller = calling(host)
        caller.put("noop", NOOP)
        caller.sequence("seq", "/_/noop", "/_/noop", "/_/noop")
        wait_for_a_young_minute()
        statuses = [caller.run("seq").status for _ in range(3)]
        declined = caller.run("noop")
        assert statuses == [200, 200, 200]  # a sequence counts once
        assert declined.status == 429
        assert declined.error == "Too many requests in the last minute (count: 4, allowed: 3)."
        assert declined.body["code"] == declined.headers["x-request-id"]


def test_concurrent_invocations(tmp_path: Path, calling: Any) -> None:
    with Host(tmp_path, limits=Limits(concurrent=2)) as host:
        caller = calling(host)
        caller.put("sleep", SLEEP)
        ids = [caller.start("sleep", {"seconds": 1}) for _ in range(2)]
        declined = caller.run("sleep")
        assert (declined.status, declined.error) == (
            429,
            "Too many concurrent requests in flight (count: 2, allowed: 2).",
        )
        for activation_id in ids:
            caller.record(activation_id)
        assert caller.run("sleep").status == 200


def test_fires_per_minute_and_a_rules_429_only_in_the_triggers_record(
    tmp_path: Path, calling: Any
) -> None:
    with Host(tmp_path, limits=Limits(invocations_per_minute=1, fires_per_minute=2)) as host:
        caller = calling(host)
        caller.put("noop", NOOP)
        assert caller.api("PUT", "triggers/t", {}).status == 200
        assert caller.api("PUT", "rules/r", {"trigger": "/_/t", "action": "/_/noop"}).status == 200
        wait_for_a_young_minute()
        fired = [caller.api("POST", "triggers/t", {}) for _ in range(3)]
        assert [answer.status for answer in fired] == [202, 202, 429]
        assert fired[2].error == "Too many requests in the last minute (count: 3, allowed: 2)."
        first, second = (
            json.loads(caller.record(a.body["activationId"])["logs"][0]) for a in fired[:2]
        )
        assert first["success"] is True
        assert caller.record(first["activationId"])["name"] == "noop"
        assert second == {
            "rule": "guest/r",
            "action": "guest/noop",
            "statusCode": 1,
            "success": False,
            "error": "Too many requests in the last minute (count: 2, allowed: 1).",
        }
        assert caller.api("GET", "activations?name=noop&count=true").body == {"activations": 1}


def test_code_and_parameters_have_a_size(tmp_path: Path, calling: Any) -> None:
    with Host(tmp_path, limits=Limits(max_code=1000, max_payload=2000)) as host:
        caller = calling(host)
        code = {"exec": {"kind": "python:3", "code": "#" * 1001}}
        assert (
            caller.api("PUT", "actions/a", code).error
            == "exec larger than allowed: 1001 > 1000 bytes."
        )
        parameters = [{"key": "k", "value": "v" * 2000}]
        answer = caller.api(
            "PUT",
            "actions/a",
            {"exec": {"kind": "python:3", "code": NOOP}, "parameters": parameters},
        )
        assert (answer.status, answer.error) == (
            413,
            "parameters larger than allowed: 2003 > 2000 bytes.",
        )
        caller.put("a", NOOP)
        answer = caller.run("a", {"x": "y" * 2000})
        assert (answer.status, answer.error) == (
            413,
            "Request larger than allowed: 2009 > 2000 bytes.",
        )


def test_a_client_that_sends_too_much_gets_its_answer(caller: Any) -> None:
    caller.put("noop", NOOP)
    for mb in (2, 20, 60):
        answer = caller.send("POST", "/api/v1/namespaces/_/actions/noop", b"x" * (mb << 20))
        assert (answer.status, answer.error) == (
            413,
            f"Request larger than allowed: {mb << 20} > 1048576 bytes.",
        )


def test_blocking_ends_with_202_and_the_action_goes_on(tmp_path: Path, calling: Any) -> None:
    with Host(tmp_path, limits=Limits(max_blocking_s=0.3)) as host:
        caller = calling(host)
        caller.put("sleep", SLEEP)
        answer = caller.run("sleep", {"seconds": 1})
        assert answer.status == 202
        assert list(answer.body) == ["activationId"]
        assert caller.record(answer.body["activationId"])["response"]["success"] is True
        declined = caller.api("POST", "actions/sleep?blocking=true&timeout=301", {})
        why = "The query parameter 'timeout' was malformed:\nTimeout must be number of milliseconds up to 300."
        assert (declined.status, declined.error) == (400, why)


def test_counts_begin_anew_with_every_clock_minute() -> None:
    now = 59.0
    count = MinuteCount(2, lambda: now)
    count.check()
    count.check()
    with pytest.raises(Rejection, match=r"count: 3, allowed: 2") as declined:
        count.check()
    assert declined.value.status == 429
    now = 60.0
    count.check()


def test_declined_invocations_count_too() -> None:
    rates = Rates(Limits(invocations_per_minute=1, concurrent=5), lambda: 0.0)
    with pytest.raises(Rejection, match=r"concurrent requests in flight \(count: 5, allowed: 5\)"):
        rates.check_invocation(5)
    with pytest.raises(Rejection, match=r"last minute \(count: 2, allowed: 1\)"):
        rates.check_invocation(0)
