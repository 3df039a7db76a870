"""Workers that the platform did not start: invoked all the same, and told in the store, where whoever comes next reads why."""

from __future__ import annotations

import time
from collections.abc import Sequence

from whisktrain.errors import PlatformError
from whisktrain.rounds import rules
from whisktrain.rounds.invoker import Invoker, invoke_all
from whisktrain.rounds.state import State
from whisktrain.rounds.story import create
from whisktrain.rounds.updates import Failure
from whisktrain.store import documents
from whisktrain.store.protocol import Store

__all__ = ["invoke_workers", "tell"]


def invoke_workers(store: Store, invoker: Invoker, state: State, slots: Sequence[int]) -> None:
    """Invoke the workers of these slots for the open round; tell which were refused."""
    for arguments, error in invoke_all(invoker, "worker", [{"run": state.run, "slot": slot} for slot in slots]):
        tell(store, state, arguments["slot"], error)


def tell(store: Store, state: State, slot: int, error: PlatformError) -> None:
    """Put why a slot's worker was not started: as attempt 0 of its shards, which is none. The round's first refusal stays."""
    shards = rules.owned(slot, state.spec.slots, state.spec.shards) if state.round else (0,)
    for shard in shards:
        refusal = Failure(shard, rules.REFUSED, error.to_record(), written=time.time())
        create(store, documents.failure(state.run, state.round, shard, refusal.attempt), refusal.to_body())
