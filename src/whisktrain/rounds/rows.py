"""Shards in a warm worker's memory: any worker may be asked for any shard, so they are cached by content."""

from __future__ import annotations

from whisktrain.rounds.caches import Cache
from whisktrain.spec import Rows
from whisktrain.store.protocol import Store

__all__ = ["rows_of"]

MOST_BYTES = 128 * 2**20


def _bytes(pair: tuple[Rows, Rows]) -> int:
    return sum(int(rows.x.nbytes + rows.y.nbytes) for rows in pair)


_ROWS: Cache[tuple[Rows, Rows]] = Cache(MOST_BYTES, _bytes)


def rows_of(store: Store, dataset: str, shard: int) -> tuple[Rows, Rows]:
    """A shard's training rows and its slice of the validation rows."""
    from whisktrain.data.shards.storage import read_rows

    return _ROWS.get((store.url, dataset, shard), lambda: read_rows(store, dataset, shard))
