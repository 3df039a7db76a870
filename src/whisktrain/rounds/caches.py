"""What a warm process keeps between activations: addressed by content, bounded by bytes, safe to lose at any time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from cachetools import LRUCache, cached

from whisktrain.records.params import Params
from whisktrain.records.run_records import RunRecords
from whisktrain.spec import Blueprint, Rows
from whisktrain.store.protocol import Store
from whisktrain.tensors import Tensors

__all__ = [
    "Checkout",
    "LastRound",
    "blueprint_of",
    "drop_large_rounds",
    "keep_last_round",
    "rows_of",
    "take_last_round",
]

V = TypeVar("V")
Key: TypeAlias = tuple[Hashable, ...]

_ROWS_BYTES = 128 * 2**20
_BLUEPRINT_BYTES = 32 * 2**20
_LAST_ROUND_BYTES = 64 * 2**20
_KEPT_ROUND_BYTES = 16 * 2**20


def _bounded(max_bytes: int, size: Callable[[V], int]) -> LRUCache[Key, V]:
    """A least-recently-used cache bounded by bytes; a larger value is kept alone."""
    return LRUCache(max_bytes, getsizeof=lambda value: min(size(value), max_bytes))


def _rows_size(pair: tuple[Rows, Rows]) -> int:
    return sum(int(rows.x.nbytes + rows.y.nbytes) for rows in pair)


def _shard_key(store: Store, dataset: str, shard: int) -> Key:
    return store.url, dataset, shard


@cached(_bounded(_ROWS_BYTES, _rows_size), key=_shard_key, lock=threading.Lock())
def rows_of(store: Store, dataset: str, shard: int) -> tuple[Rows, Rows]:
    """A shard's training rows and its slice of the validation rows; a worker may be asked for any shard."""
    from whisktrain.data.shards.storage import read_rows

    return read_rows(store, dataset, shard)


def _blueprint_size(blueprint: Blueprint) -> int:
    return len(blueprint.config)


_lock = threading.Lock()
_blueprints: LRUCache[Key, Blueprint] = _bounded(_BLUEPRINT_BYTES, _blueprint_size)


def blueprint_of(records: RunRecords) -> Blueprint | None:
    """The run's model; None where it is absent: the run has ended."""
    key = (records.store.url, records.run)
    with _lock:
        known = _blueprints.get(key)
    if known is None:
        known = records.read_blueprint()
        if known is not None:
            with _lock:
                _blueprints[key] = known
    return known


@dataclass(frozen=True, slots=True)
class LastRound:
    """What a warm aggregate remembers of a run: the parameters of its newest round and the optimizer's state."""

    round: int
    params: Params
    optimizer_state: Tensors


def _last_round_size(last: LastRound) -> int:
    return sum(
        t.nbytes for part in (last.params.tensors, last.optimizer_state) for t in part.values()
    )


_last_rounds: LRUCache[Key, LastRound] = _bounded(_LAST_ROUND_BYTES, _last_round_size)


def keep_last_round(records: RunRecords, last: LastRound) -> None:
    """Remember a round's parameters and optimizer state."""
    with _lock:
        _last_rounds[(records.store.url, records.run)] = last


def take_last_round(records: RunRecords, round_: int) -> LastRound | None:
    """Take out what is remembered of exactly this round of a run: who takes it may change its tensors in place."""
    key = (records.store.url, records.run)
    with _lock:
        found = _last_rounds.get(key)
        return _last_rounds.pop(key) if found is not None and found.round == round_ else None


def drop_large_rounds(records: RunRecords, round_: int) -> None:
    """Drop what is remembered of other rounds and runs where it is large: there is memory for this round only."""
    key = (records.store.url, records.run)
    with _lock:
        for other, last in list(_last_rounds.items()):
            if (other, last.round) != (key, round_) and _last_round_size(last) > _KEPT_ROUND_BYTES:
                del _last_rounds[other]


class Checkout(Generic[V]):
    """Values that only one activation may use at a time: taken out for use, and put back.

    Args:
        most: Number of values that are kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: list[tuple[Hashable, V]] = []
        self._lock = threading.Lock()

    def take(self, key: Hashable) -> V | None:
        """Take a value out; None where there is none."""
        with self._lock:
            for index in range(len(self._known) - 1, -1, -1):
                if self._known[index][0] == key:
                    return self._known.pop(index)[1]
        return None

    def put(self, key: Hashable, value: V) -> None:
        """Put a value back."""
        with self._lock:
            self._known.append((key, value))
            del self._known[: -self._most]
