"""The slots' leases and starts after a round, and which slots have to be invoked. Pure.

One invocation of a slot is outstanding at a time: until it has written something, or its start is overdue by what starts
take here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from whisktrain.records.run import RunState, Start
from whisktrain.rules.assignment import slot_of
from whisktrain.rules.timeouts import Timeouts, start_allowance
from whisktrain.spec import Spec

__all__ = ["idle_slots", "invoked", "leases_after", "starts_after"]


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
        own = [end for k, (writer, end) in wrote.items() if _is_own(spec, slot, k, writer)]
        known[slot] = max(own, default=0.0)
    return {slot: end for slot, end in known.items() if end > 0}


def starts_after(
    state: RunState, wrote: Mapping[int, tuple[int, float]], now: float, timeouts: Timeouts
) -> dict[int, Start]:
    """The outstanding starts after a round: of slots that were invoked, or handed over to, and have not written since.

    Args:
        state: The run with the round open.
        wrote: As of `leases_after`.
        now: Seconds of the epoch.
        timeouts: The protocol's times.
    """
    starts: dict[int, Start] = {}
    for slot in range(state.spec.slots):
        if any(_is_own(state.spec, slot, k, writer) for k, (writer, _) in wrote.items()):
            continue
        known, lease_end = state.starts.get(slot), state.leases.get(slot, 0.0)
        if known is not None:
            starts[slot] = known
        elif 0.0 < lease_end <= now < lease_end + _handed_over_for(state, timeouts):
            starts[slot] = Start(lease_end)
    return starts


def idle_slots(
    state: RunState, now: float, timeouts: Timeouts, ended: Collection[int] = ()
) -> tuple[int, ...]:
    """The slots to invoke (A7): those without a live lease whose start, where one is outstanding, is overdue.

    A lease that ended a moment ago has been handed over to a successor, which is starting.

    Args:
        state: The run.
        now: Seconds of the epoch.
        timeouts: The protocol's times.
        ended: Slots whose outstanding start has ended, as the platform says.
    """
    allowance, handed_over = start_allowance(state, timeouts), _handed_over_for(state, timeouts)

    def is_idle(slot: int) -> bool:
        start = state.starts.get(slot)
        if start is not None:
            return slot in ended or now >= start.at + allowance * 2.0 ** (start.count - 1)
        return state.leases.get(slot, 0.0) + handed_over <= now

    return tuple(slot for slot in range(state.spec.slots) if is_idle(slot))


def invoked(starts: Mapping[int, Start], slots: Collection[int], now: float) -> dict[int, Start]:
    """The outstanding starts once these slots are invoked."""
    again = {slot: Start(now, starts[slot].count + 1 if slot in starts else 1) for slot in slots}
    return {**starts, **again}


def _is_own(spec: Spec, slot: int, shard: int, writer: int) -> bool:
    """Whether a slot has written one of its own shards."""
    return writer == slot and slot_of(shard, spec.slots) == slot


def _handed_over_for(state: RunState, timeouts: Timeouts) -> float:
    """Seconds for which a slot whose lease has ended is taken to have a successor that is starting.

    No longer than a lease: a successor that found nothing to do in its own has left.
    """
    return max(timeouts.hand_over, min(start_allowance(state, timeouts), state.spec.lease))
