"""Shards in the store: written once; the data set's own document comes last, so that all of them exist where it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from whisktrain import tensors
from whisktrain.data.dataset import DatasetBody
from whisktrain.data.shards.rows import ShardedRows
from whisktrain.errors import Conflict, NotFound
from whisktrain.records import ids
from whisktrain.spec import Rows
from whisktrain.store.protocol import Store

__all__ = [
    "NumberedRows",
    "StoredDataset",
    "find_dataset",
    "read_numbered_rows",
    "read_rows",
    "write_dataset",
]


@dataclass(frozen=True, slots=True)
class StoredDataset:
    """A data set as the store holds it.

    Attributes:
        body: Its document's body.
        preprocessing: The fitted preprocessing, where it was asked for.
    """

    body: DatasetBody
    preprocessing: bytes = field(default=b"", repr=False)


class NumberedRows(NamedTuple):
    """Rows, and the number of each in the source, shape (rows,)."""

    rows: Rows
    numbers: NDArray[np.int64]


def find_dataset(store: Store, dataset: str, *, attachment: bool = False) -> StoredDataset | None:
    """Read a data set's document; None where there is none, or it was not written completely.

    Args:
        store: Where from.
        dataset: The data set's id.
        attachment: Whether to read the fitted preprocessing too.
    """
    document = store.library.get(ids.dataset(dataset), attachment=attachment)
    if document is None:
        return None
    return StoredDataset(cast(DatasetBody, document.body), document.attachment or b"")


def write_dataset(
    store: Store, dataset: str, body: DatasetBody, preprocessing: bytes, sharded: ShardedRows
) -> None:
    """Write shards, validation slices and then the data set's document; what is there already stays.

    Args:
        store: Where to.
        dataset: The data set's id.
        body: The data set's document.
        preprocessing: Its attachment.
        sharded: The rows.
    """
    for k in range(sharded.shards):
        _write_rows(store, ids.shard(dataset, k), sharded, sharded.shard == k)
        _write_rows(store, ids.validation(dataset, k), sharded, sharded.slice_ == k)
    _create(store, ids.dataset(dataset), body, preprocessing)


def _write_rows(store: Store, id_: str, sharded: ShardedRows, own: NDArray[np.bool_]) -> None:
    rows = sharded.rows
    data = tensors.encode({"x": rows.x[own], "y": rows.y[own], "row": rows.numbers[own]})
    _create(store, id_, {"schema": ids.SCHEMA, "rows": int(own.sum())}, data)


def _create(store: Store, id_: str, body: Mapping[str, object], data: bytes) -> None:
    try:
        store.library.put(id_, dict(body), attachment=data, durable=True)
    except Conflict:
        return  # written by an earlier or simultaneous request for the same data


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
    training, validation = read_numbered_rows(store, dataset, k)
    return training.rows, validation.rows


def read_numbered_rows(store: Store, dataset: str, k: int) -> tuple[NumberedRows, NumberedRows]:
    """Read a shard and its validation slice as `read_rows` does, with the rows' numbers in the source."""
    training = _read_rows(store, ids.shard(dataset, k))
    validation = _read_rows(store, ids.validation(dataset, k))
    return training, validation


def _read_rows(store: Store, id_: str) -> NumberedRows:
    document = store.library.get(id_, attachment=True)
    if document is None or document.attachment is None:
        raise NotFound(f"There is no {id_!r} in the store.", hint="Preprocess the data again.")
    stored = tensors.decode(document.attachment)
    return NumberedRows(Rows(stored["x"], stored["y"]), stored["row"].astype(np.int64))
