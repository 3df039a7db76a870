"""WORKER: one slot's activation. It computes its shards of the open round and, while its lease lasts, of the rounds to come."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from whisktrain.errors import Conflict, Damaged, Diverged, PlatformError, StoreUnreachable
from whisktrain.records import ids
from whisktrain.records.failures import Failure, failures_of_round
from whisktrain.records.params import Params, create, read_params
from whisktrain.records.run import RunState, read_state, state_of
from whisktrain.records.updates import Update
from whisktrain.rounds.blueprints import read_blueprint
from whisktrain.rounds.building import build
from whisktrain.rounds.caches import Checkout
from whisktrain.rounds.failpoints import failpoint
from whisktrain.rounds.invoker import Invoker
from whisktrain.rounds.lease_clock import LeaseClock
from whisktrain.rounds.poll_delay import PollDelay
from whisktrain.rounds.rows import rows_of
from whisktrain.rules import batches, closing
from whisktrain.rules.timeouts import TIMEOUTS, Timeouts
from whisktrain.spec import Contribution, Learner, OpenModel
from whisktrain.store.protocol import Store

__all__ = ["serve"]

_MODELS: Checkout[OpenModel] = Checkout(4)
_warm = False


@dataclass(slots=True)
class _Desk:
    """What one activation holds."""

    store: Store
    invoker: Invoker
    learner: Learner
    run: str
    slot: int
    successor: bool
    shift: LeaseClock
    position: str | None = None
    heard: RunState | None = None
    rhythm: PollDelay = field(default_factory=PollDelay)
    served: int = 0
    rounds: set[int] = field(default_factory=set)
    params: Params | None = None
    model: OpenModel | None = None
    last_write_ms: float = 0.0
    cold: bool = False


def serve(
    run: str,
    slot: int,
    *,
    store: Store,
    invoker: Invoker,
    learner: Learner,
    execution: str,
    deadline: float,
    successor: bool = False,
    pace: Timeouts = TIMEOUTS,
) -> dict[str, Any]:
    """Serve one slot of a run.

    Args:
        run: The run's id.
        slot: The slot, from 0: it serves the shards k with k mod W = slot.
        store: The store.
        invoker: Starts the successor.
        learner: Whoever knows how to compute.
        execution: This activation's id.
        deadline: When the platform ends this activation, in seconds of the epoch.
        successor: Whether another activation of the slot handed over to this one.
        pace: How long things may take.

    Returns:
        `{"run", "slot", "rounds", "updates", "left"}`: what was done, and why it left.
    """
    global _warm
    desk = _Desk(store, invoker, learner, run, slot, successor, LeaseClock(execution, time.time(), deadline, pace))
    desk.cold, _warm = not _warm, True
    left, pause = None, pace.retry
    while left is None:
        try:
            left = _round(desk)
            pause = pace.retry
        except StoreUnreachable:
            # Everything starts from the store's state, so starting over is always right.
            desk.heard = None
            if desk.shift.out_of_time:
                raise
            time.sleep(pause)
            pause = min(2 * pause, 2.0)
    if desk.model is not None:
        _MODELS.put((store.url, run), desk.model)
    return {"run": run, "slot": slot, "rounds": len(desk.rounds), "updates": desk.served, "left": left}


def _round(desk: _Desk) -> str | None:
    """Serve the open round; why to leave, or None to go on."""
    if desk.position is None:
        desk.position = desk.store.rounds.changes(None).position

    failpoint("W1")
    # What the feed has just brought is as good as read.
    state, desk.heard = desk.heard or read_state(desk.store, desk.run), None
    if state is None or state.final:
        return "the run has ended"
    if desk.slot >= state.spec.slots:
        return "the run has fewer slots"
    desk.shift.lease = state.spec.lease
    if state.round == 0:
        return _build(desk, state)

    failpoint("W2")
    if desk.params is None or desk.params.id != state.params:
        try:
            desk.params = read_params(desk.store, state.params)
        except Damaged as error:
            return _failed(desk, state, min(desk.slot, state.spec.shards - 1), error)
        if desk.params is None:  # the run has moved on: back to W1
            _moved(desk, desk.shift.rest(desk.shift.pace.backup))
            return "there is no time left" if desk.shift.out_of_time else None

    failpoint("W3")
    own = closing.owned(desk.slot, state.spec.slots, state.spec.shards)
    if not desk.rounds:
        done, mine = _updates(desk, state)
        own = tuple(k for k in own if k not in done)
        if not own and not desk.successor and not mine:
            return "there is nothing left to do"
    left = _compute(desk, state, desk.params, own)
    desk.rounds.add(state.round)
    if left is not None:
        return left
    if not desk.shift.leased:
        return "the round is served"

    return _wait(desk, state, desk.params)


def _build(desk: _Desk, state: RunState) -> str | None:
    """Round 0: slot 0 makes the model; the others have nothing to do yet."""
    if desk.slot != 0:
        return "the model is not built yet"
    began = time.time()
    try:
        build(desk.store, state, desk.learner, desk.shift)
    except StoreUnreachable:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it has to be told
        return _failed(desk, state, 0, error)
    desk.shift.worked(time.time() - began)
    if not desk.shift.leased:
        return "the model is built"
    desk.successor = True  # it stays for the rounds, whoever computes its shards meanwhile
    while not desk.shift.over:
        if _moved(desk, desk.shift.rest(desk.shift.pace.look)):
            return None
    return "the lease is over"


def _updates(desk: _Desk, state: RunState) -> tuple[frozenset[int], bool]:
    """The shards that have an update; and whether one is of this activation (which was silently started once more)."""
    found = desk.store.rounds.list(ids.updates_of_round(desk.run, state.round))
    shards = frozenset(int(d.id.rpartition(":")[2]) for d in found)
    return shards, any(d.body["execution"] == desk.shift.execution for d in found)


def _compute(desk: _Desk, state: RunState, params: Params, shards: tuple[int, ...]) -> str | None:
    """W3 and W4 for some shards; why to leave, or None."""
    for shard in shards:
        began = time.time()
        try:
            contribution, ms = _contribution(desk, state, params, shard)
        except StoreUnreachable:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it has to be told
            return _failed(desk, state, shard, error)
        if contribution is None:
            return "the run has ended"

        failpoint("W4")
        update = Update(
            shard=shard,
            slot=desk.slot,
            execution=desk.shift.execution,
            start=desk.shift.start,
            lease_end=desk.shift.lease_end,
            ms={**ms, "write": desk.last_write_ms},
            cold=desk.cold,
            contribution=contribution,
            written=time.time(),
        )
        desk.cold = False
        id_ = ids.update(desk.run, state.round, shard)
        written = time.perf_counter()
        try:
            desk.store.rounds.put(id_, update.to_body(), attachment=update.attachment())
        except Conflict:
            other = desk.store.rounds.get(id_)
            failpoint("W4.written")
            if other is not None and other.body["slot"] == desk.slot and other.body["execution"] != desk.shift.execution:
                return "another activation serves this slot"
            continue
        desk.last_write_ms = (time.perf_counter() - written) * 1000
        desk.served += 1
        desk.shift.worked(time.time() - began)
        failpoint("W4.written")
    return None


def _contribution(desk: _Desk, state: RunState, params: Params, shard: int) -> tuple[Contribution | None, dict[str, float]]:
    """What a shard contributes; None where the model is gone: the run has ended."""
    started = time.perf_counter()
    rows, validation = rows_of(desk.store, state.spec.dataset, shard)
    if desk.model is None:
        desk.model = _MODELS.take((desk.store.url, desk.run))
    if desk.model is None:
        blueprint = read_blueprint(desk.store, desk.run)
        if blueprint is None:
            return None, {}
        desk.model = desk.learner.open(state.spec, blueprint)
    work = batches.work(state.spec, state.round, "evaluate" if state.phase == "evaluate" else "train", shard)
    read = time.perf_counter()
    contribution = desk.model.contribute(params.tensors, work, rows, validation)
    _check_finite(contribution, state.round, shard)
    return contribution, {"read": (read - started) * 1000, "compute": (time.perf_counter() - read) * 1000}


def _check_finite(contribution: Contribution, round_: int, shard: int) -> None:
    numbers = [contribution.numbers["divisor"], *_floats(contribution.numbers)]
    arrays = [t for t in contribution.tensors.values() if t.dtype.kind == "f"]
    if not (np.isfinite(numbers).all() and all(np.isfinite(t).all() for t in arrays)):
        raise Diverged(
            f"The loss or a gradient of shard {shard} was not finite in round {round_}.",
            hint="Lower the learning rate, scale the features, or clip gradients.",
        )


def _floats(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [x for part in value.values() for x in _floats(part)]
    if isinstance(value, (list, tuple)):
        return [x for part in value for x in _floats(part)]
    return [value] if isinstance(value, float) else []


def _failed(desk: _Desk, state: RunState, shard: int, error: Exception) -> str:
    """W3: put the failure document. This process may be broken, so it leaves; the shard is invoked again."""
    failpoint("W3.failure")
    desk.model = None
    known = [f.attempt for f in failures_of_round(desk.store, desk.run, state.round) if f.shard == shard]
    failure = Failure.of(shard, max(known, default=0) + 1, error, desk.shift.execution)
    create(desk.store, ids.failure(desk.run, state.round, shard, failure.attempt), failure.to_body())
    return f"shard {shard} failed: {failure.error['message']}"


def _wait(desk: _Desk, state: RunState, params: Params) -> str | None:
    """W5: wait for the next round; compute missing shards of others after a delay. W6 at the lease's end."""
    backup_at = time.time() + closing.backup_delay(state, desk.shift.pace)
    time.sleep(desk.shift.rest(desk.rhythm.given()))
    while not desk.shift.over:
        if _moved(desk, desk.shift.rest(max(backup_at - time.time(), 0.0) if backup_at else desk.shift.pace.look)):
            desk.rhythm.heard()
            return None
        if backup_at and time.time() >= backup_at:
            failpoint("W5")
            backup_at = 0.0
            done, _ = _updates(desk, state)
            lacking = closing.missing(state.round, state.spec.shards, done)
            here = read_state(desk.store, desk.run)
            if here is None or here.final or here.round != state.round:
                return None  # back to W1
            turned = tuple(k for k in lacking if k >= desk.slot) + tuple(k for k in lacking if k < desk.slot)
            left = _compute(desk, state, params, turned[:1])
            if left is not None:
                return left
            if len(lacking) > 1:
                backup_at = time.time()
    if len(desk.rounds) <= 1 and not desk.served:
        return "the lease is over and nothing has moved"

    failpoint("W6")
    try:
        desk.invoker.invoke("worker", {"run": desk.run, "slot": desk.slot, "successor": True})
    except PlatformError as error:
        return f"the lease is over; the successor could not be invoked: {error.message}"
    return "the lease is over; the successor is invoked"


def _moved(desk: _Desk, seconds: float) -> bool:
    """Wait until the run document changes, which brings the new one; whether it did."""
    found = desk.store.rounds.changes(desk.position, timeout=seconds, ids=[ids.run(desk.run)], bodies=True)
    desk.position = found.position
    desk.heard = state_of(desk.run, found.rows[-1].document) if found.rows else None
    return bool(found.rows)
