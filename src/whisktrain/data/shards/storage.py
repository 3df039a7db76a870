"""Shards in the store: written once, the data set's own document last, so that it speaks for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whisktrain import tensors
from whisktrain.errors import Conflict, NotFound
from whisktrain.records import ids
from whisktrain.spec import Rows
from whisktrain.store.protocol import Document, Store

__all__ = ["Dealt", "find_dataset", "read_rows", "read_with_numbers", "write_dataset"]


def find_dataset(store: Store, dataset: str, *, attachment: bool = False) -> Document | None:
    """A data set's document, where it was written completely."""
    return store.library.get(ids.dataset(dataset), attachment=attachment)


@dataclass(frozen=True, slots=True)
class Dealt:
    """All rows of a data set, and where each of them goes.

    Attributes:
        x: Features, float32 of shape (rows, *x_shape).
        y: Targets, int64 or float32 of shape (rows,).
        numbers: Each row's number in the source, from 0, shape (rows,).
        shard: Each row's shard, -1 for validation rows, shape (rows,).
        slice_: Each validation row's slice, -1 for training rows, shape (rows,).
    """

    x: NDArray[np.float32]
    y: NDArray[Any]
    numbers: NDArray[np.int64]
    shard: NDArray[np.int64]
    slice_: NDArray[np.int64]


def write_dataset(store: Store, dataset: str, body: dict[str, Any], preprocessing: bytes, rows: Dealt) -> None:
    """Write shards, validation slices and then the data set's document; what is there already stays.

    Args:
        store: Where to.
        dataset: The data set's id.
        body: The data set's document.
        preprocessing: Its attachment.
        rows: The rows.
    """
    for k in range(len(body["shards"])):
        for id_, own in ((ids.shard(dataset, k), rows.shard == k), (ids.validation(dataset, k), rows.slice_ == k)):
            data = tensors.encode({"x": rows.x[own], "y": rows.y[own], "row": rows.numbers[own]})
            _create(store, id_, {"schema": ids.SCHEMA, "rows": int(own.sum())}, data)
    _create(store, ids.dataset(dataset), body, preprocessing)


def read_rows(store: Store, dataset: str, k: int) -> tuple[Rows, Rows]:
    """Read a shard and its validation slice.

    Args:
        store: Where from.
        dataset: The data set's id.
        k: The shard's number.

    Returns:
        Training rows and validation rows (maybe none), x of shape (rows, *x_shape).

    Raises:
        NotFound: There is no such shard.
    """
    (rows, _), (held_out, _) = read_with_numbers(store, dataset, k)
    return rows, held_out


def read_with_numbers(store: Store, dataset: str, k: int) -> list[tuple[Rows, NDArray[np.int64]]]:
    """As `read_rows`, each with the rows' numbers in the source."""
    found = []
    for id_ in (ids.shard(dataset, k), ids.validation(dataset, k)):
        document = store.library.get(id_, attachment=True)
        if document is None or document.attachment is None:
            raise NotFound(f"There is no {id_!r} in the store.", hint="Preprocess the data again.")
        stored = tensors.decode(document.attachment)
        found.append((Rows(stored["x"], stored["y"]), stored["row"].astype(np.int64)))
    return found


def _create(store: Store, id_: str, body: dict[str, Any], data: bytes) -> None:
    try:
        store.library.put(id_, body, attachment=data, durable=True)
    except Conflict:
        return  # written by an earlier or simultaneous request for the same data
