"""FOLLOWER: the one long-running process. It fires the trigger for runs that need an aggregate.

It works from the store's state: it lists the open runs and then follows the feed, so it may die, restart or run twice at any
time. An accepted fire is not a delivery, so it fires again, with growing pauses, for as long as the run needs it.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, TypedDict

from whisktrain.errors import PlatformError, StoreError
from whisktrain.records.feed import AnyChange, RunsFeed
from whisktrain.records.registrations import Registrations
from whisktrain.records.run import RunState
from whisktrain.records.run_records import RunRecords
from whisktrain.rounds.activations import Activations, NoRecords, Platform
from whisktrain.rounds.follower.firing import Fire, TriggerFirer
from whisktrain.rounds.presence import present
from whisktrain.rules.timeouts import TIMEOUTS, Timeouts
from whisktrain.rules.verdict import judge
from whisktrain.store.protocol import Store

__all__ = ["Fire", "Follower", "FollowerStatus"]

Need: TypeAlias = tuple["str | int", ...]
"""What an aggregate is needed for: a word, with the round (and activations) that it is about."""

_MOST_STORE_PAUSE = 4.0
"""Longest pause before a store that failed is asked again: a user who started it, or deployed, waits for that."""
_STOP_POLL = 0.5
"""Seconds after which a waiting follower looks whether it is to stop."""


class FollowerStatus(TypedDict):
    """The state of a follower.

    Attributes:
        runs: Runs that it watches.
        triggers: Triggers that it fires.
        fires: Accepted fires.
        refused: Refused fires.
        looks: Looks at the state of a run.
        idle_s: Seconds since it last completed a turn.
        error: What keeps it from working; "" where nothing does.
        waiting: Whether `error` only means that the databases do not exist yet, before the first deployment.
    """

    runs: int
    triggers: int
    fires: int
    refused: int
    looks: int
    idle_s: float
    error: str
    waiting: bool


@dataclass(slots=True)
class _Watch:
    """What the follower remembers of a run; losing it only costs a needless fire. Times are of the monotonic clock.

    Attributes:
        look_at: When to look at it next.
        changed: When a document of it last changed.
        fired_for: What it was last fired for.
        leased_until: When the lease of its aggregate ends, plus the time to hand over, in seconds of the epoch.
        pause: The pause before it is fired for the same again.
        fire_at: When it may be fired for the same again.
        activations: What the platform knows of the activations that the run waits for.
    """

    look_at: float
    changed: float
    activations: Activations
    fired_for: Need = ()
    leased_until: float = 0.0
    pause: float = 0.0
    fire_at: float = 0.0

    @property
    def leased(self) -> bool:
        """Whether the aggregate's lease lives, or was handed over just now."""
        return self.leased_until > time.time()


def _describe(error: StoreError | PlatformError | None) -> str:
    return f"{error.code}: {error.message}" if error is not None else ""


class Follower:
    """Follows the feed and fires the trigger.

    Args:
        store: The store.
        fire: Fires a trigger with `{"run": R}`.
        platform: Reads activation records; by default there are none.
        fires_per_minute: What the platform allows; the follower stays below.
        timeouts: The protocol's times.
        report: Called when the reason for which the store does not answer changes, with "" once it answers again.
    """

    def __init__(
        self,
        store: Store,
        fire: Fire,
        platform: Platform | None = None,
        *,
        fires_per_minute: int = 60,
        timeouts: Timeouts = TIMEOUTS,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._store, self._timeouts, self._report = store, timeouts, report
        self._platform = platform or NoRecords()
        self._firer = TriggerFirer(Registrations(store), fire, fires_per_minute)
        self._feed = RunsFeed(store)
        self._watched: dict[str, _Watch] = {}
        self._position: str | None = None
        self._looks = 0
        self._store_error: StoreError | None = None
        self._turned = time.monotonic()

    def status(self) -> FollowerStatus:
        """The follower's state."""
        error = self._store_error or self._firer.error
        return {
            "runs": len(self._watched),
            "triggers": self._firer.active,
            "fires": self._firer.fires,
            "refused": self._firer.refused,
            "looks": self._looks,
            "idle_s": round(time.monotonic() - self._turned, 3),
            "error": _describe(error),
            "waiting": error is not None and error.code == "store_missing",
        }

    def run(self, stop: threading.Event) -> None:
        """Follow until `stop` is set, whatever the store or the platform does."""
        failed = 0
        while not stop.is_set():
            try:
                self.turn(_STOP_POLL)
                failed = 0
                self._note(None)
            except StoreError as error:
                # The feed's position is not trusted after that: list again.
                self._position, failed = None, failed + 1
                self._note(error)
                stop.wait(random.uniform(0, min(0.1 * 2 ** min(failed, 9), _MOST_STORE_PAUSE)))
            self._turned = time.monotonic()

    def _note(self, error: StoreError | None) -> None:
        before, self._store_error = self._store_error, error
        if error is None:
            self._firer.error = None
        if _describe(error) != _describe(before):
            self._report(_describe(error))

    def turn(self, most: float | None = None) -> None:
        """Look at every run that is due, then wait for the feed until the next one is, at most `most` seconds."""
        position = self._position if self._position is not None else self._list_runs()
        for run, watch in list(self._watched.items()):
            if watch.look_at <= time.monotonic():
                self._look(run, watch)
        due = min((watch.look_at for watch in self._watched.values()), default=float("inf"))
        longest = self._timeouts.poll
        wait = max(min(due - time.monotonic(), longest, most if most is not None else longest), 0.0)
        delay = min(wait, self._poll_delay())
        time.sleep(delay)
        change = self._feed.wait(position, wait - delay)
        self._position = change.position
        self._note_change(change)

    def _poll_delay(self) -> float:
        """How long the feed is left to gather changes.

        While all aggregates hold live leases no run waits for the follower, and a look at every single change would cost the
        store as much as an idle worker does.
        """
        leased = [watch.leased for watch in self._watched.values()]
        return self._timeouts.grace / 8 if leased and all(leased) else 0.0

    def _list_runs(self) -> str:
        """Find every run that has documents; the feed's position from before that."""
        self._position, runs = self._feed.list_runs()
        self._firer.forget_triggers()
        now = time.monotonic()
        for run in runs:
            self._watch(run, now).look_at = now
        return self._position

    def _watch(self, run: str, now: float) -> _Watch:
        if run not in self._watched:
            self._watched[run] = _Watch(now, now, Activations(self._platform))
        return self._watched[run]

    def _note_change(self, change: AnyChange) -> None:
        now = time.monotonic()
        if change.registrations:
            self._firer.forget_triggers()
            for watch in self._watched.values():
                watch.look_at = now
        for run in change.runs:
            watch = self._watch(run, now)
            watch.changed = now
            # An aggregate with a live lease has seen the change too: look only once it has been quiet for a while.
            watch.look_at = now + (self._timeouts.grace if watch.leased else 0.0)

    def _look(self, run: str, watch: _Watch) -> None:
        """Decide from the store's state whether a run needs an aggregate, and when to look again."""
        self._looks += 1
        records = RunRecords(self._store, run)
        state = records.read()
        if state is None:
            if records.leftovers():
                self._fire_for(run, watch, ("absent",), 0.0)
            else:
                self._watched.pop(run, None)
            return
        # A lease that ended just now was handed over: the successor is starting.
        watch.leased_until = 0.0
        if state.aggregate_lease and not state.final:
            watch.leased_until = state.aggregate_lease + self._timeouts.hand_over
        now, grace = time.monotonic(), self._timeouts.grace
        if watch.leased and now - watch.changed < grace:
            watch.look_at = watch.changed + grace
            return
        need, until = self._need_of(records, state, watch)
        if need is not None:
            self._fire_for(run, watch, need, until)
            return
        longest = grace if watch.leased else self._timeouts.stale
        watch.look_at = now + min(max(until - time.time(), 0.0), longest)

    def _need_of(
        self, records: RunRecords, state: RunState, watch: _Watch
    ) -> tuple[Need | None, float]:
        """What an aggregate is needed for, if anything; and when, in seconds of the epoch, something becomes overdue."""
        if state.final:
            return ("final",), 0.0
        there = present(records, state)
        failures = records.failures(state.round)
        # An aggregate with a live lease retries failed and overdue shards itself: it gets a grace period for that.
        grace = self._timeouts.grace if watch.leased else 0.0
        as_of = time.time() - grace
        verdict = judge(state, there, failures, as_of, self._timeouts)
        until = verdict.until + grace
        if verdict.kind == "complete" and state.aggregate_lease:
            # A round longer than the hand-over does not show yet whether there is a successor: it gets the same grace.
            quiet = time.monotonic() - watch.changed
            if quiet < self._timeouts.grace:
                return None, time.time() + self._timeouts.grace - quiet
        if verdict.kind != "waiting":
            return (verdict.kind, state.round), 0.0
        lost = watch.activations.lost(state, verdict.missing, as_of, self._timeouts)
        ended = {each.activation for each in lost.values()} - {f.execution for f in failures}
        if ended:
            return ("lost", state.round, *sorted(ended)), until
        until = min(until, watch.activations.next_look() + grace)
        if time.monotonic() - watch.changed >= self._timeouts.stale:
            return ("stale", state.round), until
        return None, until

    def _fire_for(self, run: str, watch: _Watch, need: Need, until: float) -> None:
        """Fire, unless that was done for the same just now; again later, or when something becomes overdue at `until`."""
        now = time.monotonic()
        if need != watch.fired_for:
            watch.fired_for, watch.pause, watch.fire_at = need, self._timeouts.refire, 0.0
        allowed_at = max(watch.fire_at, self._firer.allowed_at(now))
        if allowed_at > now:
            watch.look_at = allowed_at
        elif self._firer.fire_all(run, now):
            watch.fire_at = now + watch.pause
            watch.look_at = (
                min(watch.fire_at, now + until - time.time())
                if until > time.time()
                else watch.fire_at
            )
            watch.pause = min(2 * watch.pause, self._timeouts.refire_most)
        else:
            watch.look_at = max(self._firer.blocked_until, now + self._timeouts.refire)
