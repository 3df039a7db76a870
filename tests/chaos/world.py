"""A platform, a store and a user, for one schedule; and what has to be true at its end."""

from __future__ import annotations

import contextlib
import json
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from faults import AtSteps, faulty
from numpy_learner import NumpyLearner
from processes import Processes, Spool
from rounds_rig import PATIENT, QUICK, Killed, Limits, Platform, put_dataset
from schedules import Schedule

from whisktrain.errors import WhisktrainError
from whisktrain.openwhisk import feed
from whisktrain.records import ids
from whisktrain.records.archive import RunArchive
from whisktrain.records.keys import RunKeys, delete_run
from whisktrain.records.run_records import RunRecords
from whisktrain.rounds import failpoints
from whisktrain.rounds.follower import Follower
from whisktrain.stages import train as stage
from whisktrain.store.protocol import Store
from whisktrain.store.sqlite import files

TIMEOUTS = replace(QUICK, build=1.5, first=1.5, start=1.5, least=1.0, hand_over=0.4)
ROWS = (30, 20, 25)
LONGEST_S = 180.0
"""Seconds after which a wait is a hang."""
FROZEN = 20_000
"""Numbers that do not change, by which each set of parameters is a file."""

_resolve_spec = stage.resolve_spec
stage.resolve_spec = lambda *given, **named: replace(_resolve_spec(*given, **named), attempts=9)


class Failed(AssertionError):
    """What has to be true at the end of a schedule is not."""


def prepare(store: Store, shards: int) -> None:
    """Put the data set."""
    rows, held = ROWS[:shards], [9] * shards
    put_dataset(store, rows=rows)
    found = store.library.get("dataset:d", attachment=True)
    assert found is not None
    body = {
        **found.body,
        "source": "m.csv",
        "x_shape": [4],
        "y": {"kind": "class", "counts": [1, 1, 1]},
        "shards": list(rows),
        "validation": held,
    }
    store.library.put("dataset:d", body, rev=found.rev, attachment=found.attachment)


def expect(condition: object, what: str) -> None:
    if not condition:
        raise Failed(what)


class Call:
    """A call of the user's in a thread of its own: repeated, as OpenWhisk and users repeat, until it has an answer."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.result: Any = None
        self.error: WhisktrainError | None = None
        self._work = work
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        until = time.monotonic() + LONGEST_S
        while time.monotonic() < until:
            try:
                self.result = self._work()
            except Killed:
                continue
            except WhisktrainError as error:
                if error.code in ("store_unreachable", "conflict", "disk_full"):
                    time.sleep(0.02)
                    continue
                self.error = error
            return

    def wait(self, what: str) -> Call:
        self._thread.join(LONGEST_S + 5)
        expect(self.result is not None or self.error is not None, f"{what} has no answer")
        return self


class World:
    """One schedule under way.

    Args:
        schedule: What happens.
        store: An empty store.
        address: Its address, for other processes.
        folder: A folder for the spool of processes.
    """

    def __init__(self, schedule: Schedule, store: Store, address: str, folder: Path) -> None:
        self.schedule, self.store = schedule, store
        self.seen = faulty(store, schedule)
        self.steps = AtSteps(schedule)
        self.learner = NumpyLearner(frozen=FROZEN if schedule.large else 3)
        self.platform = _platform(self.seen, self.learner, schedule.doubled)
        self.invoker: Any = self.platform
        self._address, self._folder = address, folder
        self._calls = 0

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """With a follower, and with the faults."""
        feed.handle(
            {"lifecycleEvent": "CREATE", "triggerName": "/_/rounds"}, self.store, namespace="guest"
        )
        if self.schedule.processes:
            with self._processes():
                yield
        else:
            with failpoints.observed(self.steps), self.platform.following():
                yield

    @contextlib.contextmanager
    def _processes(self) -> Iterator[None]:
        spool, dice = self._folder / "spool", random.Random(self.schedule.seed)
        spool.mkdir()
        self.invoker, processes = Spool(spool), Processes(self._address, spool, frozen=FROZEN)
        follower = Follower(
            self.store,
            lambda _, payload: self.invoker.invoke("aggregate", payload) and None,
            timeouts=PATIENT,
        )

        def kill() -> None:
            for _ in range(dice.randint(2, 5)):
                if processes.stop.wait(dice.uniform(0.5, 1.5)):
                    return
                processes.kill_one(dice)
                self.steps.happened.append("killed a process")

        works = (processes.watch, lambda: follower.run(processes.stop), kill)
        threads = [threading.Thread(target=work, daemon=True) for work in works]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            processes.close()
            for thread in threads:
                thread.join(20)
            alive = [p.pid for p in processes.started if p.poll() is None]
            expect(not alive, f"processes are left: {alive}")
            output = processes.output.read_text() if processes.output.exists() else ""
            expect("Traceback" not in output, output[-2000:])

    # The user

    def train(self, key: str, seed: int) -> Call:
        settings = {"learning_rate": 0.05, **self.schedule.settings, "key": key, "seed": seed}
        return self._invoke({"request": {"train": settings}, "dataset": "d"})

    def resume(self, run: str, key: str) -> Call:
        return self._invoke({"resume": run, "key": key})

    def _invoke(self, payload: Any) -> Call:
        self._calls += 1
        name = f"call{self._calls}"

        def call() -> Any:
            return stage.train(
                payload,
                store=self.seen,
                invoker=self.invoker,
                execution=name,
                deadline=time.time() + LONGEST_S,
                limits=Limits(),
            )

        return Call(call)

    def stop(self, key: str) -> None:
        """Ask the run to stop."""
        run = RunKeys(self.store).find_run(key)
        if run is not None:
            Call(lambda: [RunRecords(self.seen, run).request_stop()]).wait("a stop")

    def delete(self, key: str) -> None:
        """Delete the run, whatever its state."""

        def call() -> list[None]:
            delete_run(self.seen, RunKeys(self.seen).owned_by(key) or key)
            return [None]

        Call(call).wait("a deletion")

    def wait_round(self, key: str, round_: int) -> None:
        """Wait until the key's run is at a round, or has ended."""
        until = time.monotonic() + LONGEST_S
        while time.monotonic() < until:
            run = RunKeys(self.store).find_run(key)
            if run is not None:
                state = RunRecords(self.store, run).read()
                if state is not None and state.round >= round_:
                    return
                if RunArchive(self.store, run).summary() is not None:
                    return
            time.sleep(0.001)
        raise Failed(f"{key} does not come to round {round_}")

    # What has to be true

    def check_model(self, result: Any, expected: bytes) -> None:
        """A run that has completed has published exactly the bytes of the undisturbed one; one that failed says why."""
        if result["status"] == "failed" and self.schedule.full is not None:
            expect(result["error"]["message"], "the failure has no reason")
            return
        expect(
            result["status"] == "completed",
            f"it ended as {result['status']}: {result.get('reason')}",
        )
        name, _, version = result["model"].partition(":")
        found = self.store.library.get(ids.model(name, int(version)), attachment=True)
        expect(found is not None, f"there is no model {result['model']}")
        assert found is not None
        expect(found.attachment == expected, f"{result['model']} has other bytes")
        expect(found.body["run"] == result["run_id"], f"{result['model']} is of another run")
        expect(found.body["metrics"] == result["metrics"], f"{result['model']} has other metrics")

    def check_nothing_left(self, keys: tuple[str, ...]) -> None:
        """When the user has deleted the runs, only data and models are left."""
        for key in keys:
            delete_run(self.store, RunKeys(self.store).owned_by(key) or key)
        until = time.monotonic() + 20
        while left := [
            d.id
            for d in self.store.rounds.list("", bodies=False)
            if not d.id.startswith("registration:")
        ]:
            expect(time.monotonic() < until, f"left in the rounds' database: {left}")
            time.sleep(0.02)

    def check_library(self) -> None:
        stay = ("dataset", "shard", "validation", "model", "version", "alias")
        left = [
            d.id
            for d in self.store.library.list("", bodies=False)
            if d.id.split(":")[0] not in stay
        ]
        expect(not left, f"left in the library: {left}")

    def check_files(self, folder: Path) -> None:
        """Every file belongs to a document; what killed processes left is gone once the store has looked."""
        databases = [
            (database, database._files.directory)  # type: ignore[attr-defined]
            for database in (self.store.library, self.store.rounds)
        ]
        if self.schedule.processes:
            for _, directory in databases:
                for part in directory.glob(f"*{files.PART}"):
                    os.utime(part, (0, 0))  # its writer is gone: as if that were long ago
            self.store.ensure()
        for database, directory in databases:
            sizes = [d.attachment_size or 0 for d in database.list("", bodies=False)]
            wanted = sum(size >= 64 * 1024 for size in sizes)
            there = [path.name for path in directory.iterdir()] if directory.exists() else []
            expect(
                len(there) == wanted,
                f"{len(there)} files for {wanted} attachments in {directory}: {there}",
            )

    def check_activations(self) -> None:
        """No activation ended of anything but a kill or the store."""
        for error in self.platform.errors():
            code = getattr(error, "code", "")
            expect(
                code in ("store_unreachable", "conflict", "disk_full"),
                f"an activation ended with {error!r}",
            )


def _platform(store: Any, learner: NumpyLearner, doubled: str) -> Platform:
    class Doubled(Platform):
        def start(self, action: str, arguments: Any, activation: str) -> threading.Thread:
            if doubled:
                super().start(action, arguments, activation)
            return super().start(
                action, arguments, activation + ("x" if doubled == "other" else "")
            )

    return Doubled(store, learner, timeouts=TIMEOUTS, seconds=LONGEST_S)


def undisturbed(
    schedule: Schedule, seed: int, known: dict[str, bytes], make: Callable[[], tuple[Store, Path]]
) -> bytes:
    """The bytes that the request gives where nothing happens."""
    same = {k: v for k, v in schedule.settings.items() if k != "lease"}
    name = json.dumps([same, schedule.shards, schedule.large, seed], sort_keys=True)
    if name not in known:
        calm = replace(
            schedule, kills=(), zombies=(), lost=0.0, full=None, doubled="", processes=False,
            settings={**schedule.settings, "lease": 30.0},
        )  # fmt: skip
        store, folder = make()
        prepare(store, schedule.shards)
        world = World(calm, store, "", folder)
        with world.running():
            result = world.train("calm", seed).wait("the undisturbed run").result
        found = store.library.get(ids.model("m", 1), attachment=True)
        assert result["status"] == "completed" and found is not None and found.attachment
        known[name] = found.attachment
        store.close()
    return known[name]
