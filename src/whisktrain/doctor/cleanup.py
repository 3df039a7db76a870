"""Deletion of what the end-to-end probe made, however the probe ended."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from whisktrain.doctor.findings import Progress, wait_for
from whisktrain.errors import Conflict, WhisktrainError
from whisktrain.openwhisk.client import Client
from whisktrain.records import ids
from whisktrain.records.run_records import RunRecords

if TYPE_CHECKING:
    from whisktrain.store.protocol import Document, Store

__all__ = ["ProbeRun", "clean"]

STOP_S = 20.0
"""Seconds within which a run that is asked to stop has stopped where the platform works."""
RELEASE_S = 15.0
"""Seconds within which the pipeline's activations leave a run that was deleted."""
_LAST_WRITE_S = 2.0
"""Seconds within which an activation that was at work at the deletion may still write once."""


@dataclass(slots=True)
class ProbeRun:
    """The run that a probe made.

    Attributes:
        run: The run's id.
        name: The model's name, and the start of its data's labels.
        upload: "upload:ID" of its data, once it is there.
        activation: The pipeline's activation, once it was started.
    """

    run: str
    name: str
    upload: str = ""
    activation: str = ""


def clean(client: Client, store: Store, probe: ProbeRun, *, orderly: bool, progress: Progress) -> None:
    """Delete everything that the probe made.

    A run that still goes on is asked to stop first, so that its activations write no more; where that does not help, it is
    deleted under them: an ended run is never opened again, and workers and aggregates leave a run that is gone.

    Args:
        client: The platform.
        store: The store.
        probe: What was made.
        orderly: Whether the platform works as far as is known, so that stopping is worth a try.
        progress: Called during waits.
    """
    if not probe.upload:
        return
    with contextlib.suppress(WhisktrainError):  # a store that has gone in the meantime has been reported already
        if probe.activation and not _ended(client, store, probe):
            if orderly and store.rounds.get(ids.run(probe.run)) is not None:
                _stop(client, store, probe, progress)
            if not _ended(client, store, probe):
                _delete_open_run(client, store, probe, progress)
        _delete(store, probe)


def _ended(client: Client, store: Store, probe: ProbeRun) -> bool:
    """Whether no activation works for the probe any more."""
    return store.rounds.get(ids.run(probe.run)) is None and client.activation(probe.activation) is not None


def _stop(client: Client, store: Store, probe: ProbeRun, progress: Progress) -> None:
    with contextlib.suppress(Conflict):
        store.rounds.put(ids.stop(probe.run), {"schema": ids.SCHEMA})
    wait_for(lambda: _ended(client, store, probe) or None, "end to end: ending the probe's run", STOP_S, progress)


def _delete_open_run(client: Client, store: Store, probe: ProbeRun, progress: Progress) -> None:
    """End the run from outside: `train` waits for its summary, which also keeps it from being opened later."""
    from whisktrain.data.sources.uploads import delete_upload

    body = {"schema": ids.SCHEMA, "status": "stopped", "reason": "the probe was given up", "model": None}
    with contextlib.suppress(Conflict):
        store.library.put(ids.summary(probe.run), body)
    delete_upload(store, probe.upload)  # a preprocess that starts later finds nothing to work on
    started, records = time.monotonic(), RunRecords(store, probe.run)

    def is_released() -> bool | None:
        store.rounds.delete_many([ids.run(probe.run), *records.leftovers()])
        ended = client.activation(probe.activation) is not None
        late_writes_are_over = time.monotonic() - started > _LAST_WRITE_S
        return True if ended and late_writes_are_over and not records.leftovers() else None

    wait_for(is_released, "end to end: taking the probe's run away", RELEASE_S, progress)


def _delete(store: Store, probe: ProbeRun) -> None:
    from whisktrain.data.sources.uploads import delete_upload

    delete_upload(store, probe.upload)
    store.rounds.delete_many([ids.run(probe.run), *RunRecords(store, probe.run).leftovers()])
    going = [ids.summary(probe.run), ids.checkpoint(probe.run), ids.alias(probe.name)]
    for prefix in ("model", "version"):
        going += _listed(store, f"{prefix}:{probe.name}:")
    for dataset in store.library.list("dataset:"):
        if _is_of(dataset, probe):
            going += _parts_of(store, dataset)
    store.library.delete_many([id_ for id_ in going if store.library.get(id_) is not None])


def _listed(store: Store, prefix: str) -> list[str]:
    return [document.id for document in store.library.list(prefix, bodies=False)]


def _is_of(dataset: Document, probe: ProbeRun) -> bool:
    """Whether a data set has the probe's own labels."""
    return any(str(label).startswith(f"{probe.name}-") for label in dataset.body.get("classes") or ())


def _parts_of(store: Store, dataset: Document) -> list[str]:
    """The ids of a data set and of its shards."""
    name = dataset.id.removeprefix("dataset:")
    return [*_listed(store, f"shard:{name}:"), *_listed(store, f"validation:{name}:"), dataset.id]
