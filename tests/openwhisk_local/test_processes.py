"""Action processes: what they see, how they are kept, how they end."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from openwhisk_local import Host, Limits
from openwhisk_local.processes.pipes import LogPipe
from openwhisk_local.processes.process import ActionProcess
from openwhisk_local.state.entities import Action, ActionLimits, CodeExec
from openwhisk_local.state.names import Name

PID = "import os, time\ndef main(args):\n    time.sleep(args.get('seconds', 0))\n    return {'pid': os.getpid()}\n"
CRASHES = """import os
def main(args):
    if args.get('die'):
        os.kill(os.getpid(), 9)
    return {'pid': os.getpid()}
"""
DIES_LATER = """import os, threading, time
def main(args):
    threading.Timer(0.1, lambda: os._exit(1)).start()
    return {'pid': os.getpid()}
"""
TALKS = """import sys
print('importing')
def main(args):
    print(args['text'])
    sys.stdout.write('no end')
    print('bad', file=sys.stderr)
    return {}
"""
STARTS_ANOTHER = """import subprocess, time
def main(args):
    child = subprocess.Popen(['/bin/sleep', '60'])
    print(child.pid, flush=True)
    time.sleep(60)
    return {}
"""
TAKES_MEMORY = """import time
def main(args):
    kept = bytearray(args['mb'] << 20)
    for i in range(0, len(kept), 4096):
        kept[i] = 1
    time.sleep(args.get('seconds', 0))
    return {'size': len(kept)}
"""


@pytest.fixture(scope="module")
def limits() -> Limits:
    return Limits(user_memory_mb=1024, idle_s=3600)


def until(condition: Any, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_a_process_sees_only_what_openwhisk_gives(
    caller: Any, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_CALLER", "1")
    caller.put("environment", "import os\ndef main(args):\n    return dict(os.environ)\n")
    seen = caller.result("environment")
    assert {name for name in seen if not name.startswith("__OW_")} <= {
        "PWD", "SHLVL", "_", "PYTHONIOENCODING", "MY_COLOUR", "LC_CTYPE",
    }  # fmt: skip
    assert seen["MY_COLOUR"] == "red"
    assert seen["__OW_API_HOST"] == host.apihost
    assert seen["__OW_ACTION_NAME"] == "/guest/environment"
    assert 0 < int(seen["__OW_DEADLINE"]) / 1000 - time.time() <= 60
    assert "__OW_API_KEY" not in seen


def test_the_key_is_given_only_on_request(caller: Any, host: Host) -> None:
    code = "import os\ndef main(args):\n    return {'key': os.environ.get('__OW_API_KEY')}\n"
    caller.put("withkey", code, annotations=[{"key": "provide-api-key", "value": True}])
    caller.put("withoutkey", code)
    assert caller.result("withkey") == {"key": host.auth}
    assert caller.result("withoutkey") == {"key": None}


def test_a_crash_is_a_developer_error_and_the_next_process_is_fresh(caller: Any) -> None:
    caller.put(
        "crash",
        CRASHES,
    )
    first = caller.result("crash")["pid"]
    assert caller.result("crash")["pid"] == first
    died = caller.run("crash", {"die": True})
    assert died.status == 502
    assert died.body["response"]["result"] == {"error": "command exited"}
    assert died.body["response"]["status"] == "action developer error"
    assert caller.result("crash")["pid"] != first


def test_a_process_that_dies_between_activations_is_replaced(caller: Any) -> None:
    caller.put("dieslater", DIES_LATER)
    first = caller.result("dieslater")["pid"]
    until(lambda: not psutil.pid_exists(first))
    assert caller.result("dieslater")["pid"] != first


def test_a_numpy_scalar_ends_the_process(caller: Any) -> None:
    caller.put("scalar", "def main(args):\n    import numpy\n    return {'x': numpy.float32(1)}\n")
    answer = caller.run("scalar")
    assert answer.body["response"]["result"] == {"error": "command exited"}
    logs = caller.record(answer.body["activationId"])["logs"]
    assert any("not JSON serializable" in line for line in logs)


def test_an_exception_is_an_application_error_with_its_traceback_in_the_logs(caller: Any) -> None:
    caller.put("raising", "def main(args):\n    raise ValueError('no such column')\n")
    answer = caller.run("raising")
    assert answer.status == 502
    assert answer.body["response"] == {
        "result": {"error": "no such column"}, "size": 28, "status": "application error", "success": False,
    }  # fmt: skip
    logs = caller.record(answer.body["activationId"])["logs"]
    assert any(line.endswith("ValueError: no such column") and " stderr: " in line for line in logs)
    assert answer.body["logs"] == []


def test_log_lines_have_time_and_stream_and_belong_to_their_activation(caller: Any) -> None:
    caller.put("talking", TALKS)
    ids = [
        caller.run("talking", {"text": text}).body["activationId"] for text in ("eins", "zwei ä")
    ]
    first, second = (caller.record(activation_id)["logs"] for activation_id in ids)
    assert sorted(line[31:] for line in first) == [
        "stderr: bad",
        "stdout: eins",
        "stdout: importing",
        "stdout: no end",
    ]
    assert sorted(line[31:] for line in second) == [
        "stderr: bad",
        "stdout: no end",
        "stdout: zwei ä",
    ]
    assert all(line[:30].rstrip().endswith("Z") and line[30] == " " for line in first + second)


async def take(action: Action) -> tuple[list[str], list[str]]:
    process = ActionProcess(action, 1000)
    reading, writing = os.pipe()
    process._logs = [LogPipe(reading, "stdout", process._lines)]
    os.write(writing, b"one\ntw")
    first = process.take_logs()
    os.write(writing, b"o\n")
    second = process.take_logs()
    os.close(writing)
    await process.stop()
    return first, second


def test_what_was_written_is_taken_without_waiting_for_it_to_be_noticed() -> None:
    action = Action(
        Name("guest", None, "a"),
        exec=CodeExec("python:3.11", ""),
        limits=ActionLimits(timeout=1000, memory=128, logs=10),
    )
    first, second = asyncio.run(take(action))
    assert [line[31:] for line in first] == ["stdout: one", "stdout: tw"]
    assert [line[31:] for line in second] == ["stdout: o"]


def test_logs_are_cut_at_the_limit_and_left_out_at_zero(caller: Any) -> None:
    code = "def main(args):\n    for _ in range(3000):\n        print('x' * 999)\n    return {}\n"
    caller.put("chatty", code, limits={"logs": 1})
    caller.put("mute", code, limits={"logs": 0})
    logs = caller.record(caller.run("chatty").body["activationId"])["logs"]
    assert len(logs) == 1049
    assert logs[-1].endswith(
        "Logs were truncated because the total bytes size exceeds the limit of 1048576 bytes."
    )
    assert caller.record(caller.run("mute").body["activationId"])["logs"] == []


def test_a_timeout_is_answered_at_once_and_the_process_is_gone(caller: Any, annotated: Any) -> None:
    caller.put("slow", PID, limits={"timeout": 500})
    pid = caller.result("slow")["pid"]
    begun = time.monotonic()
    answer = caller.run("slow", {"seconds": 30})
    assert time.monotonic() - begun < 5
    assert answer.body["response"]["result"] == {
        "error": "The action exceeded its time limits of 500 milliseconds."
    }
    assert annotated(answer.body, "timeout") is True
    until(lambda: not psutil.pid_exists(pid))
    assert caller.result("slow")["pid"] != pid


def test_a_slow_import_is_a_timeout_during_initialization(caller: Any, annotated: Any) -> None:
    caller.put(
        "slowimport",
        "import time\ntime.sleep(30)\ndef main(args):\n    return {}\n",
        limits={"timeout": 300},
    )
    answer = caller.run("slowimport")
    why = "The action exceeded its time limits of 300 milliseconds during initialization."
    assert answer.body["response"]["result"] == {"error": why}
    assert annotated(answer.body, "initTime") >= 300


@pytest.mark.parametrize(
    ("code", "error", "timed_out"),
    [
        ("", "Missing main/no code to execute.", False),
        ("import os\nos._exit(1)\n", "Cannot start action. Check logs for details.", False),
        ("import sys\nsys.exit(0)\n", "Cannot start action. Check logs for details.", False),
        ("1 / 0\n", "Cannot start action. Check logs for details.", False),
        (
            "def main(:\n",
            "The action failed to generate or locate a binary. See logs for details.",
            False,
        ),
        (
            "while True: pass\n",
            "The action exceeded its time limits of 400 milliseconds during initialization.",
            True,
        ),
    ],
)
def test_what_goes_wrong_before_the_action_runs_is_named(
    caller: Any, annotated: Any, code: str, error: str, timed_out: bool
) -> None:
    caller.put("unready", code, limits={"timeout": 400 if timed_out else 10_000})
    answer = caller.run("unready")
    assert answer.status == 502
    assert answer.body["response"]["status"] == "action developer error"
    assert answer.body["response"]["result"] == {"error": error}
    record = caller.record(answer.body["activationId"])
    assert annotated(record, "timeout") is timed_out
    assert record["logs"][-1].endswith(
        "stderr: The action did not initialize or run as expected. Log data might be missing."
    )


def test_an_action_may_open_as_many_files_as_in_a_container(caller: Any) -> None:
    code = """def main(args):
    kept = []
    try:
        for _ in range(args['files']):
            kept.append(open('/dev/zero'))
    except OSError as error:
        return {'files': len(kept), 'errno': error.errno}
    return {'files': len(kept)}
"""
    caller.put("files", code)
    assert caller.result("files", {"files": 1024 - 30}) == {"files": 1024 - 30}
    refused = caller.result("files", {"files": 2000})
    assert refused["errno"] == 24
    assert 1024 - 30 < refused["files"] < 1024


def test_what_an_action_started_ends_with_it(caller: Any) -> None:
    caller.put("parent", STARTS_ANOTHER, limits={"timeout": 1000})
    answer = caller.run("parent")
    child = int(caller.record(answer.body["activationId"])["logs"][0].rpartition(" ")[2])
    until(
        lambda: (
            not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE
        )
    )


def test_memory_is_enforced(caller: Any) -> None:
    caller.put("hungry", TAKES_MEMORY, limits={"memory": 128})
    assert caller.result("hungry", {"mb": 50, "seconds": 1}) == {"size": 50 << 20}
    answer = caller.run("hungry", {"mb": 300, "seconds": 30})
    assert answer.status == 502
    assert answer.body["response"]["result"] == {
        "error": "The action exhausted its memory and was aborted."
    }
    assert answer.body["response"]["status"] == "action developer error"
    assert caller.result("hungry", {"mb": 1}) == {"size": 1 << 20}


def test_a_process_serves_one_activation_at_a_time_and_several_run_side_by_side(
    caller: Any,
) -> None:
    caller.put("side", PID)
    begun = time.monotonic()
    records = [caller.record(i) for i in [caller.start("side", {"seconds": 1}) for _ in range(3)]]
    assert time.monotonic() - begun < 2.5
    assert len({record["response"]["result"]["pid"] for record in records}) == 3
    pids = {record["response"]["result"]["pid"] for record in records}
    assert caller.result("side")["pid"] in pids


def test_a_new_revision_gets_a_new_process_and_the_old_ones_end(caller: Any) -> None:
    caller.put("revised", PID)
    old = caller.result("revised")["pid"]
    at_work = caller.start("revised", {"seconds": 0.5})
    caller.put("revised", PID)
    new = caller.result("revised")["pid"]
    assert new != old
    assert caller.record(at_work)["response"]["result"]["pid"] == old
    until(lambda: not psutil.pid_exists(old))
    assert caller.api("DELETE", "actions/revised").status == 200
    until(lambda: not psutil.pid_exists(new))


def test_when_memory_is_full_idle_processes_make_room_and_activations_wait(
    caller: Any, annotated: Any
) -> None:
    caller.put("large1", PID, limits={"memory": 512})
    caller.put("large2", PID, limits={"memory": 1024})
    first = caller.result("large1")["pid"]
    assert caller.result("large2")["pid"] != first
    until(lambda: not psutil.pid_exists(first))
    waiting = [
        caller.start(name, {"seconds": 0.4}) for name in ("large2", "large1", "large1", "large2")
    ]
    records = [caller.record(i) for i in waiting]
    assert [r["response"]["success"] for r in records] == [True] * 4
    assert annotated(records[1], "waitTime") >= 300


def test_an_activation_is_not_overtaken_for_ever(tmp_path: Path, calling: Any) -> None:
    with Host(tmp_path, limits=Limits(user_memory_mb=256)) as host:
        caller = calling(host)
        caller.put("often", PID)
        caller.put("once", PID)
        done = threading.Event()

        def keep_coming() -> None:
            while not done.is_set():
                caller.result("often", {"seconds": 0.02})

        threads = [threading.Thread(target=keep_coming) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        begun = time.monotonic()
        try:
            caller.result("once")
        finally:
            done.set()
            for thread in threads:
                thread.join()
        assert time.monotonic() - begun < 5


def test_crashes_are_noticed_where_the_system_has_no_process_descriptors(
    tmp_path: Path, calling: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    with Host(tmp_path) as host:
        caller = calling(host)
        caller.put("crash", CRASHES)
        first = caller.result("crash")["pid"]
        assert caller.run("crash", {"die": True}).body["response"]["result"] == {
            "error": "command exited"
        }
        assert caller.result("crash")["pid"] != first


def test_an_action_larger_than_the_machine_fails_at_once(caller: Any) -> None:
    caller.put("giant", PID, limits={"memory": 2048})
    answer = caller.run("giant")
    assert answer.status == 500
    assert answer.body["response"]["result"] == {
        "error": "Failed to provision resources to run the action."
    }
    assert answer.body["response"]["status"] == "whisk internal error"


def test_idle_processes_end_after_a_while(tmp_path: Path, calling: Any) -> None:
    with Host(tmp_path, limits=Limits(idle_s=0.3)) as host:
        caller = calling(host)
        caller.put("idle", PID)
        pid = caller.result("idle")["pid"]
        until(lambda: not psutil.pid_exists(pid))
        assert caller.result("idle")["pid"] != pid
        assert len(list((tmp_path / "processes").glob("*/*"))) <= 1


def test_results_of_any_size_up_to_the_limit(caller: Any) -> None:
    caller.put("sized", "def main(args):\n    return {'x': 'a' * args['n']}\n")
    assert len(caller.result("sized", {"n": 1048576 - 10})["x"]) == 1048576 - 10
    over = caller.run("sized", {"n": 1048576 - 9})
    assert over.status == 502
    message = over.body["response"]["result"]["error"]
    start = (
        "The action produced a response that exceeded the allowed length: 1048577 > 1048576 bytes. "
    )
    assert message.startswith(start + 'The truncated response was: {"x": "aaa')
    assert caller.result("sized", {"n": 50_000})["x"] == "a" * 50_000


def test_many_clients_at_once_get_their_own_answers(caller: Any) -> None:
    caller.put("echo", "def main(args):\n    print(args['i'])\n    return args\n")
    wrong: list[Any] = []

    def ask(start: int) -> None:
        for i in range(start, start + 25):
            answer = caller.run("echo", {"i": i})
            logs = caller.record(answer.body["activationId"])["logs"]
            if answer.body["response"]["result"] != {"i": i} or [line[31:] for line in logs] != [
                f"stdout: {i}"
            ]:
                wrong.append((i, answer, logs))

    threads = [threading.Thread(target=ask, args=(i * 1000,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
