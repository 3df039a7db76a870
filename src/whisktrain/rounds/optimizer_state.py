"""A3: the optimizer's state that belongs to a round's parameters: from memory, else stored, else replayed.

It never lives in memory only for longer than it takes to store it (A8), and until that is answered everything that it could
be replayed from is kept (A9).
"""

from __future__ import annotations

from dataclasses import dataclass

from whisktrain import tensors
from whisktrain.merge.merging import merge
from whisktrain.records import ids
from whisktrain.records.ids import DocumentId
from whisktrain.records.params import Params, create, read_params
from whisktrain.records.run import RunState
from whisktrain.records.updates import read_update
from whisktrain.rounds.blueprints import read_blueprint
from whisktrain.rounds.caches import Cache
from whisktrain.spec import Contribution
from whisktrain.store.protocol import Store
from whisktrain.tensors import Tensors

__all__ = ["Kept", "keep", "kept", "moments_of", "put_moments"]

MOST_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Kept:
    """What a warm aggregate remembers of a run: the parameters of a round and the moments that belong to them."""

    round: int
    params: Params
    moments: Tensors


def _bytes(kept_: Kept) -> int:
    return sum(t.nbytes for part in (kept_.params.tensors, kept_.moments) for t in part.values())


_KEPT: Cache[Kept] = Cache(MOST_BYTES, _bytes)


def keep(store: Store, run: str, kept_: Kept) -> None:
    """Remember a round's parameters and moments, tagged (R, r, digest)."""
    _KEPT.put((store.url, run), kept_)


def kept(store: Store, run: str, round_: int) -> Kept | None:
    """What is remembered of exactly this round of a run."""
    found = _KEPT.find((store.url, run))
    return found if found is not None and found.round == round_ else None


def put_moments(store: Store, id_: str, values: Tensors) -> str | None:
    """A8: store moments; where they exist already, that is as good. Their revision, where this call wrote them."""
    return create(store, id_, {}, tensors.encode(values))


def moments_of(store: Store, state: RunState, round_: int, digest: str) -> Tensors | None:
    """The moments that belong to the parameters of a round.

    Args:
        store: The store.
        state: The run.
        round_: The round that starts from the parameters.
        digest: The parameters' digest: what is remembered only counts with the same one.

    Returns:
        The moments; None where something that they would be replayed from is gone: the run has moved on.
    """
    remembered = kept(store, state.run, round_)
    if remembered is not None and remembered.params.digest == digest:
        return remembered.moments
    stored = _stored(store, state, round_)
    if stored is None:
        return None
    newest, values = stored
    for earlier in range(newest, round_):
        replayed = _replay(store, state, earlier, values)
        if replayed is None:
            return None
        values = replayed
    return values


def _stored(store: Store, state: RunState, round_: int) -> tuple[int, Tensors] | None:
    """The newest stored moments of a round that is not later, and its number; zeros (nothing) belong to round 1."""
    listed = [d.id for d in store.rounds.list(f"moments:{state.run}:", bodies=False)]
    found = {
        at.round: id_
        for id_ in listed
        if (at := DocumentId.parse(id_)) is not None and at.round is not None and at.round <= round_
    }
    if not found:
        return (1, {}) if state.spec.first_round == 1 else None
    newest = max(found)
    document = store.rounds.get(found[newest], attachment=True)
    return (newest, tensors.decode(document.attachment)) if document is not None and document.attachment else None


def _replay(store: Store, state: RunState, round_: int, values: Tensors) -> Tensors | None:
    """The moments after a round, merged once more from what it was merged from."""
    blueprint = read_blueprint(store, state.run)
    params = read_params(store, ids.params(state.run, round_))
    parts: list[Contribution] = []
    for shard in range(state.spec.shards):
        update = read_update(store, state.run, round_, shard)
        if update is None:
            return None
        parts.append(update.contribution)
    if blueprint is None or params is None:
        return None
    return merge(state.spec, blueprint.layout, round_, params.tensors, values, parts).moments
