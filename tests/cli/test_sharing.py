"""Commands of one home share a host: it is warm for the next one, survives none of its own kill, and ends by itself."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import Any

STAYS = {"WHISKTRAIN_HOST_STAYS": "120"}


def hosts(machine: Any) -> list[dict[str, Any]]:
    found = machine.run("local", "--status", "--json").json["hosts"]
    assert isinstance(found, list)
    return found


def wait_until_nothing_runs(machine: Any) -> None:
    until = time.monotonic() + 60
    while machine.processes():
        assert time.monotonic() < until, machine.processes()
        time.sleep(0.2)


def test_commands_share_one_host_which_carries_runs_on_and_ends_when_told(fresh: Any) -> None:
    words = "train iris --model linear --workers 1 --epochs 400 --name shared --no-wait --json"
    begun = fresh.run(*words.split(), **STAYS)
    assert begun.code == 0, begun.err
    run = begun.json["run"]
    [host] = hosts(fresh)
    assert (host["kind"], host["runs"]) == ("shared", [run])
    os.kill(host["pid"], signal.SIGKILL)
    watched = fresh.run("runs", "watch", run, "--json", **STAYS)
    assert watched.code == 0, watched.err
    assert watched.json["status"] == "completed"
    [other] = hosts(fresh)
    assert other["pid"] != host["pid"]
    rows = ("predict", "shared", "--rows", "[5.1, 3.5, 1.4, 0.2]", "--json")
    at_once = [fresh.start(*rows, **STAYS) for _ in range(3)]
    answers = [json.loads(command.communicate(timeout=120)[0]) for command in at_once]
    assert [answer["model"] for answer in answers] == ["shared:1"] * 3
    assert hosts(fresh) == [other], "the same one, and nothing trains there any more"
    stopped = fresh.run("local", "--stop", "--json")
    assert [ended["pid"] for ended in stopped.json["ended"]] == [other["pid"]]
    wait_until_nothing_runs(fresh)
    assert hosts(fresh) == []


def test_commands_at_once_start_one_host_and_it_ends_by_itself(fresh: Any) -> None:
    rows = ("predict", "nothing", "--rows", "[[1]]")
    brief = {"WHISKTRAIN_HOST_STAYS": "3"}
    commands = [fresh.start(*rows, **brief) for _ in range(3)]
    for command in commands:
        command.communicate(timeout=120)
        assert command.returncode == 5
    log = (fresh.home / "logs" / "host.log").read_text()
    assert "Traceback" not in log
    wait_until_nothing_runs(fresh)
    assert not [path for path in (fresh.home / "hosts").iterdir() if path.is_dir()]


def test_a_home_that_is_deleted_ends_its_host(fresh: Any) -> None:
    import shutil

    assert fresh.run("predict", "nothing", "--rows", "[[1]]", **STAYS).code == 5
    assert len(hosts(fresh)) == 1
    shutil.rmtree(fresh.home)
    wait_until_nothing_runs(fresh)
