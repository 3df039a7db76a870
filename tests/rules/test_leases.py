"""The slots' leases after a round, and the slots to invoke."""

from __future__ import annotations

from plans import plan_of

from whisktrain.rules.leases import dead_slots, leases_after
from whisktrain.rules.timeouts import TIMEOUTS


def test_a_slot_whose_shards_others_computed_is_taken_for_dead() -> None:
    spec = plan_of((9, 9, 9, 9), slots=2)
    leases = {0: 50.0, 1: 60.0}
    own = {0: (0, 55.0), 1: (1, 66.0), 2: (0, 55.0), 3: (1, 66.0)}
    assert leases_after(spec, leases, own) == {0: 55.0, 1: 66.0}
    assert leases_after(spec, leases, {**own, 1: (0, 55.0)}) == {0: 55.0, 1: 66.0}
    backed = dict.fromkeys(range(4), (0, 55.0))
    assert leases_after(spec, leases, backed) == {0: 55.0}
    assert leases_after(spec, {}, {k: (k % 2, 0.0) for k in range(4)}) == {}
    assert dead_slots(spec, {0: 55.0}, 50.0, TIMEOUTS) == (1,)
    assert dead_slots(spec, {0: 55.0, 1: 50.0}, 55.0 + TIMEOUTS.hand_over, TIMEOUTS) == (0, 1)
