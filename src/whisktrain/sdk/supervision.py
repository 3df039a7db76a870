"""A child process that is kept running: started again when it ends, later and later while it keeps ending, and then given up.

A child that ran well is forgotten its earlier ends, so that a long-lived parent does not run out of restarts.
"""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from whisktrain.errors import PlatformError

__all__ = ["Restarts", "Supervised"]

_ENDS_IN_S = 0.3
"""How long a child may take to end by itself: it works from the store's state, so it may be ended at any point."""
_LOG_TAIL = 4096
_LONGEST_REASON = 300


@dataclass(frozen=True, slots=True)
class Restarts:
    """How a child that ends is started again.

    Attributes:
        well_s: Seconds after which a child ran well: its end counts as the first again.
        first_pause_s: Seconds before the first restart; doubled with each further end.
        longest_pause_s: The most that this grows to.
        most: Ends in a row after which it is given up.
    """

    well_s: float = 60.0
    first_pause_s: float = 0.2
    longest_pause_s: float = 15.0
    most: int = 12

    def pause(self, ends: int) -> float | None:
        """Seconds before the next start, after so many ends in a row; None where it is given up."""
        if ends >= self.most:
            return None
        return float(min(self.first_pause_s * 2.0 ** (ends - 1), self.longest_pause_s))


class Supervised:
    """A child of this process, started again should it end.

    Its standard input is a pipe from here: when this process ends, however it ends, the child reads the end and can end too.

    Args:
        name: What it is, for messages: "the follower".
        command: What to run.
        environment: All of its variables.
        log: The file that its output is appended to.
        narrate: Called with a line when it keeps ending, and when it is given up.
        restarts: How it is started again.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        *,
        narrate: Callable[[str], None] = lambda _: None,
        restarts: Restarts = Restarts(),
    ) -> None:
        self._name = name
        self._command = list(command)
        self._environment = dict(environment)
        self._log = log
        self._narrate = narrate
        self._restarts = restarts
        self._stopping = threading.Event()
        self._starting = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._watch: threading.Thread | None = None
        self._failure: PlatformError | None = None

    @property
    def pid(self) -> int | None:
        """Its process id; None where it does not run."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def check(self) -> None:
        """Raise `PlatformError` where it was given up."""
        if self._failure is not None:
            raise self._failure

    def start(self) -> None:
        """Start it, and a thread that watches over it.

        Raises:
            OSError: The system cannot start it.
        """
        self._spawn()
        self._watch = threading.Thread(target=self._supervise, name=self._name, daemon=True)
        self._watch.start()

    def stop(self) -> None:
        """End it, and wait until it has ended."""
        with self._starting:
            self._stopping.set()
            process = self._process
        if process is not None:
            _close_input(process)
            process.terminate()
            try:
                process.wait(_ENDS_IN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._watch is not None:
            self._watch.join()

    def _spawn(self) -> None:
        with self._starting, self._log.open("ab") as log:
            if self._stopping.is_set():
                return
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )

    def _supervise(self) -> None:
        ends = 0
        while True:
            begun, why = time.monotonic(), self._await_end()
            if self._stopping.is_set():
                return
            ends = 1 if time.monotonic() - begun >= self._restarts.well_s else ends + 1
            pause = self._restarts.pause(ends)
            if pause is None:
                self._give_up(ends, why)
                return
            if ends > 1:
                self._narrate(
                    f"{self._name} has ended ({why}); it is started again in {pause:.1f} s"
                )
            if self._stopping.wait(pause):
                return
            with contextlib.suppress(
                OSError
            ):  # counted as another end: the next wait returns at once
                self._spawn()

    def _await_end(self) -> str:
        """Wait until it has ended; why it did: its status and the last line of its log."""
        process = self._process
        if process is None:
            return "not started"
        status = process.wait()
        _close_input(process)
        return ": ".join(filter(None, (f"status {status}", self._last_line())))

    def _last_line(self) -> str:
        with contextlib.suppress(OSError), self._log.open("rb") as log:
            log.seek(max(0, self._log.stat().st_size - _LOG_TAIL))
            lines = log.read().decode(errors="replace").strip().splitlines()
            return lines[-1][:_LONGEST_REASON] if lines else ""
        return ""

    def _give_up(self, ends: int, why: str) -> None:
        self._failure = PlatformError(
            f"{self._name[0].upper()}{self._name[1:]} has ended {ends} times in a row and is not started again ({why}).",
            code="child_ended",
            hint=f"Its log is {self._log}. Runs stay in the store: once it is mended, the next command carries them on.",
        )
        self._narrate(str(self._failure))


def _close_input(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
