"""`python -m openwhisk_local`: started, used over REST, and stopped."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import requests

PID = "import os, time\ndef main(args):\n    time.sleep(args.get('seconds', 0))\n    return {'pid': os.getpid()}\n"


@contextmanager
def started(
    temporary: Path, *options: str
) -> Iterator[tuple[subprocess.Popen[str], str, tuple[str, str]]]:
    """The process, its address and its key."""
    command = [sys.executable, "-m", "openwhisk_local", "--port", "0", *options]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    ) as process:
        try:
            assert process.stdout is not None
            apihost = process.stdout.readline()
            auth = process.stdout.readline()
            assert re.fullmatch(r"APIHOST=http://\S+:\d+\n", apihost), process.communicate()
            assert re.fullmatch(r"AUTH=[0-9a-f-]{36}:\S{64}\n", auth)
            user, _, password = auth.removeprefix("AUTH=").strip().partition(":")
            yield process, apihost.removeprefix("APIHOST=").strip(), (user, password)
        finally:
            process.kill()


def actions(apihost: str) -> str:
    return f"{apihost}/api/v1/namespaces/_/actions"


def run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "openwhisk_local", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    "ended_by", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name
)
def test_an_action_is_created_and_invoked_and_nothing_is_left(
    tmp_path: Path, ended_by: signal.Signals
) -> None:
    with started(tmp_path, "--memory", "512") as (process, apihost, auth):
        body = {"exec": {"kind": "python:3.11", "code": PID}}
        assert (
            requests.put(f"{actions(apihost)}/pid", json=body, auth=auth, timeout=30).status_code
            == 200
        )
        answer = requests.post(
            f"{actions(apihost)}/pid?blocking=true&result=true", json={}, auth=auth, timeout=30
        )
        child = psutil.Process(answer.json()["pid"])
        assert child.ppid() == process.pid
        requests.post(f"{actions(apihost)}/pid", json={"seconds": 60}, auth=auth, timeout=30)
        process.send_signal(ended_by)
        out, err = process.communicate(timeout=30)
        assert (process.returncode, out, err) == (0, "", "")
    until = time.monotonic() + 10
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < until
        time.sleep(0.02)
    assert list(tmp_path.iterdir()) == []


def test_a_home_keeps_the_key_and_has_a_wskprops_file(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with started(tmp_path, "--home", str(home)) as (_, apihost, auth):
        assert (home / "wskprops").read_text() == f"APIHOST={apihost}\nAUTH={auth[0]}:{auth[1]}\n"
    with started(tmp_path, "--home", str(home)) as (_, _, again):
        assert again == auth


def test_the_limits_may_be_those_of_openwhisk(tmp_path: Path) -> None:
    with started(tmp_path, "--openwhisk-limits") as (_, apihost, _):
        limits = requests.get(apihost, timeout=30).json()["limits"]
    assert (limits["actions_per_minute"], limits["concurrent_actions"]) == (60, 30)


def test_it_listens_on_loopback_addresses_only(tmp_path: Path) -> None:
    with started(tmp_path, "--host", "localhost") as (_, apihost, _):
        assert apihost.startswith("http://127.0.0.1:")
    for address in ("0.0.0.0", "192.168.0.1", "example.org"):
        refused = run("--host", address)
        assert refused.returncode == 2
        assert f"'{address}' is not a loopback address" in refused.stderr


def test_an_empty_home_is_refused() -> None:
    refused = run("--home", "")
    assert refused.returncode == 2
    assert "argument --home: an empty text" in refused.stderr


def test_too_little_memory_is_refused() -> None:
    refused = run("--memory", "255")
    assert refused.returncode == 2
    assert "at least 256" in refused.stderr


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with started(tmp_path) as (_, apihost, _):
        refused = run("--port", apihost.rpartition(":")[2])
    assert (refused.returncode, refused.stdout) == (3, "")
    assert re.fullmatch(
        r"the host cannot listen on 127\.0\.0\.1:\d+: .*\. Choose another port .*\n", refused.stderr
    )
