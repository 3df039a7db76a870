"""The slots' leases after a round, and which slots have to be invoked. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from whisktrain.rules.assignment import slot_of
from whisktrain.rules.timeouts import Timeouts
from whisktrain.spec import Spec

__all__ = ["dead_slots", "leases_after"]


def leases_after(
    spec: Spec, leases: Mapping[int, float], wrote: Mapping[int, tuple[int, float]]
) -> dict[int, float]:
    """The slots' leases after a round.

    A slot whose shards were all computed by others is taken for dead: its lease is dropped, so that it is invoked again.

    Args:
        spec: The plan.
        leases: The leases known before.
        wrote: For each merged shard, the slot that wrote its update and the end of that writer's lease.
    """
    known = dict(leases)
    for slot in range(spec.slots):
        own = [
            end
            for k, (writer, end) in wrote.items()
            if writer == slot and slot_of(k, spec.slots) == slot
        ]
        known[slot] = max(own, default=0.0)
    return {slot: end for slot, end in known.items() if end > 0}


def dead_slots(
    spec: Spec, leases: Mapping[int, float], now: float, timeouts: Timeouts
) -> tuple[int, ...]:
    """The slots to invoke (A7): those without a live lease. One that ended just now has invoked its successor."""
    return tuple(s for s in range(spec.slots) if leases.get(s, 0.0) + timeouts.hand_over <= now)
