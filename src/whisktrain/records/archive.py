"""Every read and write of what stays of a run in the library once it has ended: its summary and its checkpoint.

Of a run that could not begin, because its request or its data was refused, the reason stays: its rejection.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import TypedDict, cast

from whisktrain.errors import Conflict, ErrorRecord, NotFound
from whisktrain.records import ids
from whisktrain.records.checkpoint import Checkpoint
from whisktrain.records.summary import RunSummary
from whisktrain.store.protocol import Store

__all__ = ["Rejection", "RunArchive", "list_rejections", "list_summaries"]


class Rejection(TypedDict):
    """Why a run did not begin.

    Attributes:
        schema: The schema number.
        error: The failure of the stage that refused it.
        ended: When, in seconds of the epoch.
    """

    schema: int
    error: ErrorRecord
    ended: float


class RunArchive:
    """The summary and the checkpoint of one run; both are written once.

    Args:
        store: The store.
        run: The run's id.
    """

    def __init__(self, store: Store, run: str) -> None:
        self.run = run
        self._library = store.library

    def summary(self) -> RunSummary | None:
        """The summary; None while the run has not ended."""
        found = self._library.get(ids.summary(self.run), attachment=True)
        if found is None:
            return None
        history = {"history": json.loads(found.attachment)} if found.attachment else {}
        return cast(RunSummary, {**found.body, **history})

    def wait_for_summary(
        self,
        deadline: float,
        longest: float = 20.0,
        given_up: Callable[[], bool] = lambda: False,
    ) -> RunSummary | None:
        """Wait for the summary.

        Args:
            deadline: Until when, in seconds of the epoch.
            longest: Seconds of one wait at most.
            given_up: Whether there will be none; asked whenever the summary or the run's key has changed.

        Returns:
            The summary; None at the deadline, or where it was given up.
        """
        position: str | None = None
        watched = [ids.summary(self.run), ids.key(ids.key_of(self.run))]
        while (rest := deadline - time.time()) > 0:
            if position is None:
                position = self._library.changes(None).position
            found = self.summary()
            if found is not None or given_up():
                return found
            position = self._library.changes(
                position, timeout=min(rest, longest), ids=watched
            ).position
        return None

    def put_summary(self, summary: RunSummary) -> None:
        """Create the summary; the first one stays."""
        body = {key: value for key, value in summary.items() if key != "history"}
        self._create(ids.summary(self.run), body, json.dumps(summary["history"]).encode())

    def put_abandoned(self, reason: str) -> None:
        """Create the summary of a run that was ended from outside: it only says why, and keeps the run from being opened."""
        body = {
            "schema": ids.SCHEMA,
            "status": "stopped",
            "run": self.run,
            "reason": reason,
            "model": None,
        }
        self._create(ids.summary(self.run), body, None)

    def put_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Create the checkpoint; the first one stays."""
        self._create(ids.checkpoint(self.run), checkpoint.to_body(), checkpoint.attachment())

    def resumes_at(self) -> int | None:
        """The round at which the checkpoint continues; None without a checkpoint."""
        found = self._library.get(ids.checkpoint(self.run))
        return int(found.body["round"]) if found is not None else None

    def read_checkpoint(self, *, attachment: bool = True) -> Checkpoint:
        """Read the checkpoint.

        Args:
            attachment: Whether with its tensors; the plan alone does not need them.

        Raises:
            NotFound: There is none.
            Damaged: Its tensors are not whole.
        """
        found = self._library.get(ids.checkpoint(self.run), attachment=attachment)
        if found is None or (attachment and found.attachment is None):
            raise NotFound(
                f"The run {ids.key_of(self.run)!r} has no checkpoint; only a run that was stopped, that diverged, "
                "or that failed for want of a worker, can be resumed.",
                code="no_checkpoint",
                hint="See `whisktrain runs list`.",
            )
        return Checkpoint.of(found)

    def rejection(self) -> Rejection | None:
        """Why the run did not begin; None where it did, or where nothing is known of it."""
        found = self._library.get(ids.rejection(self.run))
        return cast(Rejection, found.body) if found is not None else None

    def put_rejection(self, error: ErrorRecord) -> None:
        """Write why the run did not begin; the newest reason counts, as a key may be tried again."""
        body: Rejection = {"schema": ids.SCHEMA, "error": error, "ended": time.time()}
        found = self._library.get(ids.rejection(self.run))
        rev = found.rev if found is not None else None
        try:
            self._library.put(ids.rejection(self.run), body, rev=rev)
        except Conflict:
            return

    def delete_rejection(self) -> None:
        """Delete the rejection."""
        self._library.delete(ids.rejection(self.run))

    def delete(self) -> None:
        """Delete the checkpoint and then the summary: as long as that is there, the run can be found and deleted again."""
        self._library.delete(ids.checkpoint(self.run))
        self._library.delete(ids.summary(self.run))

    def _create(self, id_: str, body: Mapping[str, object], attachment: bytes | None) -> None:
        try:
            self._library.put(id_, body, attachment=attachment, durable=True)
        except Conflict:
            return


def list_summaries(store: Store) -> dict[str, RunSummary]:
    """The summaries of all ended runs, by run; their histories are empty here."""
    prefix = ids.summary("")
    return {
        d.id.removeprefix(prefix): cast(RunSummary, {**d.body, "history": []})
        for d in store.library.list(prefix)
    }


def list_rejections(store: Store) -> dict[str, Rejection]:
    """The rejections of all runs that did not begin, by run."""
    prefix = ids.rejection("")
    return {d.id.removeprefix(prefix): cast(Rejection, d.body) for d in store.library.list(prefix)}
