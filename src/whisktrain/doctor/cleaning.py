"""Removing what the end-to-end probe made, whatever became of it."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from whisktrain.doctor.finding import Tell, wait_for
from whisktrain.errors import Conflict, WhisktrainError
from whisktrain.openwhisk.client import Client
from whisktrain.records import ids
from whisktrain.records.run_records import RunRecords

if TYPE_CHECKING:
    from whisktrain.store.protocol import Store

__all__ = ["Made", "clean"]

END_S = 20.0
"""Seconds in which a run that is asked to stop has stopped where the platform works."""
LET_GO_S = 15.0
"""Seconds in which the pipeline's activations let go of a run that is taken away from them."""


@dataclass(slots=True)
class Made:
    """What a probe made.

    Attributes:
        run: The run's id.
        name: The model's name, and what the labels of its data start with.
        upload: "upload:ID" of its data, once it is there.
        activation: The pipeline's activation, once it was started.
    """

    run: str
    name: str
    upload: str = ""
    activation: str = ""


def clean(client: Client, store: Store, made: Made, *, orderly: bool, tell: Tell) -> None:
    """Delete everything that the probe made.

    A run that still goes on is asked to stop, so that nobody writes any more; where that does not help, it is taken away: an
    ended run is never opened again, and workers and aggregates leave a run that is gone.

    Args:
        client: The platform.
        store: The store.
        made: What was made.
        orderly: Whether the platform works as far as is known, so that stopping is worth a try.
        tell: Told how it goes.
    """
    if not made.upload:
        return
    with contextlib.suppress(WhisktrainError):  # a store that has gone in the meantime has been reported already
        if made.activation and not _ended(client, store, made):
            if orderly and store.rounds.get(ids.run(made.run)) is not None:
                _stop(client, store, made, tell)
            if not _ended(client, store, made):
                _take_away(client, store, made, tell)
        _delete(store, made)


def _ended(client: Client, store: Store, made: Made) -> bool:
    """Whether nobody works for the probe any more."""
    return store.rounds.get(ids.run(made.run)) is None and client.activation(made.activation) is not None


def _stop(client: Client, store: Store, made: Made, tell: Tell) -> None:
    with contextlib.suppress(Conflict):
        store.rounds.put(ids.stop(made.run), {"schema": ids.SCHEMA})
    wait_for(lambda: _ended(client, store, made) or None, "end to end: ending the probe's run", END_S, tell)


def _take_away(client: Client, store: Store, made: Made, tell: Tell) -> None:
    """End the run from outside: its summary is what `train` waits for, and what keeps it from being opened later."""
    from whisktrain.data.sources.uploads import delete_upload

    body = {"schema": ids.SCHEMA, "status": "stopped", "reason": "the probe was given up", "model": None}
    with contextlib.suppress(Conflict):
        store.library.put(ids.summary(made.run), body)
    delete_upload(store, made.upload)  # a preprocess that starts later finds nothing to work on
    begun = time.monotonic()

    def look() -> bool | None:
        store.rounds.delete_many([ids.run(made.run), *RunRecords(store, made.run).leftovers()])
        ended = client.activation(made.activation) is not None
        # Whoever was at work when the run was taken away may still write once.
        return True if ended and time.monotonic() - begun > 2.0 and not RunRecords(store, made.run).leftovers() else None

    wait_for(look, "end to end: taking the probe's run away", LET_GO_S, tell)


def _delete(store: Store, made: Made) -> None:
    from whisktrain.data.sources.uploads import delete_upload

    delete_upload(store, made.upload)
    store.rounds.delete_many([ids.run(made.run), *RunRecords(store, made.run).leftovers()])
    library = store.library
    going = [ids.summary(made.run), ids.checkpoint(made.run), ids.alias(made.name)]
    going += [d.id for prefix in ("model", "version") for d in library.list(f"{prefix}:{made.name}:", bodies=False)]
    for document in library.list("dataset:"):
        if any(str(label).startswith(f"{made.name}-") for label in document.body.get("classes") or ()):
            dataset = document.id.removeprefix("dataset:")
            for kind in ("shard", "validation"):
                going += [d.id for d in library.list(f"{kind}:{dataset}:", bodies=False)]
            going.append(document.id)
    library.delete_many([id_ for id_ in going if library.get(id_) is not None])
