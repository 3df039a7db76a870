"""A platform in one process: activations are threads, the follower is one more; the store is a real one."""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy_learner import NumpyLearner
from plans import plan_of as plan_of

from whisktrain import tensors
from whisktrain.errors import PlatformError, PlatformUnreachable
from whisktrain.openwhisk import feed
from whisktrain.records import ids
from whisktrain.records.archive import RunArchive
from whisktrain.records.run import PlatformFacts
from whisktrain.records.run_records import RunRecords
from whisktrain.rounds import aggregate, worker
from whisktrain.rounds.activations import Ended
from whisktrain.rounds.follower import Follower
from whisktrain.rounds.opening import create
from whisktrain.rules.capacity import ActionMemory
from whisktrain.rules.timeouts import Timeouts
from whisktrain.spec import Learner, Spec
from whisktrain.store.protocol import Store

QUICK = Timeouts(
    margin=0.3,
    build=0.8,
    first=0.8,
    least=0.5,
    backup=0.1,
    backup_first=0.3,
    start=0.8,
    look=0.3,
    look_most=1.0,
    hand_over=0.2,
    grace=0.15,
    stale=1.5,
    refire=0.15,
    refire_most=1.0,
    poll=0.1,
    retry=0.01,
    store=0.0,
)
"""The protocol's times, short enough for a test."""


PATIENT = replace(
    QUICK,
    build=6.0,
    first=6.0,
    start=6.0,
    least=3.0,
    hand_over=2.0,
    refire=2.0,
    refire_most=8.0,
)
"""The same where activations are processes, which take a while to start."""


MEMORY = ActionMemory(worker=640, aggregate=320, train=256, predict=512)


@dataclass(frozen=True)
class Limits:
    """Limits that no test reaches."""

    concurrent: int = 30
    invocations_per_minute: int = 6000
    memory_mb: int | None = None
    cores: int = 2
    max_duration_s: float = 60.0
    max_memory_mb: int = 4096
    one_machine: bool = False
    actions: ActionMemory = MEMORY


class Killed(BaseException):
    """Raised in an activation to end it at a named step."""


def put_dataset(
    store: Store,
    name: str = "d",
    *,
    rows: tuple[int, ...] = (30, 20),
    held: tuple[int, ...] | None = None,
) -> None:
    """Three blobs in four dimensions, in shards of these sizes."""
    held = held if held is not None else tuple(9 for _ in rows)
    draw = np.random.default_rng(7)
    centres = draw.normal(0, 1.5, (3, 4))

    def put(kind: str, k: int, n: int) -> None:
        y = draw.integers(0, 3, n)
        x = (centres[y] + draw.normal(0, 1, (n, 4))).astype(np.float32)
        data = tensors.encode({"x": x, "y": y.astype(np.int64), "row": np.arange(n)})
        store.library.put(f"{kind}:{name}:{k}", {"schema": 1, "rows": n}, attachment=data)

    for k, n in enumerate(rows):
        put("shard", k, n)
    for k, n in enumerate(held):
        put("validation", k, n)
    body = {
        "schema": 1,
        "task": "classification",
        "classes": ["a", "b", "c"],
        "target": "t",
        "features": list("wxyz"),
        "rows": {"read": sum(rows) + sum(held) + 2, "used": sum(rows) + sum(held), "dropped": 2},
        "split": {"how": "random", "column": None, "reason": "no column holds dates"},
        "warnings": ["2 row(s) without a target were left out."],
    }
    store.library.put(f"dataset:{name}", body, attachment=b"fitted")


class Platform:
    """Invokes actions as threads.

    Args:
        store: The store that activations use.
        learner: Who computes.
        timeouts: The protocol's times.
        seconds: How long an activation may take.
    """

    def __init__(
        self,
        store: Store,
        learner: Learner | None = None,
        *,
        timeouts: Timeouts = QUICK,
        seconds: float = 60.0,
    ) -> None:
        self.store, self.learner, self.timeouts, self.seconds = (
            store,
            learner or NumpyLearner(),
            timeouts,
            seconds,
        )
        self.threads: list[threading.Thread] = []
        self.results: list[tuple[str, dict[str, Any] | BaseException]] = []
        self.records: dict[str, Ended] = {}
        self.keeps_records = True
        self.fault: PlatformError | None = None
        self.invoked: list[tuple[str, dict[str, Any]]] = []
        self.memory: dict[str, int] = {}
        self.closed = False

    def give_memory(self, action: str, megabytes: int) -> None:
        self.memory[action] = megabytes

    def invoke(self, action: str, arguments: dict[str, Any]) -> str:
        if self.closed:
            raise PlatformUnreachable("the platform is closed")
        activation = uuid.uuid4().hex
        self.invoked.append((action, arguments))
        self.start(action, arguments, activation)
        return activation

    def wake_up_fault(self, triggers: Mapping[str, bool], since: float) -> PlatformError | None:
        """What keeps a fire from starting an aggregate."""
        return self.fault

    def ended(self, activation: str) -> Ended | None:
        """The record of an activation: as OpenWhisk has one, however it ended."""
        return self.records.get(activation) if self.keeps_records else None

    def start(self, action: str, arguments: dict[str, Any], activation: str) -> threading.Thread:
        """One activation, with this id."""
        thread = threading.Thread(
            target=self._run, args=(action, arguments, activation), daemon=True
        )
        self.threads.append(thread)
        thread.start()
        return thread

    def _run(self, action: str, arguments: dict[str, Any], activation: str) -> None:
        common: dict[str, Any] = {
            "store": self.store,
            "invoker": self,
            "execution": activation,
            "deadline": time.time() + self.seconds,
            "timeouts": self.timeouts,
        }
        try:
            if action == "worker":
                successor = bool(arguments.get("successor"))
                result = worker.serve(
                    arguments["run"],
                    arguments["slot"],
                    learner=self.learner,
                    successor=successor,
                    **common,
                )
            else:
                result = aggregate.serve(
                    arguments["run"], after=arguments.get("after", ""), **common
                )
            self.results.append((action, result))
            self.records[activation] = Ended(dict(result))
        except BaseException as error:
            self.results.append((action, error))
            what = {"code": "action_failed", "message": f"It was killed: {error}.", "hint": ""}
            self.records[activation] = Ended({}, {**what, "retryable": False})

    def fire(self, trigger: str, payload: dict[str, Any]) -> None:
        self.invoke("aggregate", payload)

    @contextlib.contextmanager
    def following(self, followers: int = 1) -> Iterator[list[Follower]]:
        """With followers running; afterwards all activations are waited for."""
        with contextlib.suppress(Exception):
            feed.handle(
                {"lifecycleEvent": "CREATE", "triggerName": "/_/rounds"},
                self.store,
                namespace="guest",
            )
        stop = threading.Event()
        made = [
            Follower(self.store, self.fire, self, fires_per_minute=6000, timeouts=self.timeouts)
            for _ in range(followers)
        ]
        threads = [threading.Thread(target=f.run, args=(stop,), daemon=True) for f in made]
        for thread in threads:
            thread.start()
        try:
            yield made
        finally:
            stop.set()
            for thread in threads:
                thread.join(20)
            self.closed = True
            self.join()

    def join(self, seconds: float = 20.0) -> None:
        until = time.monotonic() + seconds
        for thread in list(self.threads):
            thread.join(max(until - time.monotonic(), 0.0))
        assert not any(thread.is_alive() for thread in self.threads), "an activation does not end"

    def errors(self) -> list[BaseException]:
        return [
            result
            for _, result in self.results
            if isinstance(result, BaseException) and not isinstance(result, Killed)
        ]


def wait_summary(store: Store, run: str, seconds: float = 40.0) -> dict[str, Any]:
    """The run's summary, once it is there."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = RunArchive(store, run).summary()
        if found is not None:
            return dict(found)
        time.sleep(0.01)
    state = RunRecords(store, run).read()
    raise AssertionError(f"no summary of {run}; {state}; {[d.id for d in store.rounds.list('')]}")


def wait_clean(store: Store, seconds: float = 20.0) -> None:
    """Wait until nothing but registrations is left in the rounds' database."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        left = [
            d.id
            for d in store.rounds.list("", bodies=False)
            if not d.id.startswith("registration:")
        ]
        if not left:
            return
        time.sleep(0.02)
    raise AssertionError(f"left over: {left}")


def train(
    store: Store,
    spec: Spec,
    run: str = "r",
    platform: Platform | None = None,
    followers: int = 1,
    seconds: float = 40.0,
) -> dict[str, Any]:
    """Train to the end; the summary. The database is clean then."""
    platform = platform or Platform(store)
    with platform.following(followers):
        facts: PlatformFacts = {"worker_mb": MEMORY.worker, "aggregate_mb": MEMORY.aggregate}
        create(store, platform, run, spec, platform=facts)
        summary = wait_summary(store, run, seconds)
        wait_clean(store)
    assert not platform.errors(), platform.errors()
    return summary


def model_bytes(store: Store, name: str = "m", version: int = 1) -> bytes:
    found = store.library.get(ids.model(name, version), attachment=True)
    assert found is not None and found.attachment is not None
    return found.attachment
