"""Workers that the platform did not start: invoked all the same, and told in the store, where whoever comes next reads why."""

from __future__ import annotations

import time
from collections.abc import Sequence

from whisktrain.errors import PlatformError
from whisktrain.records import ids
from whisktrain.records.failures import Failure
from whisktrain.records.params import create
from whisktrain.records.run import RunState
from whisktrain.rounds.invoker import Invoker, invoke_all
from whisktrain.rules import closing
from whisktrain.store.protocol import Store

__all__ = ["invoke_workers", "tell"]


def invoke_workers(store: Store, invoker: Invoker, state: RunState, slots: Sequence[int]) -> None:
    """Invoke the workers of these slots for the open round; tell which were refused."""
    for arguments, error in invoke_all(invoker, "worker", [{"run": state.run, "slot": slot} for slot in slots]):
        tell(store, state, arguments["slot"], error)


def tell(store: Store, state: RunState, slot: int, error: PlatformError) -> None:
    """Put why a slot's worker was not started: as attempt 0 of its shards, which is none. The round's first refusal stays."""
    shards = closing.owned(slot, state.spec.slots, state.spec.shards) if state.round else (0,)
    for shard in shards:
        refusal = Failure(shard, closing.REFUSED, error.to_record(), written=time.time())
        create(store, ids.failure(state.run, state.round, shard, refusal.attempt), refusal.to_body())
