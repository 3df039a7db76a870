"""The follower and the feed action: fire by the store's state, at least once, within the rate limit, without storing a key."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest
from rounds_rig import QUICK, Platform, plan_of, put_dataset, wait_clean, wait_summary

from whisktrain.errors import NotFound, PlatformUnreachable, RequestError, TooManyRequests
from whisktrain.openwhisk import feed
from whisktrain.records import ids
from whisktrain.records.failures import Failure
from whisktrain.records.registrations import Registrations
from whisktrain.records.run import RunState, Start
from whisktrain.rounds.follower import Follower
from whisktrain.rounds.follower.firing import TriggerFirer
from whisktrain.rounds.opening import create
from whisktrain.store.protocol import Store

SLOW = replace(QUICK, first=30.0, build=30.0, stale=30.0, refire=0.1, refire_most=0.4)


def register(store: Store, event: str = "CREATE", name: str = "/_/rounds", **more):
    return feed.handle(
        {"lifecycleEvent": event, "triggerName": name, **more}, store, namespace="guest"
    )


class Fires:
    """Record fires; the first ones raise the given errors."""

    def __init__(self, *refusals: Exception) -> None:
        self.made: list[tuple[str, str, float]] = []
        self.refusals = list(refusals)

    def __call__(self, trigger: str, payload: dict) -> None:
        self.made.append((trigger, payload["run"], time.monotonic()))
        if self.refusals:
            raise self.refusals.pop(0)

    @property
    def runs(self) -> list[str]:
        return [run for _, run, _ in self.made]


def run_turns(follower: Follower, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        follower.turn(most=0.02)


def put_run(store: Store, **changes) -> RunState:
    now = time.time()
    known = {
        "round": 2,
        "phase": "train",
        "params": "params:r:2",
        "created": now,
        "opened": now,
        "nonce": "n",
    }
    state = RunState("r", plan_of(), 1, **{**known, **changes})
    return replace(state, rev=store.rounds.put(ids.run("r"), state.to_body()))


def put_update(store: Store, r: int, k: int) -> None:
    store.rounds.put(ids.update("r", r, k), {"schema": 1})


def test_it_fires_once_the_round_is_complete_and_again_while_that_is_so(store: Store) -> None:
    register(store)
    fires = Fires()
    follower = Follower(store, fires, timeouts=SLOW)
    put_run(store)
    put_update(store, 2, 0)
    run_turns(follower, 0.2)
    assert fires.made == []
    put_update(store, 2, 1)
    run_turns(follower, 0.05)
    assert fires.runs == ["r"] and fires.made[0][0] == "/guest/rounds"
    run_turns(follower, 1.2)  # an accepted fire is no delivery: again after 0.1, 0.2, 0.4, 0.4, …
    assert 4 <= len(fires.made) <= 6
    assert follower.status()["fires"] == len(fires.made) and follower.status()["runs"] == 1


def test_it_finds_what_happened_while_it_was_stopped(store: Store) -> None:
    register(store)
    put_run(store)
    put_update(store, 2, 0)
    put_update(store, 2, 1)
    store.rounds.put(ids.update("gone", 3, 0), {"schema": 1})
    fires = Fires()
    run_turns(Follower(store, fires, timeouts=SLOW), 0.05)
    assert sorted(fires.runs) == ["gone", "r"]


def test_a_live_lease_gets_a_grace_period(store: Store) -> None:
    register(store)
    fires = Fires()
    timeouts = replace(SLOW, grace=0.3)
    follower = Follower(store, fires, timeouts=timeouts)
    put_run(store, aggregate_lease=time.time() + 60)
    put_update(store, 2, 0)
    put_update(store, 2, 1)
    began = time.monotonic()
    while not fires.made and time.monotonic() < began + 3:
        follower.turn(most=0.02)
    assert 0.3 <= fires.made[0][2] - began < 1.0


def test_a_lease_that_was_handed_over_is_no_reason_to_fire(store: Store) -> None:
    """The successor has written nothing yet; if it never starts, the follower fires as soon as for a live lease."""
    register(store)
    for ended in (
        -0.05,
        100.0,
    ):  # while the hand-over lasts, and in a round that outlasts it by far
        fires = Fires()
        follower = Follower(store, fires, timeouts=replace(SLOW, grace=0.5, hand_over=0.4))
        put_run(store, aggregate_lease=time.time() - ended)
        run_turns(follower, 0.05)
        put_update(store, 2, 0)
        put_update(store, 2, 1)
        began = time.monotonic()
        while not fires.made and time.monotonic() < began + 3:
            follower.turn(most=0.02)
        assert 0.45 <= fires.made[0][2] - began < 1.0
        store.rounds.delete_many([ids.run("r"), ids.update("r", 2, 0), ids.update("r", 2, 1)])


def test_failures_final_states_and_what_is_overdue_are_reasons_to_fire(store: Store) -> None:
    register(store)
    fires = Fires()
    follower = Follower(store, fires, timeouts=SLOW)
    state = put_run(store)
    put_update(store, 2, 0)
    run_turns(follower, 0.1)
    assert fires.made == []
    store.rounds.put(
        ids.failure("r", 2, 1, 1), Failure(1, 1, {"code": "x"}, written=time.time()).to_body()
    )
    run_turns(follower, 0.5)
    assert fires.made, (
        "again and again, with pauses, until an aggregate has noted that it invokes the slot"
    )
    answered = replace(state, starts={1: Start(time.time() + 1)})
    rev = store.rounds.put(ids.run("r"), answered.to_body(), rev=state.rev)
    run_turns(follower, 0.1)
    before = len(fires.made)
    run_turns(follower, 0.5)
    assert len(fires.made) == before
    overdue = replace(state, opened=time.time() - 1000)
    rev = store.rounds.put(ids.run("r"), overdue.to_body(), rev=rev)
    store.rounds.delete(ids.failure("r", 2, 1, 1))
    run_turns(follower, 0.1)
    assert len(fires.made) == before + 1
    store.rounds.put(ids.run("r"), replace(state, status="completed").to_body(), rev=rev)
    run_turns(follower, 0.05)
    assert len(fires.made) >= before + 2


def test_without_progress_it_fires_after_a_while(store: Store) -> None:
    register(store)
    fires = Fires()
    put_run(store)
    run_turns(Follower(store, fires, timeouts=replace(SLOW, stale=0.3)), 0.2)
    assert fires.made == []
    follower = Follower(store, fires, timeouts=replace(SLOW, stale=0.3))
    run_turns(follower, 0.5)
    assert fires.runs[:1] == ["r"]


def test_it_backs_off_after_refusals(store: Store) -> None:
    register(store)
    fires = Fires(TooManyRequests("slower"), PlatformUnreachable("no answer"))
    follower = Follower(store, fires, timeouts=SLOW)
    put_run(store)
    put_update(store, 2, 0)
    put_update(store, 2, 1)
    run_turns(follower, 4.0)
    times = [when for _, _, when in fires.made]
    assert len(times) >= 3 and times[1] - times[0] >= 0.5 and times[2] - times[1] >= 1.0
    assert follower.status()["refused"] == 2


def test_it_stays_within_the_rate(store: Store) -> None:
    register(store)
    fires = Fires()
    follower = Follower(store, fires, fires_per_minute=10, timeouts=SLOW)
    for n in range(30):
        store.rounds.put(ids.update(f"left{n}", 1, 0), {"schema": 1})
    run_turns(follower, 0.5)
    assert len(fires.made) == 9 and len(set(fires.runs)) == 9


def test_the_rate_allows_a_fire_again_when_the_oldest_one_is_a_minute_ago(store: Store) -> None:
    register(store)
    trigger = TriggerFirer(Registrations(store), Fires(), fires_per_minute=3)
    assert trigger.allowed_at(100.0) == 0.0
    for now in (100.0, 110.0):
        assert trigger.fire_all("r", now)
    assert trigger.allowed_at(115.0) == 160.0
    assert trigger.allowed_at(161.0) == 0.0


def test_registrations_come_and_go_while_it_runs(store: Store) -> None:
    fires = Fires()
    follower = Follower(store, fires, timeouts=SLOW)
    put_run(store)
    put_update(store, 2, 0)
    put_update(store, 2, 1)
    run_turns(follower, 0.2)
    assert fires.made == []
    register(store)
    run_turns(follower, 0.5)
    assert {t for t, _, _ in fires.made} == {"/guest/rounds"}
    register(store, "PAUSE")
    run_turns(follower, 0.1)
    before = len(fires.made)
    run_turns(follower, 0.6)
    assert len(fires.made) == before
    register(store, "UNPAUSE")
    run_turns(follower, 0.6)
    assert len(fires.made) > before


def test_two_followers_do_no_harm_and_one_may_die(store: Store) -> None:
    put_dataset(store)
    platform = Platform(store)
    stop = threading.Event()
    with platform.following(followers=2):
        mortal = Follower(store, platform.fire, fires_per_minute=6000, timeouts=QUICK)
        thread = threading.Thread(target=mortal.run, args=(stop,))
        thread.start()
        create(store, platform, "r", plan_of(lease=0.0, rounds=8))
        time.sleep(0.05)
        stop.set()
        thread.join()
        assert wait_summary(store, "r")["status"] == "completed"
        wait_clean(store)
    assert not platform.errors()


def test_the_feeds_life_cycle(store: Store) -> None:
    made = register(store, authKey="23bc46b1:secret", extra=[1])
    assert (
        made == {"trigger": "/guest/rounds", "status": made["status"]} and made["status"]["active"]
    )
    document = store.rounds.get("registration:guest:rounds")
    assert (
        document is not None
        and "secret" not in str(document.body)
        and "authKey" not in document.body
    )
    assert register(store)["status"]["active"], "a redeployment creates it again"
    read = register(store, "READ")
    assert read["config"]["trigger"] == "/guest/rounds" and read["status"]["active"]
    assert not register(store, "PAUSE")["status"]["active"]
    assert not register(store, "UPDATE")["status"]["active"]
    assert register(store, "UNPAUSE")["status"]["active"]
    assert register(store, "READ", "/guest/rounds")["status"]["active"]
    assert not register(store, "DELETE")["status"]["active"]
    assert not register(store, "DELETE")["status"]["active"], "a trigger must always be deletable"
    with pytest.raises(NotFound):
        register(store, "READ")
    for wrong in (
        {"lifecycleEvent": "EXPLODE", "triggerName": "/_/t"},
        {"lifecycleEvent": "CREATE", "triggerName": "/a/b/c"},
    ):
        with pytest.raises(RequestError):
            feed.handle(wrong, store)


def test_the_feed_creates_a_missing_store(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """With wskdeploy alone, creating the trigger is the first request to an empty store."""
    made = []
    monkeypatch.setattr(store, "ensure", lambda: made.append("ensure"))
    for event in ("CREATE", "READ", "PAUSE", "UNPAUSE", "UPDATE", "DELETE"):
        register(store, event)
    assert made == ["ensure"], "at CREATE only: nothing else may need an administrator"


def test_the_holder_of_a_live_lease_retries_first(store: Store) -> None:
    register(store)
    fires = Fires()
    timeouts = replace(SLOW, first=0.2, grace=0.4)
    follower = Follower(store, fires, timeouts=timeouts)
    put_run(store, aggregate_lease=time.time() + 60)
    put_update(store, 2, 0)
    began = time.monotonic()
    store.rounds.put(
        ids.failure("r", 2, 1, 1), Failure(1, 1, {"code": "x"}, written=time.time()).to_body()
    )
    while not fires.made and time.monotonic() < began + 5:
        follower.turn(most=0.02)
    assert 0.4 <= fires.made[0][2] - began < 2.0
