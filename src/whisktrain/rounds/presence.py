"""What is there of the open round."""

from __future__ import annotations

from whisktrain.records.run import RunState
from whisktrain.records.run_records import RunRecords

__all__ = ["present"]


def present(records: RunRecords, state: RunState) -> frozenset[int]:
    """The shards that have an update; in round 0 `{0}` once the first parameters are there."""
    if state.round == 0:
        return frozenset({0} if records.built(state) else ())
    return frozenset(records.shards(state.round))
