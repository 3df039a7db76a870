"""A cache bounded by bytes: whatever was not used for longest goes first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

__all__ = ["ByteCache"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class ByteCache(Generic[K, V]):
    """Loaded things by key, least recently used out first; safe to use from several threads.

    One process serves one activation at a time, so a second thread that misses the same key waits for the first one's load.
    A thing that is larger than the whole bound is handed out but not kept.

    Args:
        max_bytes: Sum of the sizes that may stay loaded.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._held: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._lock = threading.RLock()

    def get(self, key: K, load: Callable[[], tuple[V, int]]) -> tuple[V, bool]:
        """The thing of that key, loaded where it is not held.

        Args:
            key: What names it.
            load: Loads it; answers the thing and its size in bytes. What it raises is raised, and nothing is kept.

        Returns:
            The thing, and whether it was held already.
        """
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key][0], True
            value, size = load()
            if size <= self.max_bytes:
                self._held[key] = value, size
                while self.size > self.max_bytes:
                    self._held.popitem(last=False)
            return value, False

    @property
    def size(self) -> int:
        """Bytes held."""
        with self._lock:
            return sum(size for _, size in self._held.values())

    def keys(self) -> list[K]:
        """What is held, the least recently used first."""
        with self._lock:
            return list(self._held)
