"""Storing the optimizer's state and deleting closed rounds, off the critical path (A8 and A9).

While rounds are short, both are done for several rounds at once. A state that is not stored yet can be replayed, because
nothing that it would be replayed from is deleted before.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from whisktrain import tensors
from whisktrain.records import ids
from whisktrain.records.run import RunState
from whisktrain.records.run_records import RunRecords
from whisktrain.rounds.failpoints import Step, failpoint
from whisktrain.rules.deletion import deletable
from whisktrain.rules.timeouts import Timeouts
from whisktrain.tensors import Tensors

__all__ = ["Cleanup"]

MAX_PENDING_BYTES = 128 * 2**20
"""Bytes of closed rounds that are left for later, at most."""

MAX_BESIDE_BYTES = 16 * 2**20
"""Bytes of an optimizer state that is stored while updates are read; a larger one is waited for, so that memory is not
needed for both at once. The workers compute meanwhile."""


class Cleanup:
    """What one aggregate has yet to store and to delete of a run; nothing of it is needed to continue elsewhere.

    Args:
        records: The run's documents.
        timeouts: The protocol's times.
    """

    def __init__(self, records: RunRecords, timeouts: Timeouts) -> None:
        self._records, self._timeouts = records, timeouts
        self._existing: dict[str, str] = {}
        self._pending: tuple[RunState, Tensors | None] | None = None
        self._pending_bytes = 0
        self._stored_at = 0.0
        self._pool: ThreadPoolExecutor | None = None
        self._running: Future[dict[str, str]] | None = None
        self._storing = ""

    def add_existing(self, documents: Mapping[str, str]) -> None:
        """Note documents that exist, each with the revision that it was seen at ("": not known)."""
        self._existing |= documents

    def is_stored(self, id_: str) -> bool:
        """Whether a document is known to exist, or is being stored (A8): nothing is deleted before that is answered."""
        return id_ in self._existing or id_ == self._storing

    def add_closed(
        self, state: RunState, optimizer_state: Tensors | None, nbytes: int, *, may_wait: bool
    ) -> None:
        """Note a closed round.

        Args:
            state: The run with the next round open: its pins count.
            optimizer_state: What belongs to the open round's parameters; None: there is nothing to store.
            nbytes: The bytes of the updates that were merged.
            may_wait: Whether more rounds may be closed before anything is stored.
        """
        self._pending = (state, optimizer_state)
        self._pending_bytes += nbytes
        due = time.time() >= self._stored_at + self._timeouts.store
        if not may_wait or self._pending_bytes > MAX_PENDING_BYTES or due:
            self.start()

    def start(self) -> None:
        """Store and delete what is pending, in the background."""
        if self._pending is None:
            return
        self.wait()
        (state, optimizer_state), self._pending, self._pending_bytes = self._pending, None, 0
        # Encoded here: the next merge changes the tensors in place.
        data = tensors.encode(optimizer_state) if optimizer_state is not None else None
        going = {id_: self._existing.pop(id_) for id_ in deletable(self._existing, state)}
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="cleanup")
        self._stored_at = time.time()
        self._storing = (
            ids.optimizer_state(state.run, state.round) if optimizer_state is not None else ""
        )
        self._running = self._pool.submit(self._clean, state, data, going)
        if data is not None and len(data) > MAX_BESIDE_BYTES:
            del data
            self.wait()

    def release_tensors(self) -> None:
        """Give up a state that is not being stored yet: the merge is about to change its tensors in place."""
        if self._pending is not None and self._pending[1] is not None:
            self._pending = None

    def wait(self) -> None:
        """Wait for what was started."""
        if self._running is not None:
            running, self._running = self._running, None
            self._existing |= running.result()

    def close(self) -> None:
        """End the background thread."""
        if self._pool is not None:
            self._pool.shutdown()

    def _clean(
        self, state: RunState, optimizer_state: bytes | None, going: dict[str, str]
    ) -> dict[str, str]:
        """Store (A8), then delete (A9); the documents that this wrote."""
        written = {}
        if optimizer_state is not None:
            failpoint(Step.PUT_STATE)
            rev = self._records.put_optimizer_state(state.round, optimizer_state)
            written[ids.optimizer_state(state.run, state.round)] = rev or ""
        failpoint(Step.DELETE_ROUND)
        self._records.delete_documents(going, {id_: rev for id_, rev in going.items() if rev})
        failpoint(Step.ROUND_DELETED)
        return written
