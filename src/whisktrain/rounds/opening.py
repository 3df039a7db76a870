"""CREATE: from a plan to a run whose first worker is on its way (C1 to C3)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from whisktrain.errors import Conflict, PlatformError
from whisktrain.records import ids
from whisktrain.records.run import Best, RunState, read_state
from whisktrain.rounds.failpoints import failpoint
from whisktrain.rounds.invoker import Invoker
from whisktrain.rounds.refusals import tell
from whisktrain.spec import Spec
from whisktrain.store.protocol import Store

__all__ = ["Opened", "create"]


@dataclass(frozen=True, slots=True)
class Opened:
    """What CREATE found or made.

    Attributes:
        state: The run; None where it has ended.
        summary: What is left of it, where it has ended.
    """

    state: RunState | None
    summary: dict[str, Any] | None


def create(
    store: Store, invoker: Invoker, run: str, spec: Spec, *, best: Best | None = None, platform: dict[str, Any] | None = None
) -> Opened:
    """Open a run, or find it: repeating a call finds what it made the first time.

    Args:
        store: The store.
        invoker: Starts the first worker.
        run: The run's id.
        spec: Its plan; that of a run that exists already stays.
        best: The best parameters of the run that this one goes on from.
        platform: What is known of the platform, for the rounds' pace and the cost.

    Raises:
        PlatformError: The worker that builds the model could not be started. The run exists all the same: asking again with its
            id goes on, and so does an aggregate once the model is overdue.
    """
    failpoint("C1")
    ids.check_run_id(run)
    ended = store.library.get(ids.summary(run))
    if ended is not None:
        return Opened(None, ended.body)
    state = read_state(store, run)
    if state is None:
        failpoint("C2.version")
        version = _own_version(store, spec.name, run)
        now = time.time()
        fresh = RunState(run, spec, version, best=best, created=now, opened=now, platform=platform or {})
        failpoint("C2.run")
        try:
            store.rounds.put(ids.run(run), fresh.to_body())
        except Conflict:
            state = read_state(store, run)
        else:
            state = fresh
    failpoint("C3")
    if state is not None and state.round == 0 and not state.final:
        try:
            invoker.invoke("worker", {"run": run, "slot": 0})
        except PlatformError as error:
            tell(store, state, 0, error)
            raise
    return Opened(state, None)


def _own_version(store: Store, name: str, run: str) -> int:
    """The version of the model that the run owns: the one it took before, else the next free one."""
    prefix = f"version:{name}:"
    taken = {int(d.id.removeprefix(prefix)): d.body["run"] for d in store.library.list(prefix)}
    owned = [version for version, owner in taken.items() if owner == run]
    if owned:
        return min(owned)
    version = max(taken, default=0) + 1
    while True:
        try:
            store.library.put(ids.version(name, version), {"schema": ids.SCHEMA, "run": run}, durable=True)
        except Conflict:
            found = store.library.get(ids.version(name, version))
            if found is not None and found.body["run"] == run:
                return version
            version += 1
        else:
            return version
