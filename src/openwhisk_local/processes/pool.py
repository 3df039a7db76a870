"""All action processes of the host, kept warm within the memory that they may take together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from openwhisk_local.limits import Limits, available_memory_mb
from openwhisk_local.processes.pacing import Pacing
from openwhisk_local.processes.process import ActionProcess
from openwhisk_local.state.entities import Action
from openwhisk_local.state.names import Name

_LOG = logging.getLogger(__name__)
MEMORY_POLL_S = 0.5
_MAX_OVERTAKEN_S = 2.0
"""How long an activation that waits for a process may be overtaken by later ones."""


@dataclass
class _Waiter:
    """An activation that waits for a process."""

    action: Action
    turn: asyncio.Future[ActionProcess]
    refused: float | None = None
    """When there was first no memory for another process."""

    @property
    def key(self) -> tuple[Name, int]:
        """Which processes can serve it."""
        return self.action.name, self.action.revision


class Pool:
    """Processes by action and revision. Lives on the event loop; every method is called there.

    Memory is counted by the actions' limits. When it is full, the processes that have been idle longest end; when all are
    busy, activations wait in order. A process that becomes free goes to a waiting activation of its own action, unless an
    activation of another action has waited too long for memory. Where an action has as many processes at work as there are
    processors, another is started only after a pause (`Pacing`), and none is started while the machine
    itself has too little memory left, but for the first of each action.

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
        self._pacing = Pacing()
        self._look_again: asyncio.TimerHandle | None = None
        self._watch: asyncio.Task[None] | None = None
        folder.mkdir(parents=True)

    def open(self) -> None:
        """Begin to watch memory and idleness."""
        self._watch = asyncio.get_running_loop().create_task(self._watch_processes())

    async def close(self) -> None:
        """End all processes."""
        self._look_again_at(float("inf"))
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
        waiter = _Waiter(action, asyncio.get_running_loop().create_future())
        self._waiting.append(waiter)
        self._serve_waiting()
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
        now = time.monotonic()
        if process.runs > 1:
            self._pacing.note_warm_run(process.key, now - process.busy_since)
        if not process.usable or process.retired:
            self._end(process)
            return
        process.idle_since = now
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
        self._pacing.note_start(process.key, time.monotonic())
        return process

    def _make_room(self, action: Action) -> bool:
        """End idle processes, the longest idle first, until there is room; none if there cannot be enough."""
        memory_mb = action.limits.memory
        missing = self._over_limit(action)
        if self._busy(
            (action.name, action.revision)
        ):  # the first of an action starts in any case, or nothing would move
            missing = max(missing, memory_mb - available_memory_mb())
        idle = sorted(
            (p for ps in self._idle.values() for p in ps), key=lambda process: process.idle_since
        )
        if missing > sum(process.memory_mb for process in idle):
            return False
        for process in idle:
            if missing <= 0:
                break
            missing -= process.memory_mb
            self._end(process)
        return True

    def _over_limit(self, action: Action) -> int:
        """How many MB another process of an action would take beyond what all of them may."""
        return self._reserved_mb + action.limits.memory - self._limits.user_memory_mb

    def _serve_waiting(self) -> None:
        """Give processes to waiting activations, in order, as far as there are idle ones, room and reason for new ones."""
        now, again = time.monotonic(), float("inf")
        full = False
        for waiter in list(self._waiting):
            if waiter.turn.done():  # cancelled, and about to leave
                continue
            process = self._take_idle(waiter.key)
            if process is None and not full:
                ready = self._pacing.next_start(waiter.key, self._soon_free(waiter.key, now))
                if ready > now:
                    again = min(again, ready)
                elif self._make_room(waiter.action):
                    process = self._create(waiter.action)
                elif self._over_limit(waiter.action) > 0:
                    full = True
                    waiter.refused = waiter.refused or now
                    if now - waiter.refused >= _MAX_OVERTAKEN_S:
                        break  # idle processes are to end for it instead of serving those behind it
            if process is not None:
                self._waiting.remove(waiter)
                process.busy_since, process.runs = now, process.runs + 1
                waiter.turn.set_result(process)
        self._look_again_at(again)

    def _look_again_at(self, moment: float) -> None:
        """Serve waiting activations again at that moment, when another process may be started for one."""
        if self._look_again is not None:
            self._look_again.cancel()
            self._look_again = None
        if moment < float("inf"):
            loop = asyncio.get_running_loop()
            delay = max(0.0, moment - time.monotonic())
            self._look_again = loop.call_later(delay, self._serve_waiting)

    def _soon_free(self, key: tuple[Name, int], now: float) -> int:
        """How many processes of an action are at work and may soon be free."""
        idle = self._idle.get(key, ())
        return sum(
            process.key == key
            and process not in idle
            and self._pacing.is_soon_free(now - process.busy_since, warm=process.runs > 1)
            for process in self._all
        )

    def _busy(self, key: tuple[Name, int]) -> int:
        """How many processes of an action are at work."""
        return sum(process.key == key for process in self._all) - len(self._idle.get(key, ()))

    def _end(self, process: ActionProcess) -> None:
        """Remove a process and its memory from the count at once, and end it in the background."""
        self._all.discard(process)
        idle = self._idle.get(process.key, [])
        if process in idle:
            idle.remove(process)
            if not idle:
                del self._idle[process.key]
        self._reserved_mb -= process.memory_mb
        if not any(other.key == process.key for other in self._all):
            self._pacing.forget(process.key)
        loop = asyncio.get_running_loop()
        task = loop.create_task(process.stop())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        loop.call_soon(self._serve_waiting)

    async def _watch_processes(self) -> None:
        """End processes that take more memory than they may, and those that were idle for too long."""
        while True:
            await asyncio.sleep(MEMORY_POLL_S)
            try:
                await self._look_at_processes()
            except Exception:  # noqa: BLE001 - the next look may find the system in order again
                _LOG.exception("watching the processes failed")

    async def _look_at_processes(self) -> None:
        for process in await asyncio.to_thread(_over_their_limit, list(self._all)):
            process.exhaust()
        oldest = time.monotonic() - self._limits.idle_s
        idle = [process for processes in self._idle.values() for process in processes]
        for process in idle:
            if process.idle_since < oldest or not process.usable:
                self._end(process)
        self._serve_waiting()  # the machine may have memory again


def _over_their_limit(processes: list[ActionProcess]) -> list[ActionProcess]:
    return [process for process in processes if process.private_mb() > process.memory_mb]
