"""One warm process of one action: started, run again and again, ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from enum import Enum
from pathlib import Path

from openwhisk_local.jsontypes import JsonObject
from openwhisk_local.limits import MB
from openwhisk_local.processes.code import write_code
from openwhisk_local.processes.launcher import NOT_COMPILED
from openwhisk_local.processes.pipes import Answer, AnswerPipe, ExitWatch, LogLines, LogPipe
from openwhisk_local.state.entities import Action, CodeExec

SHELL_VARIABLES = frozenset({"PWD", "SHLVL", "_", "PYTHONIOENCODING"})
"""Variables that a shell would set in an action's container."""
_LAUNCHER = Path(__file__).with_name("launcher.py")
_ANSWER_MARGIN = 4096


class Failure(Enum):
    """Why a process gave no answer."""

    EXITED = "exited"
    TIMED_OUT = "timed out"
    OUT_OF_MEMORY = "out of memory"
    NO_CODE = "no code"
    NOT_COMPILED = "not compiled"
    NOT_STARTED = "not started"


class ActionProcess:
    """A process that holds one revision of an action.

    Args:
        action: The action; its `exec` part is code.
        max_answer: Bytes of an answer that are kept.
    """

    def __init__(self, action: Action, max_answer: int) -> None:
        assert isinstance(action.exec, CodeExec)
        self.action = action
        self._exec = action.exec
        self.key = (action.name, action.revision)
        self.memory_mb = action.limits.memory
        self.idle_since = 0.0
        self.busy_since = 0.0
        self.runs = 0
        self.retired = False
        self._exhausted = False
        self._stopped = False
        self._lines = LogLines(action.limits.logs)
        self._max_answer = max_answer + _ANSWER_MARGIN
        self._answers: AnswerPipe | None = None
        self._logs: list[LogPipe] = []
        self._exit: ExitWatch | None = None
        self._input: asyncio.WriteTransport | None = None
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id; None before the start and after the end."""
        return None if self._process is None else self._process.pid

    @property
    def usable(self) -> bool:
        """Whether it can run once more."""
        return self._answers is not None and not self._answers.exited and not self._exhausted

    async def start(
        self,
        parent_folder: Path,
        environment: Mapping[str, str],
        timeout_s: float,
    ) -> Failure | None:
        """Start the process and import the action in it.

        Args:
            parent_folder: Where the folder with its code is made.
            environment: All of its environment, but for a few variables that a shell sets.
            timeout_s: How long importing may take, in seconds.

        Returns:
            What went wrong; None when it is ready.
        """
        if not self._exec.code:
            return Failure.NO_CODE
        self._folder = Path(tempfile.mkdtemp(dir=parent_folder))
        try:
            await asyncio.to_thread(write_code, self._exec, self._folder)
        except (zipfile.BadZipFile, RuntimeError, OSError) as error:
            self._lines.add("stderr", f"The code cannot be unpacked: {error}".encode())
            return Failure.NOT_COMPILED
        if self._stopped:
            await self.stop()
            return Failure.EXITED
        answers_read, answers_write = os.pipe()
        try:
            self._process = self._spawn(environment, answers_write)
        except (
            OSError,
            ValueError,
        ) as error:  # ValueError: an init parameter that cannot be a variable
            os.close(answers_read)
            self._lines.add("stderr", f"The process cannot be started: {error}".encode())
            return Failure.NOT_STARTED
        finally:
            os.close(answers_write)
        answer = await self._await(await self._connect(self._process, answers_read), timeout_s)
        if isinstance(answer, Answer):
            return None
        if answer is Failure.EXITED and self._process is not None:
            with contextlib.suppress(
                subprocess.TimeoutExpired
            ):  # it may have closed its answers and go on
                if await asyncio.to_thread(self._process.wait, 1) == NOT_COMPILED:
                    return Failure.NOT_COMPILED
        return answer

    def _spawn(
        self,
        environment: Mapping[str, str],
        answers: int,
    ) -> subprocess.Popen[bytes]:
        main = self._exec.main or "main"
        shell = {
            "PWD": str(self._folder),
            "SHLVL": "0",
            "_": sys.executable,
            "PYTHONIOENCODING": "UTF-8",
        }
        return subprocess.Popen(
            [sys.executable, "-P", str(_LAUNCHER), main, str(os.getpid()), str(answers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self._folder,
            env={**environment, **shell},
            pass_fds=(answers,),
            start_new_session=True,
        )

    async def _connect(
        self,
        process: subprocess.Popen[bytes],
        answers: int,
    ) -> asyncio.Future[Answer | None]:
        """Connect the process's pipes; returns its first answer, which says that it is ready."""
        assert (
            process.stdin is not None and process.stdout is not None and process.stderr is not None
        )
        self._answers = AnswerPipe(answers, self._max_answer)
        # Before anything is awaited: it may come at any time, and an answer that is not expected is dropped.
        ready = self._answers.expect()
        self._logs = [
            LogPipe(os.dup(process.stdout.fileno()), "stdout", self._lines),
            LogPipe(os.dup(process.stderr.fileno()), "stderr", self._lines),
        ]
        process.stdout.close()
        process.stderr.close()
        self._exit = ExitWatch(process.pid, self._answers)
        loop = asyncio.get_running_loop()
        self._input, _ = await loop.connect_write_pipe(asyncio.Protocol, process.stdin)
        return ready

    async def run(self, line: JsonObject, timeout_s: float) -> Answer | Failure:
        """Run the action once.

        Args:
            line: The arguments as `value`, and the context as texts.
            timeout_s: How long it may take, in seconds.
        """
        assert self._answers is not None and self._input is not None
        answer = self._answers.expect()
        self._input.write(json.dumps(line).encode() + b"\n")
        return await self._await(answer, timeout_s)

    async def _await(
        self,
        answer: asyncio.Future[Answer | None],
        timeout_s: float,
    ) -> Answer | Failure:
        done, _ = await asyncio.wait([answer], timeout=timeout_s)
        if not done:
            return Failure.TIMED_OUT
        return answer.result() or (Failure.OUT_OF_MEMORY if self._exhausted else Failure.EXITED)

    def take_logs(self) -> list[str]:
        """The log lines since the last time: what the process wrote before it answered or ended is among them."""
        for pipe in self._logs:
            pipe.drain()
            pipe.finish_line()
        return self._lines.take()

    def private_mb(self) -> float:
        """The private memory of the process, in MB; 0 when it has ended.

        On Linux that is what no file backs, as a container's limit counts it: libraries mapped from files (several
        hundred MB with TensorFlow) can be dropped and are not counted, whether or not another process shares them.
        """
        import psutil

        if self.pid is None:
            return 0.0
        try:
            process = psutil.Process(self.pid)
            memory = process.memory_info()
            shared = getattr(memory, "shared", None)
            private = process.memory_full_info().uss if shared is None else memory.rss - shared
        except psutil.Error:
            return 0.0
        return float(private / MB)

    def exhaust(self) -> None:
        """End the process because it took more memory than it may."""
        self._exhausted = True
        _kill(self._process)

    async def stop(self) -> None:
        """End the process and everything that it started, and remove its folder."""
        self._stopped = True
        process, self._process = self._process, None
        if self._exit is not None:
            self._exit.close()
        if self._answers is not None:
            self._answers.close()
            self._answers.ended()
        for pipe in self._logs:
            pipe.close()
        if self._input is not None and not self._input.is_closing():
            self._input.abort()
        if process is not None:
            _kill(process)
            if self._input is None and process.stdin is not None:
                process.stdin.close()
            await asyncio.to_thread(process.wait)
        if self._folder is not None:
            folder, self._folder = self._folder, None
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _kill(process: subprocess.Popen[bytes] | None) -> None:
    """Kill a process and those that it started, unless it was reaped: its id may be another's by now."""
    if process is not None and process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
