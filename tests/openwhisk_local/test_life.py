"""How the host starts and stops, and that nothing outlives it."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from openwhisk_local import Host, HostError

PID = "import os, time\ndef main(args):\n    time.sleep(args.get('seconds', 0))\n    return {'pid': os.getpid()}\n"
A_HOST_AND_ITS_WORK = """
import http.client, json, signal, sys, time
from base64 import b64encode
from pathlib import Path
from openwhisk_local import Host

# A shell lets what it starts in the background ignore Ctrl-C, the tests and all below them included.
signal.signal(signal.SIGINT, signal.default_int_handler)
host = Host(Path(sys.argv[1])).start()
port = int(host.apihost.rpartition(":")[2])
headers = {"Authorization": "Basic " + b64encode(host.auth.encode()).decode(), "Content-Type": "application/json"}

def call(method, path, body):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request(method, "/api/v1/namespaces/_/actions/" + path, json.dumps(body), headers)
    return json.loads(connection.getresponse().read())

call("PUT", "pid", {"exec": {"kind": "python:3.11", "code": sys.argv[2]}})
idle = call("POST", "pid?blocking=true&result=true", {})["pid"]
call("PUT", "busy", {"exec": {"kind": "python:3.11", "code": sys.argv[2]}})
call("POST", "busy", {"seconds": 60})
time.sleep(0.5)
print(idle, flush=True)
time.sleep(60)
"""


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def until(condition: Any, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


@pytest.mark.parametrize(
    "killed_by", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda s: s.name
)
def test_no_process_outlives_a_host_that_is_killed(
    tmp_path: Path, killed_by: signal.Signals
) -> None:
    command = [sys.executable, "-c", A_HOST_AND_ITS_WORK, str(tmp_path), PID]
    said = tmp_path / "said"
    with (
        said.open("w") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as host,
    ):
        assert host.stdout is not None
        printed = host.stdout.readline()
        assert printed.strip().isdecimal(), said.read_text()
        idle = int(printed)
        children = psutil.Process(host.pid).children()
        assert idle in [child.pid for child in children]
        assert len(children) == 2
        host.send_signal(killed_by)
        host.wait(10)
    until(lambda: all(gone(child) for child in children))


def test_stopping_ends_all_processes_and_answers_who_waits(tmp_path: Path, calling: Any) -> None:
    before = set(psutil.Process().children())  # servers of other tests
    host = Host(tmp_path).start()
    caller = calling(host)
    caller.put("pid", PID)
    children = [psutil.Process(caller.result("pid")["pid"])]
    answers: list[Any] = []
    waiting = threading.Thread(target=lambda: answers.append(caller.run("pid", {"seconds": 60})))
    waiting.start()
    caller.start("pid", {"seconds": 60})
    until(lambda: len(set(psutil.Process().children()) - before) >= 2)
    time.sleep(0.2)
    begun = time.monotonic()
    host.stop()
    assert time.monotonic() - begun < 5
    waiting.join()
    assert (answers[0].status, answers[0].error) == (503, "The host is stopping.")
    assert all(gone(child) for child in children)
    assert list((tmp_path / "processes").iterdir()) == []
    assert not [t for t in threading.enumerate() if t.name == "openwhisk-local"]
    host.stop()


def test_stopping_while_processes_start_leaves_none(tmp_path: Path, calling: Any) -> None:
    before = set(psutil.Process().children())  # servers of other tests
    for delay in (0.0, 0.003, 0.006, 0.01, 0.02):
        with Host(tmp_path) as host:
            caller = calling(host)
            caller.put("pid", PID)
            for _ in range(6):
                caller.start("pid", {"seconds": 60})
            time.sleep(delay)
    assert [child for child in set(psutil.Process().children()) - before if not gone(child)] == []
    assert list((tmp_path / "processes").iterdir()) == []


def test_a_host_can_be_started_again_on_its_port_with_its_key(tmp_path: Path, calling: Any) -> None:
    host = Host(tmp_path)
    with host:
        where, key = host.apihost, host.auth
        calling(host).put("a", PID)
    with host:
        assert (host.apihost, host.auth) == (where, key)
        assert calling(host).api("GET", "actions").body == []
    with Host(tmp_path) as again:
        assert again.auth == key


def test_wskprops_say_where_the_host_is_and_only_the_owner_may_read_them(tmp_path: Path) -> None:
    with Host(tmp_path / "new" / "home") as host:
        assert host.wskprops_path == tmp_path / "new" / "home" / "wskprops"
        assert host.wskprops_path.read_text() == f"APIHOST={host.apihost}\nAUTH={host.auth}\n"
        for file in (host.wskprops_path, tmp_path / "new" / "home" / "auth"):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert len(host.auth) == 36 + 1 + 64
        assert host.auth not in repr(host)


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with Host(tmp_path / "first") as host:
        port = int(host.apihost.rpartition(":")[2])
        with pytest.raises(HostError) as raised:
            Host(tmp_path / "second", port=port).start()
    assert raised.value.code == "port_in_use"
    assert f"127.0.0.1:{port}" in raised.value.message
    assert "\n" not in str(raised.value)


def test_it_listens_on_loopback_only(host: Host) -> None:
    port = int(host.apihost.rpartition(":")[2])
    listening = [
        c.laddr.ip
        for c in psutil.Process().net_connections("tcp")
        if c.status == "LISTEN" and c.laddr.port == port
    ]
    assert listening == ["127.0.0.1"]


def test_two_hosts_may_have_one_home(tmp_path: Path, calling: Any) -> None:
    with Host(tmp_path) as first:
        caller = calling(first)
        caller.put("pid", PID)
        pid = caller.result("pid")["pid"]
        with Host(tmp_path) as second:
            assert second.auth == first.auth
            assert calling(second).api("GET", "actions").body == []
        assert caller.result("pid")["pid"] == pid
        assert len(list((tmp_path / "processes").glob("*/*"))) == 1


def test_what_killed_hosts_left_is_removed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    (tmp_path / "processes" / f"{ended.pid}-0123abcd" / "code").mkdir(parents=True)
    with Host(tmp_path):
        assert [folder.name.partition("-")[0] for folder in (tmp_path / "processes").iterdir()] == [
            str(os.getpid())
        ]


def test_a_home_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(
        HostError, match=r"home .*file cannot be used: File exists\. Name another one"
    ) as raised:
        Host(tmp_path / "file").start()
    assert "\n" not in str(raised.value)


PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdin=subprocess.PIPE)
time.sleep(60)
"""
CHILD = """
import os, sys, time
from openwhisk_local.processes.launcher import tie_to_parent
sys.platform = "darwin"
tie_to_parent(os.getppid())
print(os.getpid(), flush=True)
time.sleep(60)
"""


def test_a_process_ends_with_its_host_where_the_system_does_not_see_to_it() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, CHILD], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        assert not gone(child)
        parent.kill()
        parent.wait()
    until(lambda: gone(child), 5)


@pytest.mark.parametrize("name", ["PWD", "_", "__OW_API_KEY"])
def test_variables_that_the_host_sets_itself_may_not_be_passed_to_processes(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(HostError, match=rf"sets itself: {name}\. Leave"):
        Host(tmp_path, environment={name: "1", "MINE": "1"})


def test_a_process_may_be_ready_before_the_host_has_connected_its_pipes(
    tmp_path: Path, calling: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = asyncio.SelectorEventLoop.connect_write_pipe

    async def late(loop: Any, *args: Any) -> Any:
        await asyncio.sleep(1.0)
        return await connect(loop, *args)

    monkeypatch.setattr(asyncio.SelectorEventLoop, "connect_write_pipe", late)
    with Host(tmp_path) as host:
        caller = calling(host)
        caller.put("pid", PID)
        begun = time.monotonic()
        assert caller.result("pid")["pid"]
        assert time.monotonic() - begun < 20
