"""The idle documents: activations that ended without having written anything of a run. They are there for the cost alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypedDict, cast

from whisktrain.errors import StoreError
from whisktrain.records import ids
from whisktrain.records.run import RunState
from whisktrain.store.protocol import Store

__all__ = ["Idle", "IdleBody", "IdleRecords"]


class IdleBody(TypedDict):
    """The body of an idle document: see `Idle`."""

    schema: int
    action: Literal["worker", "aggregate"]
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Idle:
    """An activation that found nothing to do, or could not do it.

    Attributes:
        action: "worker" or "aggregate".
        execution: Its id.
        start: When it started, in seconds of the epoch.
        end: When it ended.
    """

    action: Literal["worker", "aggregate"]
    execution: str
    start: float
    end: float


class IdleRecords:
    """Every read and write of one run's idle documents.

    Args:
        store: The store.
        run: The run's id.
    """

    def __init__(self, store: Store, run: str) -> None:
        self._rounds, self._run = store.rounds, run

    def put(self, idle: Idle) -> None:
        """Create a document, while the run is open: what ends later is no part of its cost. A lost one is not missed."""
        try:
            document = self._rounds.get(ids.run(self._run))
            if document is None or RunState.of(document).final:
                return
            body: IdleBody = {
                "schema": ids.SCHEMA,
                "action": idle.action,
                "start": round(idle.start, 3),
                "end": round(idle.end, 3),
            }
            self._rounds.put(ids.idle(self._run, idle.execution), body)
        except StoreError:
            return

    def read(self) -> list[Idle]:
        """All of the run."""
        prefix = ids.idles(self._run)
        return [
            Idle(body["action"], document.id.removeprefix(prefix), body["start"], body["end"])
            for document in self._rounds.list(prefix)
            for body in (cast(IdleBody, document.body),)
        ]
