"""The pipes of an action's process, read on the event loop: its log lines and its answers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from dataclasses import dataclass

from openwhisk_local.limits import MB

_CHUNK = 1 << 16


@dataclass(frozen=True)
class Answer:
    """One line that a process answered.

    Args:
        text: The line with its end, cut if it was too long.
        size: Bytes of the whole line.
        whole: Whether the text is all of it.
    """

    text: str
    size: int
    whole: bool


class LogLines:
    """The log lines of the current activation, each with its time and stream, up to a size.

    Args:
        limit_mb: The action's limit; 0 keeps none.
    """

    def __init__(self, limit_mb: int) -> None:
        self._limit = limit_mb * MB
        self._left = self._limit
        self._lines: list[str] = []

    def add(self, stream: str, line: bytes) -> None:
        """Keep a line; where the limit is reached, a last line says so."""
        if self._left <= 0:
            return
        self._left -= len(line) + 1
        if self._left <= 0:
            stream = "stderr"
            why = f"Logs were truncated because the total bytes size exceeds the limit of {self._limit} bytes."
            line = why.encode()
        self._lines.append(log_line(stream, line.decode(errors="replace")))

    def take(self) -> list[str]:
        """Return the lines and start again with none."""
        lines, self._lines, self._left = self._lines, [], self._limit
        return lines


def log_line(stream: str, text: str) -> str:
    """A log line with its time and stream."""
    return f"{_timestamp():<30} {stream}: {text}"


def _timestamp() -> str:
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{nanoseconds:09d}Z"


class Pipe:
    """The reading end of a pipe, watched by the event loop.

    Args:
        descriptor: The reading end; the pipe closes it.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor
        self._loop = asyncio.get_running_loop()
        os.set_blocking(descriptor, False)
        self._loop.add_reader(descriptor, self._read)

    def _read(self) -> bool:
        """Read once; returns whether there may be more."""
        if self._descriptor is None:
            return False
        try:
            chunk = os.read(self._descriptor, _CHUNK)
        except BlockingIOError:
            return False
        if chunk:
            self.received(chunk)
            return True
        self.close()
        self.ended()
        return False

    def drain(self) -> None:
        """Read everything that is there now."""
        while self._read():
            pass

    def close(self) -> None:
        """Stop reading."""
        if self._descriptor is not None:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None

    def received(self, chunk: bytes) -> None:
        """Process what was read."""

    def ended(self) -> None:
        """The other side was closed."""


class LogPipe(Pipe):
    """Standard output or error of a process.

    Args:
        descriptor: The reading end.
        stream: `stdout` or `stderr`.
        lines: Where lines go.
    """

    def __init__(self, descriptor: int, stream: str, lines: LogLines) -> None:
        super().__init__(descriptor)
        self._stream = stream
        self._lines = lines
        self._rest = b""

    def received(self, chunk: bytes) -> None:
        """Split into lines; a very long one is cut into pieces."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._lines.add(self._stream, line)
        if len(self._rest) > MB:
            self.finish_line()

    def finish_line(self) -> None:
        """End the current line here."""
        if self._rest:
            self._lines.add(self._stream, self._rest)
            self._rest = b""


class AnswerPipe(Pipe):
    """The answers of a process: one line each, at most one awaited.

    Args:
        descriptor: The reading end.
        limit: Bytes of an answer that are kept.
    """

    def __init__(self, descriptor: int, limit: int) -> None:
        super().__init__(descriptor)
        self._limit = limit
        self._kept = bytearray()
        self._size = 0
        self._awaited: asyncio.Future[Answer | None] | None = None
        self.exited = False

    def expect(self) -> asyncio.Future[Answer | None]:
        """The next answer; None when the process ends without one."""
        self._awaited = self._loop.create_future()
        if self.exited:
            self._awaited.set_result(None)
        return self._awaited

    def received(self, chunk: bytes) -> None:
        """Collect a line; an answer that is not awaited is dropped."""
        head, newline, rest = chunk.partition(b"\n")
        line = head + newline
        self._size += len(line)
        self._kept += line[: max(0, self._limit - len(self._kept))]
        if not newline:
            return
        answer = Answer(
            self._kept.decode(errors="replace"), self._size, self._size == len(self._kept)
        )
        self._kept, self._size = bytearray(), 0
        if self._awaited is not None and not self._awaited.done():
            self._awaited.set_result(answer)
        if rest:
            self.received(rest)

    def ended(self) -> None:
        """The process has ended, or has closed its answers, which counts as the same."""
        self.exited = True
        if self._awaited is not None and not self._awaited.done():
            self._awaited.set_result(None)


class ExitWatch:
    """Notices at once that a process has ended, where the system can say so (Linux); elsewhere its pipes do.

    Args:
        pid: The process.
        answers: The pipe to finish: a grandchild may hold it open.
    """

    def __init__(self, pid: int, answers: AnswerPipe) -> None:
        self._answers = answers
        self._descriptor: int | None = None
        if hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):
                self._descriptor = os.pidfd_open(pid)
                asyncio.get_running_loop().add_reader(self._descriptor, self._ended)

    def _ended(self) -> None:
        self.close()
        self._answers.drain()
        if not self._answers.exited:
            self._answers.close()
            self._answers.ended()

    def close(self) -> None:
        """Stop watching."""
        if self._descriptor is not None:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None
