"""How many processes a burst of activations gets."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from openwhisk_local import Limits
from openwhisk_local import limits as limits_module
from openwhisk_local.processes import pool as pool_module
from openwhisk_local.processes.pacing import Pacing, processors
from openwhisk_local.processes.pool import Pool
from openwhisk_local.state.entities import Action, ActionLimits, CodeExec
from openwhisk_local.state.names import Name


class Process:
    """A process that is always ready."""

    def __init__(self, action: Action, max_answer: int) -> None:
        self.action, self.key = action, (action.name, action.revision)
        self.memory_mb = action.limits.memory
        self.idle_since = self.busy_since = 0.0
        self.runs, self.pid, self.usable, self.retired = 0, 1, True, False

    def private_mb(self) -> float:
        return 0.0

    async def stop(self) -> None:
        self.usable = False


def action(name: str = "a", memory: int = 256) -> Action:
    limits = ActionLimits(timeout=1000, memory=memory, logs=0)
    return Action(Name("guest", None, name), exec=CodeExec("python:3.11", ""), limits=limits)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(pool_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: list[float]) -> Pool:
    monkeypatch.setattr(pool_module, "ActionProcess", Process)
    monkeypatch.setattr(pool_module, "Pacing", lambda: Pacing(2))
    monkeypatch.setattr(pool_module, "available_memory_mb", lambda: 1 << 20)
    return Pool(Limits(user_memory_mb=4096), tmp_path / "pool")


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def burst(pool: Pool, count: int, of: Action) -> list[asyncio.Task[object]]:
    return [asyncio.get_running_loop().create_task(pool.acquire(of)) for _ in range(count)]


def served(tasks: list[asyncio.Task[object]]) -> list[Process]:
    return [task.result()[0] for task in tasks if task.done()]  # type: ignore[index]


def test_a_burst_of_short_activations_is_served_by_few_processes(
    pool: Pool, clock: list[float]
) -> None:
    async def run() -> None:
        tasks = burst(pool, 200, action())
        await turn()
        assert len(pool.processes()) == 2
        for expected in (3, 4):  # the first two still import
            clock[0] += 0.26
            pool._serve_waiting()
            assert len(pool.processes()) == expected
        done = 0
        while done < 200:
            await turn()
            ready = served(tasks)[done:]
            assert ready
            clock[0] += 0.01
            for process in ready:
                pool.release(process)  # type: ignore[arg-type]
            done += len(ready)
        assert len(pool.processes()) == 4
        await pool.close()

    asyncio.run(run())


def test_another_is_started_where_the_short_ones_take_long_for_once(
    pool: Pool, clock: list[float]
) -> None:
    async def run() -> None:
        first = burst(pool, 2, action())
        await turn()
        for _ in range(2):  # a first and a warm run each
            for process in served(first):
                pool.release(process)  # type: ignore[arg-type]
            first = burst(pool, 2, action())
            await turn()
        last = burst(pool, 1, action())
        await turn()
        assert served(last) == []
        clock[0] += 1.1
        pool._serve_waiting()
        await turn()
        assert len(served(last)) == 1
        await pool.close()

    asyncio.run(run())


def test_long_activations_start_side_by_side(pool: Pool, clock: list[float]) -> None:
    async def run() -> None:
        for _ in range(2):
            pool._pacing.note_warm_run((action().name, 0), 30.0)
        tasks = burst(pool, 6, action())
        await turn()
        assert len(served(tasks)) == 6
        await pool.close()

    asyncio.run(run())


def test_another_action_does_not_wait_behind_a_burst(pool: Pool) -> None:
    async def run() -> None:
        burst(pool, 50, action())
        other = burst(pool, 1, action("other"))
        await turn()
        assert len(served(other)) == 1
        await pool.close()

    asyncio.run(run())


def test_a_machine_without_memory_gets_one_process_of_each_action(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        monkeypatch.setattr(pool_module, "available_memory_mb", lambda: 100)
        one, two = burst(pool, 2, action()), burst(pool, 2, action("other"))
        await turn()
        assert (len(served(one)), len(served(two))) == (1, 1)
        monkeypatch.setattr(pool_module, "available_memory_mb", lambda: 1000)
        pool._serve_waiting()  # as the watch does
        await turn()
        assert (len(served(one)), len(served(two))) == (2, 2)
        await pool.close()

    asyncio.run(run())


def test_watching_goes_on_after_a_failure(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []

    def fails_once(processes: list[object]) -> list[object]:
        looks.append(len(processes))
        if len(looks) == 1:
            raise OSError("the system is out of descriptors")
        return []

    async def run() -> None:
        monkeypatch.setattr(pool_module, "MEMORY_POLL_S", 0.001)
        monkeypatch.setattr(pool_module, "_over_their_limit", fails_once)
        pool.open()
        while len(looks) < 3:
            await asyncio.sleep(0.001)
        await pool.close()

    asyncio.run(run())


def test_a_waiting_activation_that_is_cancelled_gets_nothing(pool: Pool) -> None:
    async def run() -> None:
        tasks = burst(pool, 3, action())
        await turn()
        tasks[2].cancel()
        pool.release(served(tasks)[0])  # type: ignore[arg-type]
        await turn()
        assert tasks[2].cancelled()
        assert len(pool._idle) == 1
        await pool.close()

    asyncio.run(run())


def test_pauses_grow_with_the_processes_at_work() -> None:
    pacing = Pacing(2)
    pacing.note_start("a", 100.0)
    assert [pacing.next_start("a", busy) for busy in (0, 1, 2, 3, 4, 6, 8, 40)] == [
        0.0, 0.0, 100.25, 100.25, 100.5, 101.0, 102.0, 110.0,
    ]  # fmt: skip
    pacing.note_warm_run("a", 60.0)
    assert pacing.next_start("a", 2) == 100.25, "one run says little: it may have imported"
    pacing.note_warm_run("a", 0.02)
    assert pacing.next_start("a", 1) == 0.0
    assert pacing.next_start("a", 2) == 110.0
    for _ in range(3):
        pacing.note_warm_run("a", 60.0)
    assert pacing.next_start("a", 9) == 0.0
    pacing.forget("a")
    assert pacing.next_start("a", 2) == 0.25
    assert processors() >= 1


def test_a_process_that_has_run_for_long_is_not_expected_to_be_free_soon() -> None:
    assert Pacing.is_soon_free(29.0, warm=False)
    assert not Pacing.is_soon_free(31.0, warm=False)
    assert Pacing.is_soon_free(0.9, warm=True)
    assert not Pacing.is_soon_free(1.1, warm=True)


def test_the_limit_of_a_container_counts_as_the_machines_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "memory.max"
    monkeypatch.setattr(limits_module, "_CGROUP_LIMITS", (file, tmp_path / "none"))
    whole = limits_module.machine_memory_mb()
    file.write_text("max\n")
    assert limits_module.machine_memory_mb() == whole
    file.write_text(f"{512 << 20}\n")
    assert limits_module.machine_memory_mb() == 512
    assert Limits().user_memory_mb == 384
    assert 0 < limits_module.available_memory_mb() <= whole
