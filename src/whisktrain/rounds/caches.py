"""What a warm process keeps between activations: by content, bounded by bytes, safe to lose at any time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

__all__ = ["Cache", "Checkout"]

T = TypeVar("T")


class Cache(Generic[T]):
    """Values by key; the longest unused go first.

    Args:
        most: Bytes in all, at most; one value may exceed it alone.
        size: The bytes of a value.
    """

    def __init__(self, most: int, size: Callable[[T], int]) -> None:
        self._most, self._size = most, size
        self._known: OrderedDict[Hashable, tuple[T, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value of `key`, made where it is not known."""
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key][0]
        value = make()
        self.put(key, value)
        return value

    def put(self, key: Hashable, value: T) -> None:
        """Keep a value."""
        with self._lock:
            self._known[key] = (value, self._size(value))
            self._known.move_to_end(key)
            while len(self._known) > 1 and sum(size for _, size in self._known.values()) > self._most:
                self._known.popitem(last=False)

    def find(self, key: Hashable) -> T | None:
        """The value of `key`, if it is known."""
        with self._lock:
            found = self._known.get(key)
            return found[0] if found else None


class Checkout(Generic[T]):
    """Values that only one activation may use at a time: taken out for use, and put back.

    Args:
        most: Values in all, at most.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: list[tuple[Hashable, T]] = []
        self._lock = threading.Lock()

    def take(self, key: Hashable) -> T | None:
        """Take a value out; None where there is none at hand."""
        with self._lock:
            for index in range(len(self._known) - 1, -1, -1):
                if self._known[index][0] == key:
                    return self._known.pop(index)[1]
        return None

    def put(self, key: Hashable, value: T) -> None:
        """Put a value back."""
        with self._lock:
            self._known.append((key, value))
            del self._known[: -self._most]
