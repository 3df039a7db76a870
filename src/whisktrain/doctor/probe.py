"""The end-to-end probe: a tiny model through the whole pipeline, watched step by step, and removed again."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from whisktrain import __version__
from whisktrain.doctor import cleaning
from whisktrain.doctor.finding import Finding, Tell, failed
from whisktrain.doctor.following import fired_for
from whisktrain.doctor.records import describe
from whisktrain.doctor.remedies import FOLLOW, remedy, room
from whisktrain.errors import WhisktrainError
from whisktrain.openwhisk.client import Client
from whisktrain.openwhisk.client.activation import Activation, failure_of
from whisktrain.openwhisk.limits import Limits
from whisktrain.openwhisk.manifest import Package
from whisktrain.records import ids

if TYPE_CHECKING:
    from whisktrain.store.protocol import Store

__all__ = ["check_end_to_end", "most_seconds"]

NAME = "end to end"
IDLE_S = 60.0
"""Seconds without any progress after which the probe is given up."""
ROUNDS = 3
_LOOK_S = 0.4
_RECORDS_S = 1.2
_SPECIES = 3


@dataclass(slots=True)
class _Probe:
    """One probe under way."""

    client: Client
    store: Store
    package: Package
    made: cleaning.Made
    began_ms: int
    prepared: bool = False
    seen: tuple[Any, ...] = ()
    records_at: float = 0.0
    ended: Activation | None = None
    step: str = "preprocess"
    places: dict[str, str] = field(default_factory=dict)


def most_seconds(limits: Limits) -> float:
    """How long the probe may take: as long as one activation; without progress, `IDLE_S`."""
    return max(limits.max_duration_s, IDLE_S)


def check_end_to_end(client: Client, store: Store, package: Package, limits: Limits, tell: Tell) -> Finding:
    """Train and ask a tiny model; say where it stopped if it does; leave nothing behind, also when interrupted.

    Args:
        client: The platform.
        store: The deployment's store.
        package: What is deployed.
        limits: What the platform allows.
        tell: Told how it goes.
    """
    name = f"doctor-{uuid.uuid4().hex[:8]}"
    made = cleaning.Made(run=name, name=name)
    probe = _Probe(client, store, package, made, int(time.time() * 1000))
    orderly = True
    try:
        finding = _train(probe, most_seconds(limits), tell)
        orderly = finding.ok
        return finding
    except WhisktrainError as error:
        orderly = False
        return failed(NAME, error)
    finally:
        cleaning.clean(client, store, made, orderly=orderly, tell=tell)


def _train(probe: _Probe, most: float, tell: Tell) -> Finding:
    from whisktrain.data.sources.uploads import put_upload

    name = probe.made.name
    probe.made.upload = put_upload(probe.store, _table(name), f"{name}.csv")
    request = {
        "data": {"source": probe.made.upload, "target": "species"},
        "model": "linear",
        "train": {"key": name, "name": name, "workers": 1, "rounds": ROUNDS, "batch": "full"},
        "predict": {"rows": [{"length": 1.0, "width": 2.0}]},
        "lib_version": __version__,
    }
    probe.made.activation = probe.client.start(f"{probe.package.name}/pipeline", request)
    begun = moved = time.monotonic()
    while probe.ended is None:
        now = time.monotonic()
        if _look(probe):
            moved = now
        if now - moved > IDLE_S or now - begun > most:
            return _stuck(probe, now - moved)
        tell(f"{NAME}: {_doing(probe)}", now - begun, min(most, moved - begun + IDLE_S))
        time.sleep(_LOOK_S)
    record = probe.ended
    if not record.succeeded:
        return _refused(probe, record)
    answer = record.result if isinstance(record.result, dict) else {}
    if answer.get("status") != "completed" or not answer.get("decisions"):
        why = answer.get("decisions_error") or answer.get("error") or {}
        detail = f"ended as {answer.get('status')!r}: {why.get('message') or str(answer)[:200]}"
        return Finding(NAME, ok=False, detail=detail, fix=str(why.get("hint") or "") or f"wsk activation get {record.id}")
    seconds = time.monotonic() - begun
    return Finding(NAME, ok=True, detail=f"trained and decided in {seconds:.1f} s: preprocess, {ROUNDS} rounds, predict")


def _table(name: str) -> bytes:
    """Three kinds that are far apart; their labels are this probe's own, and so its data set is."""
    rows = [f"{k + n / 10},{2 * k - n / 10},{name}-{k}" for n in range(10) for k in range(_SPECIES)]
    return "\n".join(["length,width,species", *rows, ""]).encode()


def _look(probe: _Probe) -> bool:
    """See how far it is; whether that is further than before."""
    run, store, now = probe.made.run, probe.store, time.monotonic()
    found = store.rounds.get(ids.run(run))
    if found is not None:
        probe.prepared, body = True, found.body
        round_ = int(body["round"])
        if body["status"] != "running":
            step = "finish"
        elif round_ == 0:
            built = bool(store.rounds.list(f"params:{run}:", bodies=False))
            failures = len(store.rounds.list(f"failure:{run}:", bodies=False))
            step = "fire" if built or failures else "worker"
        else:
            given = bool(store.rounds.list(ids.updates_of_round(run, round_), bodies=False))
            step = "aggregate" if given else "worker"
        seen: tuple[Any, ...] = (step, found.rev)
    elif probe.prepared or store.library.get(ids.summary(run)) is not None:
        probe.prepared, step = True, "predict"
        seen = (step,)
    else:
        step = "train" if probe.step == "train" else "preprocess"
        seen = (step,)
    if now >= probe.records_at:
        probe.records_at = now + _RECORDS_S
        probe.ended = probe.client.activation(probe.made.activation)
        if step == "preprocess" and _prepared(probe):
            step, seen = "train", ("train",)
    probe.step = step
    moved, probe.seen = seen != probe.seen, seen
    return moved


def _prepared(probe: _Probe) -> bool:
    """Whether preprocess has ended: its record names the sequence as its cause."""
    rows = probe.client.activations(name=f"{probe.package.name}/preprocess", limit=10)
    return any(row.cause == probe.made.activation for row in rows)


def _doing(probe: _Probe) -> str:
    return {
        "preprocess": "preprocess makes the shards",
        "train": "train opens the run",
        "worker": "a worker computes",
        "fire": "the follower fires, an aggregate starts",
        "aggregate": "the aggregate merges",
        "finish": "the aggregate publishes the model",
        "predict": "predict decides",
    }[probe.step]


def _refused(probe: _Probe, record: Activation) -> Finding:
    """The pipeline failed: which of its actions, and why."""
    explained = probe.client.explain(record)
    where = explained.name if explained.kind != "sequence" else "pipeline"
    entry = probe.package.action(where)
    text, cure = describe(explained, entry)
    known = failure_of(explained)
    fix = cure.fix if known.code == "action_failed" or not known.hint else known.hint
    return Finding(NAME, ok=False, detail=f"stopped in {where}: {text} (activation {explained.id})", fix=fix)


def _stuck(probe: _Probe, idle: float) -> Finding:
    """Nothing happens any more: where it stopped, and as far as it shows, why."""
    since = f"nothing has happened for {idle:.0f} s"
    if probe.step in ("fire", "aggregate", "finish"):
        return _no_aggregate(probe, since)
    failure = _worker_failure(probe)
    what = {
        "preprocess": "preprocess has not ended",
        "train": "preprocess has ended, train did not open the run",
        "worker": "the run is open, the worker did not start or does not end",
        "predict": "the model is trained, predict has not answered",
    }[probe.step]
    if failure is not None and probe.step == "worker":
        return Finding(NAME, ok=False, detail=f"stopped at the worker: {failure[0]}", fix=failure[1])
    entry = probe.package.action(probe.step)
    fix = room(entry.limits.get("memory", 512) if entry else 512, entry.image if entry else "")
    return Finding(NAME, ok=False, detail=f"stopped at {probe.step}: {what}; {since}", fix=fix)


def _no_aggregate(probe: _Probe, since: str) -> Finding:
    start = fired_for(probe.client, probe.package, probe.made.run)
    if start is None:
        detail = f"stopped before the aggregate: the follower did not fire; {since}"
        return Finding(NAME, ok=False, detail=detail, fix=FOLLOW)
    short = start.action.rpartition("/")[2]
    if start.error:
        detail = f"stopped before the aggregate: the follower fired, but the rule did not start {start.action}: {start.error}"
        return Finding(NAME, ok=False, detail=detail, fix=remedy(start.error, action=short).fix)
    record = probe.client.activation(start.activation)
    entry = probe.package.action(short)
    if record is not None and not record.succeeded:
        text, cure = describe(record, entry)
        return Finding(NAME, ok=False, detail=f"stopped in the aggregate: {text} (activation {record.id})", fix=cure.fix)
    detail = f"stopped at the aggregate: it was started (activation {start.activation}) and does not go on; {since}"
    fix = room(entry.limits.get("memory", 256) if entry else 256)
    return Finding(NAME, ok=False, detail=detail, fix=fix)


def _worker_failure(probe: _Probe) -> tuple[str, str] | None:
    """Why the worker failed: as its own document says, else as its last activation's record does."""
    for document in probe.store.rounds.list(f"failure:{probe.made.run}:"):
        error = document.body.get("error") or {}
        return str(error.get("message")), str(error.get("hint") or "See `wsk activation list worker`.")
    entry = probe.package.action("worker")
    for last in probe.client.activations(name=f"{probe.package.name}/worker", limit=1):
        if not last.succeeded and last.start >= probe.began_ms - 60_000:
            text, cure = describe(probe.client.activation(last.id) or last, entry)
            return f"{text} (activation {last.id})", cure.fix
    return None
