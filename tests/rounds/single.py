"""One activation at a time, called directly: nothing else runs, so every step is under the test's control."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from numpy_learner import NumpyLearner
from rounds_rig import QUICK, plan_of, put_dataset

from whisktrain.errors import PlatformError
from whisktrain.records.run import RunState
from whisktrain.records.run_records import RunRecords
from whisktrain.rounds import aggregate, worker
from whisktrain.rounds.activations import Ended
from whisktrain.rounds.failpoints import observed
from whisktrain.rounds.opening import create
from whisktrain.rules.timeouts import Timeouts
from whisktrain.store.protocol import Store


class Invocations:
    """An invoker that starts nothing. Args: refusal: raised at each invocation."""

    def __init__(self, refusal: Exception | None = None) -> None:
        self.refusal = refusal
        self.records: dict[str, Ended] = {}
        self.asked: list[str] = []
        self.fault: PlatformError | None = None
        self.asked_for_faults: list[float] = []
        self.made: list[tuple[str, dict[str, Any]]] = []
        self.memory: dict[str, int] = {}

    def give_memory(self, action: str, megabytes: int) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.memory[action] = megabytes

    def invoke(self, action: str, arguments: dict[str, Any]) -> str:
        self.made.append((action, arguments))
        if self.refusal is not None:
            raise self.refusal
        return f"id {len(self.made)}"

    def wake_up_fault(self, triggers: Mapping[str, bool], since: float) -> PlatformError | None:
        self.asked_for_faults.append(since)
        return self.fault

    def ended(self, activation: str) -> Ended | None:
        self.asked.append(activation)
        return self.records.get(activation)


def serve_worker(
    store: Store,
    slot: int = 0,
    *,
    learner: NumpyLearner | None = None,
    invoker: Invocations | None = None,
    execution: str = "e",
    seconds: float = 60.0,
    successor: bool = False,
    timeouts: Timeouts = QUICK,
) -> worker.WorkerResult:
    """One worker activation of run "r", which has `seconds` until its deadline."""
    return worker.serve(
        "r",
        slot,
        store=store,
        invoker=invoker or Invocations(),
        learner=learner or NumpyLearner(),
        execution=execution,
        deadline=time.time() + seconds,
        successor=successor,
        timeouts=timeouts,
    )


def serve_aggregate(
    store: Store,
    *,
    invoker: Invocations | None = None,
    execution: str = "aggregate",
    seconds: float = 60.0,
    after: str = "",
    timeouts: Timeouts = QUICK,
) -> aggregate.AggregateResult:
    """One aggregate activation of run "r", which has `seconds` until its deadline."""
    return aggregate.serve(
        "r",
        store=store,
        invoker=invoker or Invocations(),
        execution=execution,
        deadline=time.time() + seconds,
        after=after,
        timeouts=timeouts,
    )


def create_run(store: Store, **changes: Any) -> RunRecords:
    """A new run "r" at round 0, without leases unless the plan's changes say so."""
    put_dataset(store)
    create(store, Invocations(), "r", plan_of(**{"lease": 0.0, **changes}))
    return RunRecords(store, "r")


def open_run(store: Store, lease: float = 0.0, **changes: Any) -> RunRecords:
    """A run "r" whose model is built: round 1 is open, and no worker was started. `lease` holds from round 1 on."""
    records = create_run(store, **changes)
    serve_worker(store, execution="builder")
    serve_aggregate(store)
    state = state_of(records)
    assert state.round == 1
    if lease:
        change(records, spec=replace(state.spec, lease=lease))
    return records


def state_of(records: RunRecords) -> RunState:
    """The run as the store has it, which must be there."""
    state = records.read()
    assert state is not None
    return state


def change(records: RunRecords, **changes: Any) -> RunState:
    """Change the run document, as another execution would."""
    swapped = records.swap(replace(state_of(records), **{"nonce": "other", **changes}))
    assert swapped is not None
    return swapped


def at_step(step: str, action: Callable[[], object]) -> AbstractContextManager[None]:
    """Do something once, just before the first activation that reaches a step takes it."""
    waiting = [action]

    def observe(reached: str) -> None:
        if reached == step and waiting:
            waiting.pop()()

    return observed(observe)
