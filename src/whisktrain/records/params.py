"""The params documents: the tensors that a round starts from, with the story so far in the body."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from whisktrain import tensors
from whisktrain.errors import Conflict
from whisktrain.records import ids
from whisktrain.records.history import TrainingHistory
from whisktrain.store.protocol import Store
from whisktrain.tensors import Tensors

__all__ = ["Params", "create", "put_params", "read_params", "read_story"]


@dataclass(frozen=True, slots=True)
class Params:
    """What a round starts from.

    Attributes:
        id: The document.
        digest: Of the tensors' bytes: two documents with the same one are the same tensors.
        tensors: The tensors.
        story: The story so far.
        rev: The document's revision; "" where it is not known.
    """

    id: str
    digest: str
    tensors: Tensors
    story: TrainingHistory
    rev: str = ""


def create(store: Store, id_: str, body: dict[str, Any], attachment: bytes | None = None) -> str | None:
    """Put a document of the rounds that is written once; where it exists already, that is as good.

    Returns:
        Its revision where this call wrote it.
    """
    try:
        return store.rounds.put(id_, {"schema": ids.SCHEMA, **body}, attachment=attachment)
    except Conflict:
        return None


def put_params(
    store: Store, id_: str, values: Tensors, story: TrainingHistory, *, parent: str, merged: tuple[int, ...]
) -> Params:
    """A5: put the parameters of a round; the document that exists already counts, should it differ."""
    data = tensors.encode(values)
    params = Params(id_, tensors.digest(data), values, story)
    body = {"parent": parent, "merged": list(merged), "digest": params.digest, "story": story.to_body()}
    rev = create(store, id_, body, data)
    if rev is not None:
        return replace(params, rev=rev)
    found = store.rounds.get(id_)
    same = found is None or found.body["digest"] == params.digest
    return params if same else (read_params(store, id_) or params)


def read_params(store: Store, id_: str) -> Params | None:
    """Read the parameters of a round; None where they are absent: the run has moved on."""
    found = store.rounds.get(id_, attachment=True)
    if found is None or found.attachment is None:
        return None
    return Params(
        id_, found.body["digest"], tensors.decode(found.attachment), TrainingHistory(**found.body["story"]), found.rev
    )


def read_story(store: Store, id_: str) -> TrainingHistory:
    """The story that the parameters of a round carry; an empty one where they are absent. Their tensors are not read."""
    found = store.rounds.get(id_) if id_ else None
    return TrainingHistory(**found.body["story"]) if found is not None else TrainingHistory()
