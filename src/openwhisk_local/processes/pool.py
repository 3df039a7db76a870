"""All action processes of the host, kept warm within the memory that they may take together."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from openwhisk_local.limits import Limits
from openwhisk_local.processes.process import ActionProcess
from openwhisk_local.state.entities import Action
from openwhisk_local.state.names import Name

MEMORY_POLL_S = 0.5
_MAX_OVERTAKEN_S = 2.0
"""How long an activation that waits for a process may be overtaken by later ones."""


@dataclass
class _Waiter:
    """An activation that waits for a process."""

    action: Action
    since: float
    turn: asyncio.Future[ActionProcess]


class Pool:
    """Processes by action and revision. Lives on the event loop; every method is called there.

    Memory is counted by the actions' limits. When it is full, the processes that have been idle longest end; when all are
    busy, activations wait in order. A process that becomes free goes to a waiting activation of its own action, unless an
    activation of another action has waited too long.

    Args:
        limits: The host's limits.
        folder: Where processes keep their code; a new folder.
    """

    def __init__(self, limits: Limits, folder: Path) -> None:
        self._limits = limits
        self.folder = folder
        self._all: set[ActionProcess] = set()
        self._idle: dict[tuple[Name, int], list[ActionProcess]] = {}
        self._waiting: deque[_Waiter] = deque()
        self._reserved_mb = 0
        self._ending: set[asyncio.Task[None]] = set()
        self._watch: asyncio.Task[None] | None = None
        folder.mkdir(parents=True)

    def open(self) -> None:
        """Begin to watch memory and idleness."""
        self._watch = asyncio.get_running_loop().create_task(self._watch_processes())

    async def close(self) -> None:
        """End all processes."""
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
        while self._waiting:
            self._waiting.popleft().turn.cancel()
        for process in list(self._all):
            self._end(process)
        while self._ending:
            await asyncio.gather(*self._ending)
        shutil.rmtree(self.folder, ignore_errors=True)

    def processes(self) -> list[ActionProcess]:
        """All processes, the busy and the idle ones."""
        return list(self._all)

    def fits(self, action: Action) -> bool:
        """Whether the action could run at all on this host."""
        return action.limits.memory <= self._limits.user_memory_mb

    async def acquire(self, action: Action) -> tuple[ActionProcess, bool]:
        """Get a process for one activation, waiting for room if there is none.

        Returns:
            The process, and whether it is warm. One that is not must be started.
        """
        key = (action.name, action.revision)
        warm = None if self._must_keep_order() else self._take_idle(key)
        if warm is not None:
            return warm, True
        if not self._waiting and self._make_room(action.limits.memory):
            return self._create(action), False
        waiter = _Waiter(action, time.monotonic(), asyncio.get_running_loop().create_future())
        self._waiting.append(waiter)
        try:
            process = await waiter.turn
        except asyncio.CancelledError:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            elif waiter.turn.done() and not waiter.turn.cancelled():
                self.release(waiter.turn.result())
            raise
        return process, process.pid is not None

    def release(self, process: ActionProcess) -> None:
        """Give a process back: it stays warm, goes to a waiting activation, or ends if it cannot run once more."""
        if process not in self._all:
            return
        if not process.usable or process.retired:
            self._end(process)
            return
        if not self._must_keep_order():
            same = next(
                (w for w in self._waiting if (w.action.name, w.action.revision) == process.key),
                None,
            )
            if same is not None:
                self._waiting.remove(same)
                same.turn.set_result(process)
                return
        process.idle_since = time.monotonic()
        self._idle.setdefault(process.key, []).append(process)
        self._serve_waiting()

    def discard(self, process: ActionProcess) -> None:
        """End a process instead of keeping it."""
        if process in self._all:
            self._end(process)

    def retire(self, name: Name) -> None:
        """End the processes of an action that was changed or deleted, the busy ones when they have answered."""
        for process in list(self._all):
            if process.action.name == name:
                process.retired = True
                if process in self._idle.get(process.key, []):
                    self._end(process)

    def _must_keep_order(self) -> bool:
        """Whether an activation has waited for so long that no other may overtake it any more."""
        return bool(self._waiting) and time.monotonic() - self._waiting[0].since >= _MAX_OVERTAKEN_S

    def _take_idle(self, key: tuple[Name, int]) -> ActionProcess | None:
        idle = self._idle.get(key, [])
        while idle:
            process = idle.pop()
            if not idle:
                self._idle.pop(key, None)
            if process.usable:
                return process
            self._end(process)
        return None

    def _create(self, action: Action) -> ActionProcess:
        process = ActionProcess(action, self._limits.max_payload)
        self._all.add(process)
        self._reserved_mb += process.memory_mb
        return process

    def _make_room(self, memory_mb: int) -> bool:
        """End idle processes, the longest idle first, until there is room; none if there cannot be enough."""
        idle = sorted(
            (p for ps in self._idle.values() for p in ps), key=lambda process: process.idle_since
        )
        missing = self._reserved_mb + memory_mb - self._limits.user_memory_mb
        if missing > sum(process.memory_mb for process in idle):
            return False
        for process in idle:
            if self._reserved_mb + memory_mb <= self._limits.user_memory_mb:
                break
            self._end(process)
        return True

    def _serve_waiting(self) -> None:
        """Give processes to waiting activations, in order, while there is a process or room for the first."""
        while self._waiting:
            action = self._waiting[0].action
            process = self._take_idle((action.name, action.revision))
            if process is None:
                if not self._make_room(action.limits.memory):
                    return
                process = self._create(action)
            self._waiting.popleft().turn.set_result(process)

    def _end(self, process: ActionProcess) -> None:
        """Remove a process and its memory from the count at once, and end it in the background."""
        self._all.discard(process)
        idle = self._idle.get(process.key, [])
        if process in idle:
            idle.remove(process)
            if not idle:
                del self._idle[process.key]
        self._reserved_mb -= process.memory_mb
        loop = asyncio.get_running_loop()
        task = loop.create_task(process.stop())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        loop.call_soon(self._serve_waiting)

    async def _watch_processes(self) -> None:
        """End processes that take more memory than they may, and those that were idle for too long."""
        while True:
            await asyncio.sleep(MEMORY_POLL_S)
            for process in await asyncio.to_thread(_over_their_limit, list(self._all)):
                process.exhaust()
            oldest = time.monotonic() - self._limits.idle_s
            idle = [process for processes in self._idle.values() for process in processes]
            for process in idle:
                if process.idle_since < oldest or not process.usable:
                    self._end(process)


def _over_their_limit(processes: list[ActionProcess]) -> list[ActionProcess]:
    return [process for process in processes if process.private_mb() > process.memory_mb]
