from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import requests
import yaml

from openwhisk_local import Host, Limits
from whisktrain.errors import ConfigurationError, StoreError, StoreUnreachable, TooManyRequests
from whisktrain.openwhisk import feed
from whisktrain.openwhisk.client import Client
from whisktrain.openwhisk.follower_service import Service, serve
from whisktrain.store.opening import open_store

ROOT = Path(__file__).resolve().parents[2]


class Log:
    def __init__(self) -> None:
        self.lines: list[tuple[str, dict]] = []

    def info(self, event, **more) -> None:
        self.lines.append((event, more))

    warning = error = info


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(condition, seconds: float = 20.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


def page(url: str):
    try:
        return requests.get(url, timeout=5)
    except requests.ConnectionError:
        return None


def container_command() -> list[str]:
    """What compose.yaml starts in the follower's container, with this Python."""
    service = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["follower"]
    python, *arguments = service["entrypoint"]
    assert python == "python"
    return [sys.executable, *arguments]


COMMANDS = [[sys.executable, str(ROOT / "aggregator" / "follower.py")], container_command()]


@pytest.mark.parametrize("command", COMMANDS, ids=["file", "container"])
def test_what_keeps_the_process_from_starting_is_its_last_words(command, tmp_path) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "WHISK_APIHOST": "http://127.0.0.1:1",
        "WHISK_AUTH": "a:b",
    }
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (3, "")
    said = json.loads(done.stdout)
    assert said["event"] == "cannot follow"
    assert said["hint"] == "Set WHISKTRAIN_STORE."


@pytest.mark.parametrize("command", COMMANDS, ids=["file", "container"])
def test_the_process_fires_for_a_run_that_needs_somebody_says_how_it_is_and_ends_on_sigterm(
    command, platform, key, tmp_path
) -> None:
    address = f"sqlite:{tmp_path}/store"
    store = open_store(address)
    feed.handle(
        {"lifecycleEvent": "CREATE", "triggerName": "/_/rounds", "authKey": key},
        store,
        namespace="guest",
    )
    # What is left of a run that is gone: an aggregate has to come and clear it away.
    store.rounds.put("stop:gone", {"schema": 1})
    verdicts = [429, 503]

    def answer(method, path, body):
        if method == "POST" and path.endswith("/triggers/rounds"):
            status = verdicts.pop(0) if verdicts else 202
            return (
                status,
                ({"activationId": "a" * 32} if status == 202 else {"error": "busy", "code": "x"}),
                {},
            )
        return 200, {"limits": {"triggers_per_minute": 60}}, {}

    platform.answer = answer
    props = tmp_path / "wskprops"
    props.write_text(f"APIHOST={platform.url}\nAUTH={key}\n")
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "WSK_CONFIG_FILE": str(props),
        "WHISKTRAIN_STORE": address,
        "WHISKTRAIN_FOLLOWER_PORT": str(port),
    }
    child = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        fired = until(lambda: [c for c in platform.calls if c[0] == "POST" and not verdicts])
        assert fired[0][1] == "/api/v1/namespaces/guest/triggers/rounds"
        assert fired[0][2] == {"run": "gone"}
        health = until(
            lambda: (
                (p := page(f"http://127.0.0.1:{port}/healthz"))
                and p.status_code == 200
                and p.json()
            )
        )
        assert health["ok"] is True
        assert health["triggers"] == 1
        metrics = until(
            lambda: (
                (p := page(f"http://127.0.0.1:{port}/metrics"))
                and 'outcome="accepted"' in p.text
                and p.text
            )
        )
        assert 'whisktrain_follower_fires_total{outcome="refused"} 1.0' in metrics
        assert page(f"http://127.0.0.1:{port}/other").status_code == 404
        child.send_signal(signal.SIGTERM)
        out, err = child.communicate(timeout=20)
    finally:
        if child.poll() is None:
            child.kill()
            child.communicate()
        store.close()
    assert (child.returncode, err) == (0, "")
    events = [json.loads(line) for line in out.splitlines()]
    assert [events[0]["event"], events[-1]["event"]] == ["following", "stopped"]
    assert {"fired", "not fired"} <= {e["event"] for e in events}
    assert "store answers" not in {e["event"] for e in events}, "it always did"
    assert "topsecret" not in out


def test_a_refused_fire_is_counted_logged_and_left_to_the_follower(
    platform, key, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("whisktrain.openwhisk.follower_service._FIRE_RETRY_TIMEOUT", 0.2)
    store, log = open_store(f"sqlite:{tmp_path}/store"), Log()
    service = Service(store, Client(platform.url, key), log, 60)
    platform.answer = lambda *_: (429, {"error": "Too many requests in the last minute."}, {})
    with pytest.raises(TooManyRequests):
        service.fire("/_/rounds", {"run": "r"})
    platform.answer = lambda *_: (204, None, {})
    service.fire("/_/rounds", {"run": "r"})
    assert [event for event, _ in log.lines] == ["not fired", "no active rule"]
    assert (
        service.registry.get_sample_value("whisktrain_follower_fires_total", {"outcome": "limited"})
        == 1
    )
    assert (
        service.registry.get_sample_value("whisktrain_follower_fires_total", {"outcome": "no_rule"})
        == 1
    )
    assert service.check()["ok"] is False
    store.close()


def test_a_fire_whose_action_was_declined_is_refused_not_delivered(tmp_path) -> None:
    """OpenWhisk accepts a fire (202) and declines the action where too many run: only the trigger's record says so."""
    store = open_store(f"sqlite:{tmp_path / 'store'}")
    store.ensure()
    code = {
        "kind": "python:default",
        "code": "import time\ndef main(args): return {'s': time.sleep(args['s'])}",
    }
    with (
        Host(tmp_path / "host", limits=Limits(concurrent=1)) as host,
        Client(host.apihost, host.auth) as client,
    ):
        client.put("actions", "slow", {"exec": code, "limits": {"timeout": 60_000}})
        client.put("triggers", "rounds", {"name": "rounds"})
        rule = {"name": "r", "trigger": "/_/rounds", "action": "/_/slow"}
        client.put("rules", "r", rule)
        service = Service(store, client, Log(), 60)
        running = client.start("slow", {"s": 5})
        with pytest.raises(TooManyRequests, match="declined its action") as refused:
            service.fire("/_/rounds", {"run": "R", "s": 0})
        assert refused.value.retryable
        assert client.wait(running, timeout=60).succeeded
        service.fire("/_/rounds", {"run": "R", "s": 0})
    for outcome in ("limited", "accepted"):
        sample = {"outcome": outcome}
        assert service.registry.get_sample_value("whisktrain_follower_fires_total", sample) == 1
    store.close()


def test_following_goes_on_after_a_fault_that_nobody_expected(
    platform, key, tmp_path, monkeypatch
) -> None:
    store, log, stop, turns = open_store(f"sqlite:{tmp_path}/store"), Log(), threading.Event(), []
    service = Service(store, Client(platform.url, key), log, 60)

    def run(ending) -> None:
        turns.append(service.following)
        if len(turns) < 3:
            raise OSError("no answer of https://user:secret@host/db")
        ending.set()

    monkeypatch.setattr(service.follower, "run", run)
    monkeypatch.setattr("whisktrain.openwhisk.follower_service._LONGEST_PAUSE", 0.05)
    service.run(stop)
    assert turns == [True, True, True]
    failed = [more for event, more in log.lines if event == "following failed"]
    assert [more["reason"] for more in failed] == ["OSError: no answer of https://host/db"] * 2
    assert all(more["at"].startswith("test_follower_service.py:") for more in failed)
    store.close()


@pytest.mark.parametrize(
    ("failure", "healthy"),
    [
        (StoreError("No database.", code="store_missing"), True),
        (StoreUnreachable("Refused."), False),
    ],
    ids=["nobody has deployed yet", "store down"],
)
def test_how_it_is_while_the_store_does_not_answer_and_that_it_goes_on_after(
    failure, healthy, platform, key, tmp_path, monkeypatch
) -> None:
    store, log, stop, there = (
        open_store(f"sqlite:{tmp_path}/store"),
        Log(),
        threading.Event(),
        threading.Event(),
    )
    answer = store.rounds.changes

    def changes(*args, **more):
        if there.is_set():
            return answer(*args, **more)
        raise failure

    monkeypatch.setattr(store.rounds, "changes", changes)
    service = Service(store, Client(platform.url, key), log, 60)
    thread = threading.Thread(target=service.run, args=(stop,))
    thread.start()
    try:
        seen = until(lambda: (s := service.check())["error"] and s)
        assert (seen["ok"], seen["waiting"]) == (healthy, healthy)
        there.set()
        healed = until(lambda: (s := service.check())["ok"] and not s["error"] and s)
        assert healed["waiting"] is False
    finally:
        stop.set()
        thread.join(20)
        store.close()
    assert [event for event, _ in log.lines] == ["store does not answer", "store answers"]


def test_what_is_missing_is_named(tmp_path) -> None:
    named = {"WHISK_APIHOST": "http://127.0.0.1:9", "WHISK_AUTH": "u:k"}
    with pytest.raises(ConfigurationError, match="No platform"):
        serve({"WHISKTRAIN_STORE": "sqlite:x"})
    with pytest.raises(ConfigurationError, match="no store"):
        serve(named)
    address = f"sqlite:{tmp_path}/store"
    with pytest.raises(ConfigurationError, match="'many'"):
        serve({**named, "WHISKTRAIN_STORE": address, "WHISKTRAIN_FOLLOWER_PORT": "many"})
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with pytest.raises(ConfigurationError, match=f"cannot listen on 127.0.0.1:{port}"):
            serve({**named, "WHISKTRAIN_STORE": address, "WHISKTRAIN_FOLLOWER_PORT": port})
