"""Which slot serves a shard, and what a round lacks."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st
from plans import plan_of, running

from whisktrain.rules import assignment
from whisktrain.rules.timeouts import TIMEOUTS
from whisktrain.rules.verdict import judge


@given(slots=st.integers(1, 9), shards=st.integers(1, 30))
def test_every_shard_is_served_by_exactly_one_slot(slots: int, shards: int) -> None:
    served = [k for slot in range(slots) for k in assignment.owned(slot, slots, shards)]
    assert sorted(served) == list(range(shards))
    assert all(
        assignment.slot_of(k, slots) == s
        for s in range(slots)
        for k in assignment.owned(s, slots, shards)
    )


@given(arrivals=st.lists(st.integers(0, 7), max_size=30), seed=st.integers(0, 100))
def test_a_round_is_complete_by_its_expected_set_never_by_a_count(
    arrivals: list[int], seed: int
) -> None:
    spec = plan_of(tuple(5 for _ in range(6)))
    shuffled = random.Random(seed).sample(
        arrivals, len(arrivals)
    )  # any order, duplicates, shards that do not exist
    lacking = assignment.missing(3, 6, arrivals)
    assert (
        lacking
        == assignment.missing(3, 6, shuffled)
        == tuple(k for k in range(6) if k not in arrivals)
    )
    verdict = judge(running(spec), set(arrivals), [], 1000.0, TIMEOUTS)
    assert (verdict.kind == "complete") == (not lacking)
    assert verdict.missing == lacking
