"""The end-to-end probe: trains a tiny model through the whole pipeline, watches each step, and deletes it again."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from whisktrain.doctor import cleanup
from whisktrain.doctor.activations import explain_failure
from whisktrain.doctor.findings import Finding, Progress, failed, of_error, passed
from whisktrain.doctor.follower import start_for
from whisktrain.doctor.hints import diagnose, no_container
from whisktrain.errors import WhisktrainError
from whisktrain.jsontypes import JsonObject
from whisktrain.openwhisk.client import Activation, Client, failure_of
from whisktrain.openwhisk.limits import Limits
from whisktrain.openwhisk.manifest import Package
from whisktrain.openwhisk.wiring import START_FOLLOWER
from whisktrain.records.archive import RunArchive
from whisktrain.records.run import RunState
from whisktrain.records.run_records import RunRecords
from whisktrain.version import __version__

if TYPE_CHECKING:
    from whisktrain.store.protocol import Store

__all__ = ["check_end_to_end", "most_seconds"]

NAME = "end to end"
IDLE_S = 60.0
"""Seconds without any progress after which the probe is given up."""
ROUNDS = 3
_POLL_S = 0.4
_RECORDS_S = 1.2
"""Seconds between two looks at activation records."""
_CLASSES = 3
_CLOCK_SKEW_MS = 60_000

Step = Literal["preprocess", "train", "worker", "fire", "aggregate", "finish", "predict"]

_DOING: dict[Step, str] = {
    "preprocess": "preprocess makes the shards",
    "train": "train opens the run",
    "worker": "a worker computes",
    "fire": "the follower fires, an aggregate starts",
    "aggregate": "the aggregate merges",
    "finish": "the aggregate publishes the model",
    "predict": "predict decides",
}
_STUCK: dict[Step, str] = {
    "preprocess": "preprocess has not ended",
    "train": "preprocess has ended, train did not open the run",
    "worker": "the run is open, the worker did not start or does not end",
    "predict": "the model is trained, predict has not answered",
}


def most_seconds(limits: Limits) -> float:
    """Seconds that the probe may take: as long as one activation; without progress, `IDLE_S`."""
    return max(limits.max_duration_s, IDLE_S)


def check_end_to_end(
    client: Client, store: Store, package: Package, limits: Limits, progress: Progress
) -> Finding:
    """Train and ask a tiny model; say where it stopped if it does; leave nothing behind, also when interrupted.

    Args:
        client: The platform.
        store: The deployment's store.
        package: What is deployed.
        limits: What the platform allows.
        progress: Called while the probe runs.
    """
    name = f"doctor-{uuid.uuid4().hex[:8]}"
    probe = _Probe(
        client, store, package, cleanup.ProbeRun(key=name, name=name), int(time.time() * 1000)
    )
    orderly = True
    try:
        finding = probe.train(most_seconds(limits), progress)
        orderly = finding.ok
        return finding
    except WhisktrainError as error:
        orderly = False
        return of_error(NAME, error)
    finally:
        cleanup.clean(client, store, probe.made, orderly=orderly, progress=progress)


def _table(name: str) -> bytes:
    """A CSV of three well separated classes; their labels, and so the data set, are this probe's own."""
    rows = [f"{k + n / 10},{2 * k - n / 10},{name}-{k}" for n in range(10) for k in range(_CLASSES)]
    return "\n".join(["length,width,species", *rows, ""]).encode()


@dataclass(slots=True)
class _Probe:
    """One probe under way: what it made, and how far it is."""

    client: Client
    store: Store
    package: Package
    made: cleanup.ProbeRun
    started_ms: int
    prepared: bool = False
    seen: tuple[str, ...] = ()
    records_due: float = 0.0
    ended: Activation | None = None
    step: Step = "preprocess"

    def train(self, most: float, progress: Progress) -> Finding:
        """Start the pipeline and watch it until it ends, or makes no progress."""
        self._start()
        started = moved = time.monotonic()
        while self.ended is None:
            now = time.monotonic()
            if self._advance():
                moved = now
            if now - moved > IDLE_S or now - started > most:
                return self._stuck(now - moved)
            progress(
                f"{NAME}: {_DOING[self.step]}", now - started, min(most, moved - started + IDLE_S)
            )
            time.sleep(_POLL_S)
        return self._conclude(self.ended, time.monotonic() - started)

    def _start(self) -> None:
        from whisktrain.data.sources.uploads import put_upload

        name = self.made.name
        self.made.upload = put_upload(self.store, _table(name), f"{name}.csv")
        request = {
            "data": {"source": self.made.upload, "target": "species"},
            "model": "linear",
            "train": {"key": name, "name": name, "workers": 1, "rounds": ROUNDS, "batch": "full"},
            "predict": {"rows": [{"length": 1.0, "width": 2.0}]},
            "lib_version": __version__,
        }
        self.made.activation = self.client.start(f"{self.package.name}/pipeline", request)

    def _conclude(self, record: Activation, seconds: float) -> Finding:
        if not record.succeeded:
            return self._failure(record)
        answer = record.result if isinstance(record.result, dict) else {}
        if answer.get("status") == "completed" and answer.get("decisions"):
            return passed(
                NAME,
                f"trained and decided in {seconds:.1f} s: preprocess, {ROUNDS} rounds, predict",
            )
        error = _error_of(answer)
        detail = f"ended as {answer.get('status')!r}: {error.get('message') or str(answer)[:200]}"
        return failed(
            NAME, detail, str(error.get("hint") or "") or f"wsk activation get {record.id}"
        )

    def _advance(self) -> bool:
        """Look at the store and the records; whether the run is further than before."""
        self.step, seen = self._stored_step()
        now = time.monotonic()
        if now >= self.records_due:
            self.records_due = now + _RECORDS_S
            self.ended = self.client.activation(self.made.activation)
            if self.step == "preprocess" and self._preprocess_ended():
                self.step, seen = "train", ("train",)
        moved, self.seen = seen != self.seen, seen
        return moved

    def _stored_step(self) -> tuple[Step, tuple[str, ...]]:
        """The step that the store's documents show, and what changes with every progress."""
        run = self.made.run(self.store)
        records = RunRecords(self.store, run)
        state = records.read()
        if state is not None:
            self.prepared = True
            step = _step_of_run(records, state)
            return step, (step, state.rev)
        if self.prepared or RunArchive(self.store, run).summary() is not None:
            self.prepared = True
            return "predict", ("predict",)
        step = "train" if self.step == "train" else "preprocess"
        return step, (step,)

    def _preprocess_ended(self) -> bool:
        """Whether preprocess has a record; the record names the sequence as its cause."""
        rows = self.client.activations(name=f"{self.package.name}/preprocess", limit=10)
        return any(row.cause == self.made.activation for row in rows)

    def _failure(self, record: Activation) -> Finding:
        """The pipeline failed: which of its actions, and why."""
        explained = self.client.explain(record)
        where = explained.name if explained.kind != "sequence" else "pipeline"
        text, diagnosis = explain_failure(explained, self.package.action(where))
        known = failure_of(explained)
        hint = diagnosis.hint if known.code == "action_failed" or not known.hint else known.hint
        return failed(NAME, f"stopped in {where}: {text} (activation {explained.id})", hint)

    def _stuck(self, idle: float) -> Finding:
        """No progress any more: where it stopped, and as far as it shows, why."""
        since = f"nothing has happened for {idle:.0f} s"
        if self.step in ("fire", "aggregate", "finish"):
            return self._no_aggregate(since)
        if self.step == "worker" and (failure := self._worker_failure()) is not None:
            text, hint = failure
            return failed(NAME, f"stopped at the worker: {text}", hint)
        entry = self.package.action(self.step)
        hint = (
            no_container(entry.limits.get("memory", 512), entry.image)
            if entry
            else no_container(512)
        )
        return failed(NAME, f"stopped at {self.step}: {_STUCK[self.step]}; {since}", hint)

    def _no_aggregate(self, since: str) -> Finding:
        start = start_for(self.client, self.package, self.made.run(self.store))
        if start is None:
            return failed(
                NAME,
                f"stopped before the aggregate: the follower did not fire; {since}",
                START_FOLLOWER,
            )
        if start.error:
            what = f"the follower fired, but the rule did not start {start.action}: {start.error}"
            return failed(
                NAME,
                f"stopped before the aggregate: {what}",
                diagnose(start.error, action=start.action_name).hint,
            )
        record = self.client.activation(start.activation)
        entry = self.package.action(start.action_name)
        if record is not None and not record.succeeded:
            text, diagnosis = explain_failure(record, entry)
            return failed(
                NAME, f"stopped in the aggregate: {text} (activation {record.id})", diagnosis.hint
            )
        what = f"it was started (activation {start.activation}) and does not go on; {since}"
        hint = no_container(entry.limits.get("memory", 256) if entry else 256)
        return failed(NAME, f"stopped at the aggregate: {what}", hint)

    def _worker_failure(self) -> tuple[str, str] | None:
        """Message and hint of the worker's failure: from its own document, else from its last activation's record."""
        for failure in RunRecords(self.store, self.made.run(self.store)).failures():
            return failure.error["message"], failure.error[
                "hint"
            ] or "See `wsk activation list worker`."
        entry = self.package.action("worker")
        for last in self.client.activations(name=f"{self.package.name}/worker", limit=1):
            if not last.succeeded and last.start >= self.started_ms - _CLOCK_SKEW_MS:
                text, diagnosis = explain_failure(self.client.activation(last.id) or last, entry)
                return f"{text} (activation {last.id})", diagnosis.hint
        return None


def _step_of_run(records: RunRecords, state: RunState) -> Step:
    """The step that an open run is at."""
    if state.final:
        return "finish"
    if state.round == 0:
        return "fire" if records.built(state) or records.has_failures(0) else "worker"
    return "aggregate" if records.shards(state.round) else "worker"


def _error_of(answer: JsonObject) -> JsonObject:
    """The error record in a pipeline's answer; empty without one."""
    error = answer.get("decisions_error") or answer.get("error")
    return error if isinstance(error, dict) else {}
