"""What doctor says of a platform that is none, of its version and limits, and of the follower's own report."""

from __future__ import annotations

import pytest

from openwhisk_local import Host
from openwhisk_local import Limits as HostLimits
from whisktrain.doctor import examine, follower, host
from whisktrain.openwhisk.client import Client


def findings(client, address, environment):
    return {f.name: f for f in examine(client, address, environment)}


def failures(client, address, environment):
    return {n: f for n, f in findings(client, address, environment).items() if not f.ok}


def test_no_platform_and_something_else_than_a_platform(platform, key) -> None:
    with Client("http://127.0.0.1:9", "u:k") as nobody:
        found = findings(nobody, None, {})
    assert list(found) == ["platform", "store"]
    assert "docker compose up" in found["platform"].hint
    platform.answer = lambda *_: (200, {"hello": "world"}, {})
    found = findings(Client(platform.url, key), None, {})
    assert "is not OpenWhisk" in found["platform"].detail
    assert "--apihost" in found["platform"].hint


@pytest.mark.parametrize(
    ("version", "shown"),
    [
        ({"api_version": "1.0.0", "build": "???", "buildno": "???"}, "API 1.0.0"),
        (
            {"api_version": "1.0.0", "build": "2026-01-02", "buildno": ""},
            "API 1.0.0, build 2026-01-02",
        ),
        ({"api_version": "1.0.0", "build": "b", "buildno": 7}, "API 1.0.0, build b 7"),
        ({"build": "N/A"}, ""),
    ],
)
def test_parts_of_the_version_that_nobody_knows_are_left_out(platform, key, version, shown) -> None:
    platform.answer = lambda _, path, __: (200, {"limits": {}} if path == "/" else version, {})
    detail = host.check_platform(Client(platform.url, key)).detail
    assert detail == f"OpenWhisk at {platform.url}" + (f", {shown}" if shown else "")


def test_limits_that_are_too_small_for_tensorflow(tmp_path) -> None:
    limits = HostLimits(max_memory_mb=256, user_memory_mb=1024)
    with (
        Host(tmp_path / "host", limits=limits) as running,
        Client(running.apihost, running.auth) as client,
    ):
        found = findings(client, None, {})
    assert not found["limits"].ok
    assert "-Dwhisk.memory.max=512m" in found["limits"].hint


def test_what_the_default_limits_mean(tmp_path) -> None:
    with Host(tmp_path / "host", limits=HostLimits.openwhisk_defaults()) as running:
        with Client(running.apihost, running.auth) as client:
            limits = host.read_limits(client, {"WHISKTRAIN_CONTAINER_MEMORY": "2048"})
    detail = host.check_limits(limits).detail
    assert "30 at once, 60 invocations and 60 fires a minute, 2048 MB for all containers" in detail
    assert "3 workers of 512 MB at a time; about 15 rounds a minute with lease 0" in detail


def test_the_followers_own_word(platform) -> None:
    for answer, ok, word in (
        ((200, {"ok": True}, {}), True, "well"),
        (
            (503, {"ok": False, "error": "store_unreachable: it does not answer"}, {}),
            False,
            "store_unreachable",
        ),
        ((200, b"?", {}), False, "does not answer"),
    ):
        platform.answer = lambda *_, answer=answer: answer
        (found,) = follower.check_health({"WHISKTRAIN_FOLLOWER_URL": platform.url})
        assert found.ok is ok
        assert word in found.detail
        assert found.ok or found.hint
    assert list(follower.check_health({})) == []
