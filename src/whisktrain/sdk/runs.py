"""The handle on runs: those that go on, and what is left of those that ended."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from whisktrain.errors import Conflict, NotFound, RequestError
from whisktrain.records import ids
from whisktrain.records.run import RunState
from whisktrain.records.run_records import RunRecords
from whisktrain.sdk.following import Progress, failures, snapshot

if TYPE_CHECKING:
    from whisktrain.sdk.connection import Connection

__all__ = ["Runs"]


class Runs:
    """Runs by their ids.

    Args:
        connection: The connection that they belong to.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def _store(self) -> Any:
        return self._connection.store

    def list(self) -> list[dict[str, Any]]:
        """All runs, the newest first: `{"run", "model", "status", "round", "rounds", "metrics", "seconds", "when"}` each."""
        found = {}
        for document in self._store.library.list("summary:"):
            body = document.body
            run = document.id.removeprefix("summary:")
            found[run] = {
                "run": run,
                "model": body.get("model"),
                "status": body.get("status"),
                "round": body.get("rounds"),
                "rounds": body.get("rounds"),
                "metrics": body.get("metrics") or {},
                "seconds": body.get("seconds"),
                "when": body.get("ended"),
            }
        for document in self._store.rounds.list("run:"):
            run = document.id.removeprefix("run:")
            if run in found:
                continue
            shown = snapshot(self._store, RunState.from_body(run, document.rev, document.body), details=False)
            found[run] = {
                "run": run,
                "model": shown.model,
                "status": shown.status,
                "round": shown.round,
                "rounds": shown.rounds,
                "metrics": {k: v for k, v in shown.latest.items() if k != "epoch"},
                "seconds": round(shown.seconds, 1),
                "when": _iso(document.body.get("created")),
            }
        return sorted(found.values(), key=lambda r: str(r["when"]), reverse=True)

    def show(self, run: str) -> dict[str, Any]:
        """Everything that is known of a run: its summary, or its state while it goes on.

        Raises:
            NotFound: There is no such run.
        """
        ids.check_run_id(run)
        summary = self._store.library.get(ids.summary(run))
        if summary is not None:
            return {"run": run, **{k: v for k, v in summary.body.items() if k != "schema"}}
        state = RunRecords(self._store, run).read()
        if state is None:
            raise self._missing(run)
        shown = snapshot(self._store, state)
        return {
            "run": run,
            "status": shown.status,
            "model": shown.model,
            "phase": shown.phase,
            "round": shown.round,
            "rounds": shown.rounds,
            "epoch": shown.epoch,
            "workers": shown.workers,
            "workers_done": shown.done,
            "workers_failed": shown.failed,
            "seconds": round(shown.seconds, 1),
            "round_ms": {"p50": shown.round_ms},
            "metrics": {k: v for k, v in shown.latest.items() if k != "epoch"},
            "cost": state.cost.total(),
            "history": list(shown.history),
            "failures": [
                {"round": f.round, "shard": f.shard, "attempt": f.attempt, "activation": f.activation, **f.error}
                for f in failures(self._store, run)
            ],
        }

    def stop(self, run: str, *, wait: bool = True) -> dict[str, Any]:
        """Ask a run to stop after its present round.

        Args:
            run: Its id.
            wait: Whether to wait until it has; the run needs somebody who carries it on for that.

        Returns:
            As `show`.

        Raises:
            NotFound: There is no such run.
        """
        ids.check_run_id(run)
        if self._store.library.get(ids.summary(run)) is not None:
            return self.show(run)
        if RunRecords(self._store, run).read() is None:
            raise self._missing(run)
        self.ask_to_stop(run)
        if wait:
            self.watch(run)
        return self.show(run)

    def ask_to_stop(self, run: str) -> None:
        """Leave word that the run is to stop; asking twice does no harm."""
        with contextlib.suppress(Conflict):
            self._store.rounds.put(ids.stop(run), {"schema": ids.SCHEMA})

    def watch(self, run: str, progress: Callable[[Progress], None] | None = None) -> dict[str, Any]:
        """Follow a run until it has ended.

        Returns:
            Its summary.

        Raises:
            NotFound: There is no such run.
        """
        ids.check_run_id(run)
        return self._connection.follow(run, progress)

    def resume(self, run: str, progress: Callable[[Progress], None] | None = None, *, wait: bool = True) -> dict[str, Any]:
        """Go on with a stopped run, as a new run that starts where it stopped.

        A run that was told to stop when its host ended at the same time is brought to its stop first.

        Returns:
            The new run's result, as of `train`.

        Raises:
            NotFound: There is no such run.
            RequestError: It did not stop.
        """
        ids.check_run_id(run)
        if self._store.rounds.get(ids.stop(run)) is not None:
            self.watch(run)
        checkpoint = self._store.library.get(ids.checkpoint(run))
        if checkpoint is not None:
            kept = int(checkpoint.body["round"]) - 1
            self._connection.narrate(f"rounds 1 to {kept} of run {run} are kept; going on with round {kept + 1}")
        else:
            status = self.show(run)["status"]
            raise RequestError(
                f"Run {run!r} is {status}; only a stopped run can be resumed.",
                code="not_resumable",
                hint=f"`whisktrain runs watch {run}` follows it." if status == "running" else "Train again.",
            )
        return self._connection.resume(run, progress, wait=wait)

    def delete(self, run: str) -> None:
        """Delete what is left of a run that ended: its summary and its checkpoint. Its model stays.

        Raises:
            NotFound: There is no such run.
            RequestError: It has not ended.
        """
        ids.check_run_id(run)
        library = self._store.library
        if library.get(ids.summary(run)) is None:
            if RunRecords(self._store, run).read() is None:
                raise self._missing(run)
            raise RequestError(
                f"Run {run!r} has not ended.", code="still_running", hint=f"Stop it first: `whisktrain runs stop {run}`."
            )
        library.delete_many([ids.checkpoint(run), ids.summary(run)])

    def _missing(self, run: str) -> NotFound:
        import difflib

        known = [r["run"] for r in self.list()]
        near = difflib.get_close_matches(run, known, n=1)
        return NotFound(
            f"There is no run {run!r} in the store.",
            code="no_such_run",
            hint=f"Did you mean {near[0]!r}?" if near else "`whisktrain runs list` shows what there is.",
        )


def _iso(seconds: float | None) -> str | None:
    if not seconds:
        return None
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="seconds")
