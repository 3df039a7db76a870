"""The optimizer's state that belongs to a round's parameters: from memory, else stored, else replayed (A3).

It is in memory only for no longer than it takes to store it (A8); until that is confirmed, everything that it could be
replayed from is kept (A9).
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import replace

from whisktrain.errors import Damaged
from whisktrain.merge.merging import Merged, merge
from whisktrain.records import ids
from whisktrain.records.ids import round_of
from whisktrain.records.run import RunState
from whisktrain.records.run_records import RunRecords
from whisktrain.rounds.caches import blueprint_of, take_last_round
from whisktrain.tensors import Tensors

__all__ = ["keep_fallback", "replay", "restore"]


def restore(records: RunRecords, state: RunState, round_: int, digest: str) -> Tensors | None:
    """The optimizer's state that belongs to the parameters of a round.

    Args:
        records: The run's documents.
        state: The run.
        round_: The round that starts from the parameters.
        digest: The parameters' digest: what is remembered counts only with the same one.

    Returns:
        The state; None where something that it would be replayed from is gone: the run has moved on.

    Raises:
        Damaged: A document that is needed is not whole.
    """
    last = take_last_round(records, round_)
    if last is not None and last.params.digest == digest:
        return last.optimizer_state
    tried = -1
    while True:
        stored = [r for r in records.optimizer_state_rounds() if r <= round_]
        newest = max(stored, default=0)
        if newest <= tried:
            return None
        values = _replay_from(records, state, newest, round_)
        if values is not None:
            return values
        # Another aggregate may just have stored a newer state and deleted what this one began with: list again.
        tried = newest


def keep_fallback(records: RunRecords, state: RunState, found: Container[str]) -> RunState:
    """Store the optimizer's state that the run's fallback needs, where its A8 was never reached; else drop the fallback.

    Until it is stored, nothing that it is replayed from is deleted; from the next A9 on that is no longer so.

    Args:
        records: The run's documents.
        state: The run.
        found: The ids of its documents.
    """
    point = state.fallback
    if point is None or point.round == 1 or point.optimizer_state in found:
        return state
    try:
        params = records.read_params(point.params)
        values = restore(records, state, point.round, params.digest) if params is not None else None
    except Damaged:
        values = None
    if values is None:
        return replace(state, fallback=None)
    records.put_optimizer_state(point.round, values)
    return state


def _replay_from(records: RunRecords, state: RunState, newest: int, round_: int) -> Tensors | None:
    """The state of a round, replayed from the stored state of round `newest`; 0: none is stored, zeros belong to round 1."""
    if newest == 0 and state.spec.first_round != 1:
        return None
    values = records.read_optimizer_state(newest) if newest else {}
    for earlier in range(max(newest, 1), round_):
        if values is None:
            return None
        merged = replay(
            records, state, ids.params(state.run, earlier), values, range(state.spec.shards)
        )
        values = merged.optimizer_state if merged is not None else None
        del merged  # the next round reads its own parameters: these would take memory beside them
    return values


def replay(
    records: RunRecords,
    state: RunState,
    params_id: str,
    optimizer_state: Tensors,
    shards: Iterable[int],
) -> Merged | None:
    """Merge a round once more from the documents that it was merged from.

    Args:
        records: The run's documents.
        state: The run.
        params_id: The parameters that the round started from.
        optimizer_state: The optimizer's state that belongs to them.
        shards: The shards that were merged.

    Returns:
        What the merge gave; None where one of the documents is gone.

    Raises:
        Damaged: One of them is not whole.
    """
    round_ = round_of(params_id)
    blueprint, params = blueprint_of(records), records.read_params(params_id)
    updates = [records.read_update(round_, shard) for shard in shards]
    contributions = [update.contribution for update in updates if update is not None]
    if blueprint is None or params is None or len(contributions) < len(updates):
        return None
    return merge(
        state.spec, blueprint.layout, round_, params.tensors, optimizer_state, contributions
    )
