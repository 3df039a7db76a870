"""The process of an action, spoken to directly: the line protocol of OpenWhisk's Python action loop."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openwhisk_local

LAUNCHER = str(Path(openwhisk_local.__file__).with_name("processes") / "launcher.py")
ACTION = """import os
print("imported", flush=True)
def main(args):
    if "raise" in args:
        raise RuntimeError(args["raise"])
    if "set" in args:
        return {"x": {1, 2}}
    print("run", flush=True)
    return {"args": args, "deadline": os.environ["__OW_DEADLINE"], "text": "ä"}
"""


class Spoken:
    """A launched process."""

    def __init__(self, process: subprocess.Popen[str], answers: Any) -> None:
        self.process = process
        self.answers = answers

    def say(self, **line: Any) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()
        return str(self.answers.readline())

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, out, err


@contextmanager
def launched(folder: Path, code: str = ACTION, main: str = "main") -> Iterator[Spoken]:
    (folder / "main__.py").write_text(code)
    reading, writing = os.pipe()
    command = [sys.executable, "-P", LAUNCHER, main, str(os.getpid()), str(writing)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=(writing,),
        cwd=folder,
        env={"PYTHONIOENCODING": "UTF-8", "__OW_API_HOST": "http://nowhere"},
        text=True,
        encoding="utf-8",
    ) as process:
        os.close(writing)
        with os.fdopen(reading, encoding="utf-8") as answers:
            yield Spoken(process, answers)


def test_lines_are_answered_until_the_input_ends(tmp_path: Path) -> None:
    with launched(tmp_path) as spoken:
        assert json.loads(spoken.answers.readline()) == {"ok": True}
        answer = spoken.say(value={"a": 1}, deadline="123", activation_id="x")
        assert answer == '{"args": {"a": 1}, "deadline": "123", "text": "ä"}\n'
        assert json.loads(spoken.say(value={"raise": "on purpose"})) == {"error": "on purpose"}
        assert json.loads(spoken.say(value=[1], deadline="124"))["args"] == [1]
        assert json.loads(spoken.say())["args"] == {}
        status, out, err = spoken.end()
    assert status == 0
    assert out.splitlines() == ["imported", "run", "run", "run"]
    assert "RuntimeError: on purpose" in err


def test_a_result_that_json_cannot_hold_ends_the_process(tmp_path: Path) -> None:
    with launched(tmp_path) as spoken:
        spoken.answers.readline()
        assert spoken.say(value={"set": 1}) == ""
        status, _, err = spoken.end()
    assert status == 1
    assert "Object of type set is not JSON serializable" in err


def test_a_context_value_that_is_no_text_ends_the_process(tmp_path: Path) -> None:
    with launched(tmp_path) as spoken:
        spoken.answers.readline()
        assert spoken.say(value={}, deadline=123) == ""
        status, _, err = spoken.end()
    assert status == 1
    assert "TypeError: str expected, not int" in err


def test_code_that_cannot_be_read_has_its_own_exit_status(tmp_path: Path) -> None:
    with launched(tmp_path, "def main(args:\n") as spoken:
        status, _, err = spoken.end()
    assert (status, "line 1" in err) == (64, True)
    with launched(tmp_path, "raise OSError('no')\n") as spoken:
        status, _, err = spoken.end()
    assert (status, "OSError: no" in err) == (1, True)
    with launched(tmp_path, ACTION, main="absent") as spoken:
        status, _, err = spoken.end()
    assert (status, "absent" in err) == (1, True)


def test_a_virtual_environment_that_came_with_the_code_is_used(tmp_path: Path) -> None:
    (tmp_path / "virtualenv" / "bin").mkdir(parents=True)
    with launched(tmp_path) as spoken:
        status, _, err = spoken.end()
    assert (status, err) == (
        64,
        "Invalid virtualenv. Zip file does not include 'activate_this.py'.\n",
    )
    (tmp_path / "virtualenv" / "bin" / "activate_this.py").write_text(
        "import sys\nsys.path.append(__file__ + '/used')\n"
    )
    with launched(
        tmp_path, "import sys\ndef main(args):\n    return {'path': sys.path}\n"
    ) as spoken:
        spoken.answers.readline()
        path = json.loads(spoken.say(value={}))["path"]
    assert any(entry.endswith("activate_this.py/used") for entry in path)
    assert path[0] == str(tmp_path)
