"""Rebuild corrupt parameters by re-merging the previous round's updates, if they still exist."""

from __future__ import annotations

from whisktrain import tensors
from whisktrain.errors import Damaged
from whisktrain.records.ids import round_of
from whisktrain.records.params import ParamsDocument
from whisktrain.records.run import RunState
from whisktrain.records.run_records import RunRecords
from whisktrain.rounds.aggregate.optimizer_state import replay, restore
from whisktrain.rounds.failpoints import Step, failpoint
from whisktrain.tensors import Tensors

__all__ = ["repair_params"]


def repair_params(records: RunRecords, state: RunState) -> bool:
    """Replace the open round's parameters by the same bytes where they are damaged: the document names their digest.

    Returns:
        Whether they were damaged and are repaired; False also where they are whole, absent, or cannot be rebuilt.
    """
    try:
        records.read_params(state.params)
    except Damaged:
        pass
    else:
        return False
    document = records.read_params_document(state.params)
    values = _rebuild(records, state, document) if document is not None else None
    if document is None or values is None:
        return False
    data = tensors.encode(values)
    if tensors.digest(data) != document.body["digest"]:
        return False
    failpoint(Step.REPAIR_PARAMS)
    records.replace_params(document, data)
    return True


def _rebuild(records: RunRecords, state: RunState, document: ParamsDocument) -> Tensors | None:
    """The result of the previous round's merge; None where it was no merge, or where it cannot be repeated."""
    parent = document.body["parent"]
    if not parent or not document.body["merged"]:
        return None
    try:
        before = records.read_params(parent)
        optimizer_state = (
            restore(records, state, round_of(parent), before.digest) if before is not None else None
        )
        if before is None or optimizer_state is None:
            return None
        merged = replay(records, state, parent, optimizer_state, document.body["merged"])
    except Damaged:
        return None
    return merged.params if merged is not None else None
