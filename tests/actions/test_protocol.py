"""Every action file under the rules of OpenWhisk's Python launcher, in a process that knows only `__OW_*` variables.

The launcher's rules, written down again here: the action is imported as `main__`; a line on standard input is one run, all its
keys but `value` become texts in the environment; the result is encoded outside the try, so what JSON cannot hold ends the
process; an answer is one line on descriptor 3; neither PATH nor HOME exist.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ACTIONS = {
    name: ROOT / entry["function"]
    for name, entry in yaml.safe_load((ROOT / "wskdeploy.yaml").read_text())["packages"][
        "whisktrain"
    ]["actions"].items()
}
LAUNCHER = """
import json, os, sys, traceback
from main__ import main
out = os.fdopen(3, "wb")
out.write(json.dumps({"ok": True}).encode() + b"\\n"); out.flush()
while line := sys.stdin.readline():
    args = json.loads(line)
    for key in args:
        if key != "value":
            os.environ["__OW_%s" % key.upper()] = args[key]
    try:
        res = main(args.get("value", {}))
    except Exception as ex:
        print(traceback.format_exc(), file=sys.stderr)
        res = {"error": str(ex)}
    out.write(json.dumps(res, ensure_ascii=False, allow_nan=False).encode("utf-8") + b"\\n")
    sys.stdout.flush(); sys.stderr.flush(); out.flush()
"""
SECRET = "never-to-be-seen"


class Process:
    """One action's process."""

    def __init__(self, folder: Path, file: Path, name: str) -> None:
        folder.mkdir()
        shutil.copy(file, folder / "main__.py")
        (folder / "exec__.py").write_text(LAUNCHER)
        self.name, self.folder = name, folder
        read, write = os.pipe()
        environment = {
            "__OW_API_HOST": "http://127.0.0.1:9",
            "__OW_EXECUTION_ENV": "whisktrain",
            "__OW_WAIT_FOR_ACK": "1",
        }
        command = [
            sys.executable,
            "-c",
            "import os,sys; os.dup2(int(sys.argv[1]),3); os.execv(sys.executable,[sys.executable,'exec__.py'])",
        ]
        self.child = subprocess.Popen(
            [*command, str(write)],
            cwd=folder,
            env=environment,
            pass_fds=(write,),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.close(write)
        self.answers = os.fdopen(read, "r", encoding="utf-8")
        self.watch = threading.Timer(60, self.child.kill)
        self.watch.start()
        assert json.loads(self.answers.readline() or "null") == {"ok": True}, (
            self.child.stderr.read()
        )

    def run(self, value, **more: str):
        line = {
            "value": value,
            "namespace": "guest",
            "action_name": f"/guest/whisktrain/{self.name}",
            "action_version": "0.0.1",
            "activation_id": "a" * 32,
            "transaction_id": "t",
            "deadline": "4102444800000",
            **more,
        }
        self.child.stdin.write(json.dumps(line) + "\n")
        self.child.stdin.flush()
        return json.loads(self.answers.readline())

    def end(self) -> tuple[str, str]:
        """Close the input; returns what was written to standard output and standard error."""
        out, err = self.child.communicate(timeout=30)
        self.watch.cancel()
        self.answers.close()
        assert self.child.returncode == 0
        return out, err


@pytest.fixture
def process(tmp_path):
    started: list[Process] = []

    def start(name: str, file: Path | None = None) -> Process:
        started.append(Process(tmp_path / f"p{len(started)}", file or ACTIONS[name], name))
        return started[-1]

    yield start
    for each in started:
        each.watch.cancel()
        if each.child.poll() is None:
            each.child.kill()
            each.child.communicate()
        each.answers.close()


@pytest.mark.parametrize("name", ACTIONS)
def test_every_action_starts_says_what_it_is_and_fails_as_data(name, process, tmp_path) -> None:
    action = process(name)
    store = f"sqlite:{tmp_path}/store"
    answer = action.run({"probe": True, "deployment_store": store})
    assert answer["action"] == f"/guest/whisktrain/{name}"
    assert answer["store"]["ok"] is True
    refused = action.run(
        {
            "lib_version": "0.0.0",
            "deployment_store": store,
            "__ow_headers": {"authorization": SECRET},
        }
    )
    assert refused["error"]["code"] == "version_mismatch"
    without_store = action.run(
        {
            "run": "r",
            "slot": 0,
            "data": "iris",
            "lifecycleEvent": "CREATE",
            "triggerName": "/_/t",
            "rows": [[1]],
        }
    )
    assert set(without_store["error"]) == {"code", "message", "hint", "retryable", "kind"}
    nonsense = action.run(
        {
            "run": [1],
            "slot": {},
            "model": 5,
            "request": 7,
            "deployment_store": store,
            "secret": SECRET,
        }
    )
    assert set(nonsense["error"]) == {"code", "message", "hint", "retryable", "kind"}
    out, err = action.end()
    assert SECRET not in out + err


@pytest.mark.parametrize("name", ["preprocess", "train", "aggregate", "changes"])
def test_light_actions_import_no_tensorflow_and_nothing_heavy_before_they_run(
    name, process, tmp_path
) -> None:
    file = tmp_path / "spy.py"
    file.write_text(
        ACTIONS[name].read_text()
        + "\nimport sys\n_inner = main\ndef main(args):\n    before = sorted(set(HEAVY) & set(sys.modules))\n    _inner(args)\n"
        "    return {'before': before, 'after': sorted(set(HEAVY) & set(sys.modules))}\n"
        "HEAVY = ('tensorflow', 'keras', 'sklearn', 'pandas', 'pyarrow')\n"
    )
    action = process(name, file)
    found = action.run(
        {
            "run": "r",
            "data": "iris",
            "lifecycleEvent": "READ",
            "triggerName": "/_/t",
            "deployment_store": f"sqlite:{tmp_path}/s",
        }
    )
    assert found["before"] == []
    assert not {"tensorflow", "keras"} & set(found["after"])


FRAME = """
from whisktrain.openwhisk.action import action

@action
def main(arguments, context):
    import os, numpy as np
    what = arguments["what"]
    if what == "numbers":
        return {"f": np.float32(0.5), "nan": float("nan"), "deadline": context.deadline, "activation": context.activation}
    if what == "environment":
        names = ("KERAS_BACKEND", "OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "HOME", "PATH", "WHISKTRAIN_FACTORIES")
        home = os.stat(os.environ["HOME"])
        return {n: os.environ.get(n) for n in names} | {"mode": home.st_mode & 0o777}
    if what == "log":
        context.log.info("began", run="r")
        return {}
    if what == "unserialisable":
        return {"x": object()}
    if what == "list":
        return [1, 2]
    if what == "invoke":
        return {"id": context.invoker.invoke("worker", {})}
    raise ValueError("cannot open http://user:never-to-be-seen@db:5984/x")
"""


def test_the_frame_of_every_action(process, tmp_path) -> None:
    file = tmp_path / "frame.py"
    file.write_text(FRAME)
    action = process("frame", file)
    deadline = "4102444800123"
    numbers = action.run({"what": "numbers"}, deadline=deadline)
    assert numbers == {"f": 0.5, "nan": None, "deadline": 4102444800.123, "activation": "a" * 32}
    environment = action.run({"what": "environment", "deployment_factories": "pack.models:make"})
    assert environment["KERAS_BACKEND"] == "tensorflow"
    assert environment["OMP_NUM_THREADS"] == environment["TF_NUM_INTRAOP_THREADS"] == "1"
    assert environment["mode"] == 0o700
    assert Path(environment["HOME"]).parent == action.folder, "not a name that others can guess"
    assert environment["PATH"]
    assert environment["WHISKTRAIN_FACTORIES"] == "pack.models:make"
    assert (
        action.run({"what": "environment", "deployment_factories": ""})["WHISKTRAIN_FACTORIES"]
        == "none"
    )
    assert action.run({"what": "log"}) == {}
    assert action.run({"what": "list"}) == [1, 2]
    no_key = action.run({"what": "invoke"})["error"]
    assert "provide-api-key" in no_key["hint"]
    for what in ("unserialisable", "raise"):
        error = action.run({"what": what})["error"]
        assert error["code"] == "internal"
        assert "ValueError" not in json.dumps(error)
        assert SECRET not in json.dumps(error)
        assert "a" * 32 in error["hint"]
    unreachable = action.run({"what": "invoke"}, api_key="u:never-to-be-seen")["error"]
    assert unreachable["code"] == "platform_unreachable"
    out, err = action.end()
    assert '"event": "began"' in out
    assert "ValueError: cannot open http://***@db:5984/x" in out
    assert SECRET not in out + err


def test_what_the_smoke_test_of_the_image_asks_for(process, tmp_path) -> None:
    action = process("smoke", ROOT / "runtime-image" / "smoke_action.py")
    store = f"sqlite:{tmp_path}/store"
    light = action.run({"step": "light", "deployment_store": store})
    assert (light["status"], light["invoked"]) == ("training", ["worker"])
    keras = action.run({"step": "keras", "deployment_store": store})
    assert keras["result"] == [[3.0, 3.0, 3.0]]
    assert action.run({"step": "memory", "deployment_store": store})["process_mb"] > 50
    action.end()
