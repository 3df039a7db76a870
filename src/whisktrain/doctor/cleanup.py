"""Deletion of what the end-to-end probe made, however the probe ended."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from whisktrain.doctor.findings import Progress, wait_for
from whisktrain.errors import WhisktrainError
from whisktrain.openwhisk.client import Client
from whisktrain.records.archive import RunArchive
from whisktrain.records.keys import RunKeys, delete_run
from whisktrain.records.models import ModelRecords
from whisktrain.records.run_records import RunRecords

if TYPE_CHECKING:
    from whisktrain.store.protocol import Store

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
        key: The run's key.
        name: The model's name, and the start of its data's labels.
        upload: "upload:ID" of its data, once it is there.
        activation: The pipeline's activation, once it was started.
    """

    key: str
    name: str
    upload: str = ""
    activation: str = ""

    def run(self, store: Store) -> str:
        """The run's id; the key, while it names no run."""
        return RunKeys(store).resolve(self.key)


def clean(
    client: Client, store: Store, probe: ProbeRun, *, orderly: bool, progress: Progress
) -> None:
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
    with contextlib.suppress(
        WhisktrainError
    ):  # a store that has gone in the meantime has been reported already
        if probe.activation and not _ended(client, store, probe):
            records = RunRecords(store, probe.run(store))
            if orderly and records.exists():
                records.request_stop()
                what = "end to end: ending the probe's run"
                wait_for(lambda: _ended(client, store, probe) or None, what, STOP_S, progress)
            if not _ended(client, store, probe):
                _delete_open_run(client, store, probe, progress)
        _delete(store, probe)


def _ended(client: Client, store: Store, probe: ProbeRun) -> bool:
    """Whether no activation works for the probe any more."""
    records = RunRecords(store, probe.run(store))
    return not records.exists() and client.activation(probe.activation) is not None


def _delete_open_run(client: Client, store: Store, probe: ProbeRun, progress: Progress) -> None:
    """End the run from outside: `train` waits for its summary, which also keeps it from being opened later.

    Where there is no run yet, its key is taken, so that a `train` that comes later is refused.
    """
    from whisktrain.data.sources.uploads import delete_upload

    run = RunKeys(store).claim(probe.key, {"doctor": "given up"})["run"]
    records = RunRecords(store, run)
    RunArchive(store, run).put_abandoned("the probe was given up")
    delete_upload(store, probe.upload)  # a preprocess that starts later finds nothing to work on
    started = time.monotonic()

    def is_released() -> bool | None:
        records.delete_all()
        ended = client.activation(probe.activation) is not None
        late_writes_are_over = time.monotonic() - started > _LAST_WRITE_S
        return True if ended and late_writes_are_over and not records.leftovers() else None

    wait_for(is_released, "end to end: taking the probe's run away", RELEASE_S, progress)


def _delete(store: Store, probe: ProbeRun) -> None:
    from whisktrain.data.shards.catalogue import delete_dataset, list_datasets
    from whisktrain.data.sources.uploads import delete_upload

    delete_upload(store, probe.upload)
    delete_run(store, probe.run(store))
    ModelRecords(store).delete_name(probe.name)
    for dataset, body in list_datasets(store).items():
        # The probe's own labels: no other data set has them.
        if any(str(label).startswith(f"{probe.name}-") for label in body.get("classes") or ()):
            delete_dataset(store, dataset)
