"""Parameters that a power cut has damaged, computed once more from what they were merged from, where that is there still."""

from __future__ import annotations

import contextlib

from whisktrain import tensors
from whisktrain.errors import Conflict, Damaged
from whisktrain.merge.merging import merge
from whisktrain.records.ids import DocumentId
from whisktrain.records.params import read_params
from whisktrain.records.run import RunState
from whisktrain.records.updates import read_update
from whisktrain.rounds.blueprints import read_blueprint
from whisktrain.rounds.failpoints import failpoint
from whisktrain.rounds.optimizer_state import moments_of
from whisktrain.store.protocol import Document, Store
from whisktrain.tensors import Tensors

__all__ = ["repair_params"]


def repair_params(store: Store, state: RunState) -> bool:
    """Replace the open round's parameters where they are damaged, by the same bytes: their digest is in the document.

    Returns:
        Whether they were damaged and have been mended; False also where they are whole, or gone, or past mending.
    """
    try:
        read_params(store, state.params)
    except Damaged:
        pass
    else:
        return False
    found = store.rounds.get(state.params)
    values = _computed_again(store, state, found) if found is not None else None
    if found is None or values is None:
        return False
    data = tensors.encode(values)
    if tensors.digest(data) != found.body["digest"]:
        return False
    failpoint("A2.repair")
    with contextlib.suppress(Conflict):  # somebody else was quicker, or the run has moved on
        store.rounds.put(found.id, found.body, rev=found.rev, attachment=data)
    return True


def _computed_again(store: Store, state: RunState, found: Document) -> Tensors | None:
    """What the merge of the round before gave; None where it was no merge, or where something of it is gone or damaged too."""
    source = DocumentId.parse(found.body["parent"])
    if source is None or source.round is None or not found.body["merged"]:
        return None
    try:
        before, blueprint = read_params(store, found.body["parent"]), read_blueprint(store, state.run)
        updates = [read_update(store, state.run, source.round, shard) for shard in found.body["merged"]]
        moments = moments_of(store, state, source.round, before.digest) if before is not None else None
    except Damaged:
        return None
    parts = [update.contribution for update in updates if update is not None]
    if before is None or blueprint is None or moments is None or len(parts) < len(updates):
        return None
    return merge(state.spec, blueprint.layout, source.round, before.tensors, moments, parts).params
