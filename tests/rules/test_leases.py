"""The slots' leases and starts after a round, and the slots to invoke."""

from __future__ import annotations

from dataclasses import replace

from plans import plan_of, running

from whisktrain.records.run import RunState, Start
from whisktrain.rules.leases import idle_slots, invoked, leases_after, starts_after
from whisktrain.rules.timeouts import TIMEOUTS, start_allowance

SPEC = plan_of((9, 9, 9, 9), slots=2, lease=240.0)
OWN = {0: (0, 55.0), 1: (1, 66.0), 2: (0, 55.0), 3: (1, 66.0)}
BACKED = dict.fromkeys(range(4), (0, 55.0))


def state(**changes: object) -> RunState:
    return running(SPEC, **changes)


def test_a_slot_whose_shards_others_computed_is_taken_for_dead() -> None:
    leases = {0: 50.0, 1: 60.0}
    assert leases_after(SPEC, leases, OWN) == {0: 55.0, 1: 66.0}
    assert leases_after(SPEC, leases, {**OWN, 1: (0, 55.0)}) == {0: 55.0, 1: 66.0}
    assert leases_after(SPEC, leases, BACKED) == {0: 55.0}
    assert leases_after(SPEC, {}, {k: (k % 2, 0.0) for k in range(4)}) == {}
    assert starts_after(state(leases=leases), BACKED, 40.0, TIMEOUTS) == {}
    assert idle_slots(state(leases={0: 5000.0}), 1040.0, TIMEOUTS) == (1,)


def test_a_slot_that_was_invoked_is_not_invoked_again_before_its_start_is_overdue() -> None:
    started = state(leases={0: 5000.0}, starts={1: Start(1000.0)}, longest_start=20.0)
    assert starts_after(started, BACKED, 1030.0, TIMEOUTS) == {1: Start(1000.0)}
    assert starts_after(started, OWN, 1030.0, TIMEOUTS) == {}, "it has written"
    assert idle_slots(started, 1059.9, TIMEOUTS) == ()
    assert idle_slots(started, 1060.0, TIMEOUTS) == (1,)
    again = replace(started, starts=invoked(started.starts, (1,), 1060.0))
    assert again.starts == {1: Start(1060.0, 2)}
    assert idle_slots(again, 1060.0 + 119.0, TIMEOUTS) == (), "the pause doubles"
    assert idle_slots(again, 1060.0 + 120.0, TIMEOUTS) == (1,)
    assert idle_slots(again, 1061.0, TIMEOUTS, {1}) == (1,), "the platform says that it has ended"


def test_a_lease_that_has_ended_was_handed_over_to_a_successor_that_is_starting() -> None:
    ended = state(leases={0: 5000.0, 1: 1000.0}, longest_start=20.0)
    assert idle_slots(ended, 1059.0, TIMEOUTS) == ()
    assert starts_after(ended, BACKED, 1030.0, TIMEOUTS) == {1: Start(1000.0)}
    assert starts_after(ended, BACKED, 1061.0, TIMEOUTS) == {}
    assert idle_slots(ended, 1060.0, TIMEOUTS) == (1,)
    # A successor that finds nothing to do leaves at the end of its own lease.
    short = replace(ended, spec=replace(SPEC, lease=1.5))
    assert idle_slots(short, 1000.0 + TIMEOUTS.hand_over, TIMEOUTS) == (1,)


def test_without_leases_the_slots_that_wrote_are_invoked_every_round() -> None:
    literal = running(replace(SPEC, lease=0.0), starts={0: Start(1000.0), 1: Start(1000.0)})
    wrote = {k: (k % 2, 0.0) for k in range(4)}
    assert starts_after(literal, wrote, 1001.0, TIMEOUTS) == {}
    assert idle_slots(replace(literal, starts={}), 1001.0, TIMEOUTS) == (0, 1)


def test_what_a_start_may_take_follows_from_those_so_far() -> None:
    assert start_allowance(state(), TIMEOUTS) == TIMEOUTS.start
    assert start_allowance(state(longest_start=0.5), TIMEOUTS) == TIMEOUTS.least
    assert start_allowance(state(longest_start=50.0), TIMEOUTS) == 150.0
