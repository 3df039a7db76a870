"""A6 and F1: the compare-and-swap of the run document. Only CREATE, AGGREGATE and FINISH write it."""

from __future__ import annotations

import time
from dataclasses import replace

from whisktrain.errors import Conflict, StoreUnreachable
from whisktrain.records import ids
from whisktrain.records.run import RunState, read_state
from whisktrain.rules import closing
from whisktrain.store.protocol import Store

__all__ = ["swap"]

READS = 8
FIRST_PAUSE = 0.05


def swap(store: Store, state: RunState) -> RunState | None:
    """Replace the run document of `state.rev` by `state`.

    A conflict or a lost answer is read again, never guessed: the document there is this execution's only if both its nonce
    and its round are.

    Returns:
        The state with its new revision; None where the run has moved on.

    Raises:
        StoreUnreachable: It could not be found out.
    """
    try:
        return replace(state, rev=store.rounds.put(ids.run(state.run), state.to_body(), rev=state.rev))
    except (Conflict, StoreUnreachable) as error:
        lost: Exception = error
    for attempt in range(READS):
        try:
            found = read_state(store, state.run)
        except StoreUnreachable as error:
            lost = error
            time.sleep(FIRST_PAUSE * 2**attempt)
            continue
        if found is not None and found.rev == state.rev:
            raise lost  # it was not written
        if found is None or found.status != state.status:
            return None
        return found if closing.is_mine((found.nonce, found.round), state.nonce, state.round) else None
    raise lost
