"""Trial writes to a store."""

from __future__ import annotations

import uuid

from whisktrain.store.protocol import Store

__all__ = ["try_to_write"]


def try_to_write(store: Store) -> None:
    """Write a document to both databases and delete it again.

    Raises:
        StoreError: One of them does not let us.
    """
    name = f"doctor:{uuid.uuid4().hex}"
    for database in (store.library, store.rounds):
        database.put(name, {"schema": 1})
        database.delete(name)
