"""The process of an action: reads arguments as JSON lines on standard input, answers as JSON lines on descriptor 3.

    python -P launcher.py MAIN PARENT ANSWERS

It runs in the folder that holds the action's code as `main__.py`, with MAIN as the function to call. PARENT is the process
id of the host, without which it ends; ANSWERS is the descriptor on which the host reads the answers, moved to 3. The rules
are those of OpenWhisk's Python action loop, the odd ones included:

- `{"ok": true}` is answered once the action is imported. What goes wrong before is on standard error, and the exit
  status says which: 64 for code that cannot be compiled or found, another one for an import that fails.
- Every key of an input line but `value` becomes the environment variable `__OW_<KEY>`, so all of them must be texts.
- An exception of the action is its result: `{"error": str(exception)}`; the traceback goes to standard error.
- A result that JSON cannot hold (a NumPy scalar, a set) ends the process: it is encoded outside the try.

Only the standard library is imported, and nothing of this package: this file starts as a script.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import importlib.util
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

NOT_COMPILED = 64
"""The exit status for code that cannot be compiled or found."""
OPEN_FILES = 1024
"""Files that an action may have open at once."""


def tie_to_parent(parent: int) -> None:
    """End this process when the host ends, however it ends."""
    if sys.platform == "linux":
        with contextlib.suppress(ImportError, OSError, AttributeError):
            import ctypes

            set_death_signal = 1  # PR_SET_PDEATHSIG
            if ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL) == 0:
                if os.getppid() != parent:
                    os._exit(1)
                return

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def limit_files() -> None:
    """Let the action open as many files as in a container of OpenWhisk."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        allowed = OPEN_FILES if most == resource.RLIM_INFINITY else min(OPEN_FILES, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, allowed))


def activate_virtualenv(folder: Path) -> None:
    """Use the virtual environment that came with the code, if one did."""
    if not (folder / "virtualenv").is_dir():
        return
    for script in ("bin/activate_this.py", "Scripts/activate_this.py"):
        path = folder / "virtualenv" / script
        if path.exists():
            exec(compile(path.read_text(), str(path), "exec"), {"__file__": str(path)})  # noqa: S102 - the action's own
            return
    sys.stderr.write("Invalid virtualenv. Zip file does not include 'activate_this.py'.\n")
    sys.exit(NOT_COMPILED)


def check_code() -> None:
    """End the process if there is no code that Python can read."""
    found = importlib.util.find_spec("main__")
    if found is None or found.origin is None:
        sys.stderr.write("Zip file does not include main__\n")
        sys.exit(NOT_COMPILED)
    try:
        ast.parse(Path(found.origin).read_bytes())
    except (SyntaxError, ValueError) as error:
        sys.stderr.write(
            f"{getattr(error, 'msg', error)} (line {getattr(error, 'lineno', None) or '?'})\n"
        )
        sys.exit(NOT_COMPILED)


def serve(main: Callable[[object], object], answers: BinaryIO) -> None:
    """Answer every line of standard input until it ends."""
    environment = os.environ
    for line in iter(sys.stdin.readline, ""):
        value: object = {}
        for key, item in json.loads(line).items():
            if key == "value":
                value = item
            else:
                environment[f"__OW_{key.upper()}"] = item
        try:
            result = main(value)
        except Exception as error:  # noqa: BLE001 - whatever the action raises is its result
            print(traceback.format_exc(), file=sys.stderr)  # noqa: T201
            result = {"error": str(error)}
        answer = json.dumps(result, ensure_ascii=False).encode()
        # Logs first: what is readable when the answer arrives belongs to this activation.
        sys.stdout.flush()
        sys.stderr.flush()
        answers.write(answer + b"\n")
        answers.flush()


def launch() -> None:
    """Import the action in the current folder and serve it."""
    main, parent, descriptor = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    tie_to_parent(parent)
    limit_files()
    if descriptor != 3:
        os.dup2(descriptor, 3, inheritable=False)
        os.close(descriptor)
    else:
        os.set_inheritable(3, False)
    sys.stdin.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    folder = Path.cwd()
    sys.path.insert(0, str(folder))
    library = str(Path(__file__).parents[2])
    if (
        library not in sys.path
    ):  # an uninstalled source tree: actions find what is beside this package
        sys.path.append(library)
    sys.argv = ["exec__.py"]
    activate_virtualenv(folder)
    check_code()
    action = getattr(importlib.import_module("main__"), main)
    answers = os.fdopen(
        3, "wb"
    )  # closed by the end of the process alone: after a traceback has been written
    answers.write(b'{"ok": true}\n')
    sys.stdout.flush()
    sys.stderr.flush()
    answers.flush()
    serve(action, answers)


if __name__ == "__main__":
    launch()
