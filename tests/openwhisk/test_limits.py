from __future__ import annotations

import pytest

from openwhisk_local import Host
from openwhisk_local import Limits as HostLimits
from whisktrain.openwhisk.client import Client
from whisktrain.openwhisk.limits import Limits, cores, read, read_all
from whisktrain.rules.capacity import ActionMemory

MB = 1024 * 1024


def test_openwhisks_defaults_where_nothing_is_said() -> None:
    assert read({}, {}, {}, processors=2) == Limits(30, 60, 60, None, 2, 300.0, 512)


def test_the_namespaces_limits_go_before_the_platforms() -> None:
    info = {
        "limits": {
            "concurrent_actions": 100,
            "actions_per_minute": 120,
            "triggers_per_minute": 90,
            "max_action_duration": 600_000,
            "max_action_memory": 1024 * MB,
        }
    }
    assert read(info, {}, {}, processors=1) == Limits(100, 120, 90, None, 1, 600.0, 1024)
    namespace = {
        "concurrentInvocations": 5,
        "invocationsPerMinute": 7,
        "firesPerMinute": 8,
        "maxActionTimeout": 60_000,
    }
    assert read(info, namespace, {}, processors=1) == Limits(5, 7, 8, None, 1, 60.0, 1024)


@pytest.mark.parametrize(
    ("text", "memory"), [("6144", 6144), ("", None), ("unknown", None), ("0", None)]
)
def test_container_memory_is_known_from_the_deployment_only(text, memory) -> None:
    assert read({}, {}, {"WHISKTRAIN_CONTAINER_MEMORY": text}).memory_mb == memory


def test_nonsense_is_passed_over() -> None:
    assert (
        read(
            {"limits": {"concurrent_actions": "many", "actions_per_minute": -1}},
            {},
            {},
            processors=1,
        ).concurrent
        == 30
    )


def test_what_a_host_with_openwhisks_defaults_says(tmp_path) -> None:
    with (
        Host(tmp_path, limits=HostLimits.openwhisk_defaults()) as host,
        Client(host.apihost, host.auth) as client,
    ):
        found = read(client.info(), client.limits(), {})
    assert found == Limits(30, 60, 60, None, cores(), 300.0, 512)


def test_the_memory_of_actions_is_what_the_platform_has(tmp_path) -> None:
    """Whatever a manifest or a variable says: the action's own limit counts, and the manifest only without an action."""
    code = {"kind": "python:default", "code": "def main(args): return {}"}
    with Host(tmp_path) as host, Client(host.apihost, host.auth) as client:
        client.put("packages", "mine", {})
        for name, memory in {"worker": 1024, "aggregate": 640}.items():
            client.put("actions", f"mine/{name}", {"exec": code, "limits": {"memory": memory}})
        found = read_all(client, {"WHISKTRAIN_WORKER_MEMORY": "2048"}, "/_/mine/")
        assert found.actions == ActionMemory(worker=1024, aggregate=640, train=256, predict=512)
        assert found.max_memory_mb == host.limits.max_memory_mb
        client.put("actions", "mine/worker", {"exec": code, "limits": {"memory": 1536}})
        assert read_all(client, {}, "mine/").actions.worker == 1536
