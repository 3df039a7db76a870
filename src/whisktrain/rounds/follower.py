"""FOLLOWER: the one long-running process. It fires the trigger for runs that an aggregate has to look at.

It works from the store's state: it lists the open runs and then follows the feed, so it may die, restart or run twice at any
time. An accepted fire is no delivery, so it fires again, with growing pauses, for as long as the run needs it.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from whisktrain.errors import PlatformError, StoreError
from whisktrain.records import ids
from whisktrain.records.failures import failures_of_round
from whisktrain.records.ids import DocumentId
from whisktrain.records.run import RunState, read_state
from whisktrain.rounds.sweep import leftovers
from whisktrain.rules import closing
from whisktrain.rules.timeouts import TIMEOUTS, Timeouts
from whisktrain.store.protocol import Changes, Store

__all__ = ["Fire", "Follower", "present_of"]

Fire = Callable[[str, dict[str, Any]], None]
"""Fires a trigger, by its name, with a payload. Raises `PlatformError` where the platform did not accept it."""

MOST_PAUSE = 60.0
MOST_STORE_PAUSE = 4.0
"""Longest pause before a store that failed is asked again: whoever started it, or deployed, waits for that."""
STOP_LOOK = 0.5
"""Seconds after which a follower that waits looks whether it is to stop."""


@dataclass(slots=True)
class _Watch:
    """What the follower remembers of a run; losing it only costs a needless fire. Times are of the monotonic clock.

    Attributes:
        look_at: When to look at it next.
        moved: When a document of it last changed.
        fired_for: What it was last fired for.
        leased_until: When the lease of its aggregate ends, and the time to hand over with it, in seconds of the epoch.
        pause: The pause before it is fired for the same again.
        fire_at: When it may be fired for the same again.
        done: What it has been fired for, at least once.
    """

    look_at: float
    moved: float
    fired_for: tuple[Any, ...] = ()
    leased_until: float = 0.0
    pause: float = 0.0
    fire_at: float = 0.0
    done: set[tuple[Any, ...]] = field(default_factory=set)


@dataclass(slots=True)
class _Health:
    fires: int = 0
    refused: int = 0
    looks: int = 0
    error: StoreError | PlatformError | None = None
    turned: float = field(default_factory=time.monotonic)


def present_of(store: Store, state: RunState) -> frozenset[int]:
    """Which parts of the open round are there; round 0: `{0}` once the first parameters are."""
    if state.round == 0:
        built = store.rounds.get(ids.params(state.run, state.spec.first_round))
        return frozenset({0} if built is not None else ())
    found = store.rounds.list(ids.updates_of_round(state.run, state.round), bodies=False)
    return frozenset(at.shard for d in found if (at := DocumentId.parse(d.id)) is not None and at.shard is not None)


def _said(error: StoreError | PlatformError | None) -> str:
    return f"{error.code}: {error.message}" if error is not None else ""


class Follower:
    """Follows the feed and fires the trigger.

    Args:
        store: The store.
        fire: Fires a trigger with `{"run": R}`.
        fires_per_minute: What the platform allows; the follower stays below.
        pace: The protocol's times.
        report: Told what keeps the store from answering, when that changes; an empty text once it answers again.
    """

    def __init__(
        self,
        store: Store,
        fire: Fire,
        *,
        fires_per_minute: int = 60,
        pace: Timeouts = TIMEOUTS,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._store, self._fire, self._pace = store, fire, pace
        self._most = max(int(fires_per_minute * 0.9), 1)
        self._fired: deque[float] = deque()
        self._watched: dict[str, _Watch] = {}
        self._position: str | None = None
        self._triggers: dict[str, bool] | None = None
        self._blocked_until = 0.0
        self._refusals = 0
        self._health = _Health()
        self._report = report

    def status(self) -> dict[str, Any]:
        """How it is: `{"runs", "triggers", "fires", "refused", "looks", "idle_s", "error", "waiting"}`.

        `waiting` says that `error` is only that nobody has deployed yet: the databases are not there.
        """
        error = self._health.error
        return {
            "runs": len(self._watched),
            "triggers": len([1 for active in (self._triggers or {}).values() if active]),
            "fires": self._health.fires,
            "refused": self._health.refused,
            "looks": self._health.looks,
            "idle_s": round(time.monotonic() - self._health.turned, 3),
            "error": _said(error),
            "waiting": error is not None and error.code == "store_missing",
        }

    def run(self, stop: threading.Event) -> None:
        """Follow until `stop` is set; whatever the store or the platform does, it goes on."""
        refused = 0
        while not stop.is_set():
            try:
                self.turn(STOP_LOOK)
                refused = 0
                self._note(None)
            except StoreError as error:
                # Nothing that was remembered of the feed is trusted after that: list again.
                self._position, refused = None, refused + 1
                self._note(error)
                stop.wait(random.uniform(0, min(0.1 * 2 ** min(refused, 9), MOST_STORE_PAUSE)))
            self._health.turned = time.monotonic()

    def _note(self, error: StoreError | None) -> None:
        before, self._health.error = self._health.error, error
        if _said(error) != _said(before if isinstance(before, StoreError) else None):
            self._report(_said(error))

    def turn(self, most: float | None = None) -> None:
        """Look at every run that is due, then wait for the feed until the next one is, at most `most` seconds."""
        if self._position is None:
            self._start()
        for run, watch in list(self._watched.items()):
            if watch.look_at <= time.monotonic():
                self._look(run, watch)
        due = min((watch.look_at for watch in self._watched.values()), default=float("inf"))
        wait = max(min(due - time.monotonic(), self._pace.look, most if most is not None else self._pace.look), 0.0)
        rest = min(wait, self._rest())
        time.sleep(rest)
        wait -= rest
        heard = self._store.rounds.changes(self._position, timeout=wait)
        self._position = heard.position
        self._hear(heard)

    def _rest(self) -> float:
        """How long the feed is left to gather changes.

        Behind live leases nobody waits for the follower, and a look at every single change would cost the store as much
        as an idle worker does.
        """
        leased = [watch.leased_until > time.time() for watch in self._watched.values()]
        return self._pace.grace / 8 if leased and all(leased) else 0.0

    def _start(self) -> None:
        """Find every run that has documents, whether open or left over; the feed is followed from before that."""
        position = self._store.rounds.changes(None).position
        self._triggers = None
        now = time.monotonic()
        for document in self._store.rounds.list("", bodies=False):
            at = DocumentId.parse(document.id)
            if at is not None:
                self._watched.setdefault(at.run, _Watch(now, now)).look_at = now
        self._position = position

    def _hear(self, heard: Changes) -> None:
        now = time.monotonic()
        for row in heard.rows:
            if row.id.startswith("registration:"):
                self._triggers = None
                for watch in self._watched.values():
                    watch.look_at = now
            at = DocumentId.parse(row.id)
            if at is None or row.deleted:
                continue
            watch = self._watched.setdefault(at.run, _Watch(now, now))
            watch.moved = now
            # Behind a live lease there is somebody who has seen it too: it is only looked at once it has been quiet.
            watch.look_at = now + (self._pace.grace if watch.leased_until > time.time() else 0.0)

    def _look(self, run: str, watch: _Watch) -> None:
        """Decide from the state whether somebody has to look after a run, and when to look again."""
        self._health.looks += 1
        state = read_state(self._store, run)
        if state is None:
            if leftovers(self._store, run):
                self._need(run, watch, ("absent",), 0.0)
            else:
                self._watched.pop(run, None)
            return
        # A lease that ended just now has been handed over: the successor is on its way.
        watch.leased_until = state.aggregate_lease + self._pace.hand_over if state.aggregate_lease and not state.final else 0.0
        now, pace = time.monotonic(), self._pace
        leased = watch.leased_until > time.time()
        if leased and now - watch.moved < pace.grace:
            watch.look_at = watch.moved + pace.grace
            return
        need, until = self._need_of(state, watch)
        if need is not None:
            self._need(run, watch, need, until)
            return
        watch.look_at = now + min(max(until - time.time(), 0.0), pace.grace if leased else pace.stale)

    def _need_of(self, state: RunState, watch: _Watch) -> tuple[tuple[Any, ...] | None, float]:
        """What an aggregate is needed for, if anything; and when, in seconds of the epoch, something becomes overdue."""
        if state.final:
            return ("final",), 0.0
        present = present_of(self._store, state)
        failures = failures_of_round(self._store, state.run, state.round)
        # Whoever holds a live lease tries failed and overdue shards again, and knows best why: it gets a grace period for that.
        leased = watch.leased_until > time.time()
        grace = self._pace.grace if leased else 0.0
        verdict = closing.judge(state, present, failures, time.time() - grace, self._pace)
        verdict = replace(verdict, until=verdict.until + grace)
        if verdict.kind == "complete" and state.aggregate_lease:
            # A round longer than the hand-over does not show yet whether there is a successor: it is given the same grace.
            quiet = time.monotonic() - watch.moved
            if quiet < self._pace.grace:
                return None, time.time() + self._pace.grace - quiet
        if verdict.kind != "waiting":
            return (verdict.kind, state.round), 0.0
        fresh = (
            []
            if leased
            else [(f.shard, f.attempt) for f in failures if f.shard in verdict.missing and f.attempt != closing.REFUSED]
        )
        if fresh and ("failure", state.round, *fresh[-1]) not in watch.done:
            return ("failure", state.round, *fresh[-1]), verdict.until
        if time.monotonic() - watch.moved >= self._pace.stale:
            return ("stale", state.round), verdict.until
        return None, verdict.until

    def _need(self, run: str, watch: _Watch, need: tuple[Any, ...], until: float) -> None:
        """Fire, unless that was done for the same just now; again later, or when something becomes overdue at `until`."""
        now = time.monotonic()
        if need != watch.fired_for:
            watch.fired_for, watch.pause, watch.fire_at = need, self._pace.refire, 0.0
        allowed_at = max(watch.fire_at, self._allowed_at(now))
        if allowed_at > now:
            watch.look_at = allowed_at
            return
        if self._fire_all(run, now):
            watch.done.add(need)
            watch.fire_at = now + watch.pause
            watch.look_at = min(watch.fire_at, now + until - time.time()) if until > time.time() else watch.fire_at
            watch.pause = min(2 * watch.pause, self._pace.refire_most)
        else:
            watch.look_at = max(self._blocked_until, now + self._pace.refire)

    def _allowed_at(self, now: float) -> float:
        """When the next fire keeps within the rate."""
        while self._fired and self._fired[0] <= now - 60.0:
            self._fired.popleft()
        return max(self._blocked_until, self._fired[0] + 60.0 if len(self._fired) >= self._most else 0.0)

    def _fire_all(self, run: str, now: float) -> bool:
        """Fire every registered trigger that is not paused; whether all were accepted."""
        accepted = True
        for trigger, active in self._registered().items():
            if not active:
                continue
            try:
                self._fired.append(now)
                self._fire(trigger, {"run": run})
                self._health.fires += 1
                self._refusals = 0
            except PlatformError as error:
                accepted = False
                self._health.refused += 1
                self._health.error = error
                self._refusals += 1
                pause = min(0.5 * 2 ** min(self._refusals, 8), MOST_PAUSE)
                self._blocked_until = time.monotonic() + random.uniform(pause / 2, pause)
        return accepted

    def _registered(self) -> dict[str, bool]:
        if self._triggers is None:
            found = self._store.rounds.list("registration:")
            self._triggers = {str(d.body["trigger"]): bool(d.body["active"]) for d in found}
        return self._triggers
