"""A8 and A9, off the critical path: the moments are stored, and only then what they were made from is deleted.

While rounds are short, both are done for several rounds at once. What is not stored yet can be replayed, because nothing that
it would be replayed from is deleted before.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from whisktrain.records import ids
from whisktrain.records.run import RunState
from whisktrain.rounds.failpoints import failpoint
from whisktrain.rounds.optimizer_state import put_moments
from whisktrain.rules import closing
from whisktrain.rules.timeouts import Timeouts
from whisktrain.store.protocol import Store
from whisktrain.tensors import Tensors

__all__ = ["Cleaning"]

MOST_BYTES = 128 * 2**20
"""Bytes of closed rounds that are left for later, at most."""


class Cleaning:
    """What one aggregate has yet to store and to delete of a run; nothing of it is needed to go on elsewhere.

    Args:
        store: The store.
        pace: The protocol's times.
    """

    def __init__(self, store: Store, pace: Timeouts) -> None:
        self._store, self._pace = store, pace
        self._alive: dict[str, str] = {}
        self._unstored: tuple[RunState, Tensors | None] | None = None
        self._bytes = 0
        self._stored = 0.0
        self._pool: ThreadPoolExecutor | None = None
        self._going: Future[dict[str, str]] | None = None

    def found(self, there: Mapping[str, str]) -> None:
        """Documents that are there, each with the revision that it was seen at ("": not known)."""
        self._alive |= there

    def closed(self, state: RunState, moments: Tensors | None, size: int, *, patient: bool) -> None:
        """A round was closed.

        Args:
            state: The run with the next round open: its pins count.
            moments: The optimizer's state that belongs to the open round's parameters; None: there is none to store.
            size: The bytes of what was merged.
            patient: Whether it may wait for more rounds.
        """
        self._unstored = (state, moments)
        self._bytes += size
        if not patient or self._bytes > MOST_BYTES or time.time() >= self._stored + self._pace.store:
            self.begin()

    def begin(self) -> None:
        """Begin A8 and A9 for what was closed so far, in the background."""
        if self._unstored is None:
            return
        self.settle()
        (state, moments), self._unstored, self._bytes = self._unstored, None, 0
        going = closing.deletable(self._alive, state)
        known = {id_: self._alive.pop(id_) for id_ in going}
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="moments")
        self._stored = time.time()
        self._going = self._pool.submit(self._clean, state, moments, known)

    def settle(self) -> None:
        """Wait for what was begun."""
        if self._going is not None:
            going, self._going = self._going, None
            self._alive |= going.result()

    def close(self) -> None:
        """End the background thread."""
        if self._pool is not None:
            self._pool.shutdown()

    def _clean(self, state: RunState, moments: Tensors | None, known: dict[str, str]) -> dict[str, str]:
        """A8, then A9; the documents that it has put."""
        put = {}
        if moments is not None:
            failpoint("A8")
            id_ = ids.moments(state.run, state.round)
            put[id_] = put_moments(self._store, id_, moments) or ""
        failpoint("A9")
        self._store.rounds.delete_many(known, known={id_: rev for id_, rev in known.items() if rev})
        failpoint("A9.deleted")
        return put
