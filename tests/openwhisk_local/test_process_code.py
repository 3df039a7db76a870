"""The code of an action: zip files, blackbox actions, code that cannot start, and init parameters."""

from __future__ import annotations

import base64
import io
import os
import sys
import zipfile
from typing import Any

import pytest

PID = "import os\ndef main(args):\n    return {'pid': os.getpid()}\n"
ZIP_MAIN = """from part.more import add
def go(args):
    return {'sum': add(args['a'], 1), 'file': __file__}
"""


def zipped(**files: str) -> str:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__dot__", ".").replace("__slash__", "/"), content)
    return base64.b64encode(buffer.getvalue()).decode()


def test_a_zip_file_runs_its_main_module_beside_its_other_files(caller: Any) -> None:
    code = zipped(
        **{
            "__main____dot__py": ZIP_MAIN,
            "part__slash____init____dot__py": "",
            "part__slash__more__dot__py": "def add(a, b):\n    return a + b\n",
        }
    )
    assert caller.put("zipped", code, exec={"main": "go"})["exec"]["binary"] is True
    result = caller.result("zipped", {"a": 2})
    assert result["sum"] == 3
    assert os.path.basename(result["file"]) == "main__.py"


def test_blackbox_code_runs_in_the_same_interpreter(caller: Any) -> None:
    code = "import sys\ndef main(args):\n    return {'python': sys.version_info[:2]}\n"
    caller.put("boxed", code, exec={"kind": "blackbox", "image": "someone/python:1"})
    assert caller.result("boxed") == {"python": list(sys.version_info[:2])}
    answer = caller.api("PUT", "actions/nocode", {"exec": {"kind": "blackbox", "image": "x/y"}})
    assert answer.status == 400
    assert "'code' must be defined" in answer.error


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (
            "def main(args:\n",
            "The action failed to generate or locate a binary. See logs for details.",
        ),
        ("def other(args):\n    return {}\n", "Cannot start action. Check logs for details."),
        ("import no_such_module_at_all\n", "Cannot start action. Check logs for details."),
        (
            zipped(other__dot__py="x = 1\n"),
            "The action failed to generate or locate a binary. See logs for details.",
        ),
    ],
    ids=["syntax", "no-main", "import", "zip-without-main"],
)
def test_code_that_cannot_start_says_why(caller: Any, code: str, why: str) -> None:
    caller.put("broken", code)
    answer = caller.run("broken")
    assert answer.status == 502
    assert answer.body["response"]["result"] == {"error": why}
    assert caller.record(answer.body["activationId"])["logs"]


def test_an_init_parameter_that_cannot_be_a_variable_is_logged(caller: Any) -> None:
    caller.put("odd", PID, parameters=[{"key": "A=B", "value": "x", "init": True}])
    answer = caller.run("odd")
    assert answer.status == 500
    assert answer.body["response"]["result"] == {
        "error": "Failed to provision resources to run the action."
    }
    assert (
        "illegal environment variable name" in caller.record(answer.body["activationId"])["logs"][0]
    )
