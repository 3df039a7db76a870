"""Which data sets there are in the store, and their deletion."""

from __future__ import annotations

from typing import cast

from whisktrain.data.dataset import DatasetBody
from whisktrain.records import ids
from whisktrain.store.protocol import Store

__all__ = ["delete_dataset", "list_datasets"]


def list_datasets(store: Store) -> dict[str, DatasetBody]:
    """The documents of all data sets, by their ids."""
    prefix = ids.dataset("")
    return {
        d.id.removeprefix(prefix): cast(DatasetBody, d.body) for d in store.library.list(prefix)
    }


def delete_dataset(store: Store, dataset: str) -> bool:
    """Delete a data set with its shards and validation rows; returns whether it was there."""
    if not store.library.delete(ids.dataset(dataset)):
        return False
    parts = [
        d.id
        for kind in ("shard", "validation")
        for d in store.library.list(f"{kind}:{dataset}:", bodies=False)
    ]
    store.library.delete_many(parts)
    return True
