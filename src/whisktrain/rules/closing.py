"""The rules of the protocol: who is expected, when a round may close, who is overdue, what may be deleted. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from whisktrain.errors import ErrorRecord
from whisktrain.records import round_times
from whisktrain.records.failures import Failure
from whisktrain.records.ids import DocumentId
from whisktrain.records.run import RunState
from whisktrain.rules import batches
from whisktrain.rules.timeouts import Timeouts
from whisktrain.spec import Spec

__all__ = [
    "LOST",
    "MERGE",
    "REFUSED",
    "Verdict",
    "backup_delay",
    "dead_slots",
    "deletable",
    "expected",
    "failure_sentence",
    "is_mine",
    "judge",
    "leases_after",
    "lost_error",
    "missing",
    "overdue_after",
    "owned",
    "slot_of",
    "sweepable",
]

MERGE = -1
"""Stands for the merge where failures name a shard."""

REFUSED = 0
"""Stands for no attempt at all where failures count them: the platform did not start the worker."""

LOST = ("worker_lost", "worker_refused")
"""What an aggregate says of a worker that could not say anything itself."""


def owned(slot: int, slots: int, shards: int) -> tuple[int, ...]:
    """The shards that a slot serves: k with k mod W = slot."""
    return tuple(range(slot, shards, slots)) if slot < slots else ()


def slot_of(shard: int, slots: int) -> int:
    """The slot that serves a shard."""
    return shard % slots


def expected(round_: int, shards: int) -> frozenset[int]:
    """What a round must have before it may close; round 0: the one model."""
    return frozenset(range(shards)) if round_ else frozenset({0})


def missing(round_: int, shards: int, present: Collection[int]) -> tuple[int, ...]:
    """What a round lacks, ascending: over the expected set, never a count."""
    return tuple(sorted(expected(round_, shards) - set(present)))


def is_mine(found: tuple[str, int] | None, nonce: str, round_: int) -> bool:
    """A6: whether a swap whose answer is unknown was this execution's: nonce and round must both be its own."""
    return found == (nonce, round_)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a look at the open round says.

    Attributes:
        kind: "complete"; "waiting"; "again": something has to be invoked again; "exhausted": the run has failed.
        missing: What the round lacks.
        attempts: How often each missing shard failed so far, where it did.
        overdue: Missing shards whose worker left no word: their failure document is due.
        until: When the next of the rest becomes overdue, in seconds of the epoch.
        cause: The failure to name, where the run has failed.
        refused: What the platform answered where it did not start the newest attempt at a missing shard: error records.
    """

    kind: Literal["complete", "waiting", "again", "exhausted"]
    missing: tuple[int, ...] = ()
    attempts: Mapping[int, int] = field(default_factory=dict)
    overdue: tuple[int, ...] = ()
    until: float = 0.0
    cause: Failure | None = None
    refused: Mapping[int, ErrorRecord] = field(default_factory=dict)


def judge(state: RunState, present: Collection[int], failures: Sequence[Failure], now: float, pace: Timeouts) -> Verdict:
    """A2: judge the open round by what the store holds of it.

    Args:
        state: The run.
        present: Shards with an update (round 0: `{0}` once the first parameters are there).
        failures: The round's failures, in the order in which they happened.
        now: Seconds of the epoch.
        pace: How long things may take.
    """
    lacking = missing(state.round, state.spec.shards, present)
    refusals, failures = [f for f in failures if f.attempt == REFUSED], [f for f in failures if f.attempt != REFUSED]
    merge_failed = [f for f in failures if f.shard == MERGE]
    fatal = next((f for f in failures if f.fatal and (f.shard in lacking or f.shard == MERGE)), None)
    if fatal is not None or len(merge_failed) >= state.spec.attempts:
        return Verdict("exhausted", lacking, cause=fatal or merge_failed[0])
    if not lacking:
        return Verdict("complete")
    attempts = {k: max(f.attempt for f in failures if f.shard == k) for k in lacking if any(f.shard == k for f in failures)}
    if any(n >= state.spec.attempts for n in attempts.values()):
        return Verdict("exhausted", lacking, attempts, cause=_telling([f for f in failures if f.shard in lacking]))
    limit = overdue_after(state, pace)
    since = {k: max([state.opened, *(f.written for f in failures if f.shard == k)]) for k in lacking}
    ends = {k: since[k] + limit * (2 if attempts.get(k) else 1) for k in lacking}
    overdue = tuple(k for k in lacking if now >= ends[k])
    refused = {f.shard: f.error for f in refusals if f.shard in lacking and f.written + 0.001 >= since[f.shard]}
    until = min(ends.values()) if not overdue else now
    return Verdict("again" if overdue else "waiting", lacking, attempts, overdue, until, refused=refused)


def _telling(failures: Sequence[Failure]) -> Failure:
    """The first failure that a worker told itself; else the first that the platform is to blame for; else the first."""
    codes = [str(f.error.get("code")) for f in failures]
    told = [f for f, code in zip(failures, codes, strict=True) if code not in LOST]
    return [*told, *(f for f, code in zip(failures, codes, strict=True) if code == "worker_refused"), *failures][0]


def lost_error(shard: int, state: RunState, refusal: ErrorRecord | None) -> ErrorRecord:
    """The failure of a worker that left neither an update nor a failure document."""
    what = "The model was not built" if state.phase == "build" else f"There was no update of shard {shard}"
    if refusal is not None:
        why = f"the platform did not start its activation: {refusal.get('message', 'it did not say why')}"
        hint = refusal.get("hint") or "See what the platform's log says."
        return {"code": "worker_refused", "message": f"{what} in time; {why}", "hint": hint, "retryable": True}
    return {
        "code": "worker_lost",
        "message": f"{what} in time; its activation was killed, or never started.",
        "hint": "Give the worker action more memory or time, or use fewer workers.",
        "retryable": True,
    }


def overdue_after(state: RunState, pace: Timeouts) -> float:
    """Seconds after which a shard without an update is overdue at its first attempt; at further ones it is twice that."""
    spec = state.spec
    if state.phase == "build":
        return pace.build
    ordinary = state.phase == "train" and not batches.validates(spec, state.round, "train")
    # By the median: one round that somebody was killed in must not make the next one wait longer still.
    usual = round_times.quantile(state.timing, 0.5)
    if ordinary and usual is not None and round_times.count(state.timing) >= pace.known:
        return max(pace.least, pace.factor * usual / 1000)
    return pace.first * -(-spec.shards // spec.slots)


def backup_delay(state: RunState, pace: Timeouts) -> float:
    """W5: seconds that an idle leased worker waits before it computes missing shards of others."""
    median = round_times.quantile(state.timing, 0.5)
    if state.phase == "train" and median is not None and round_times.count(state.timing) >= pace.known:
        return max(pace.backup, pace.backup_factor * median / 1000)
    return max(pace.backup, pace.backup_first)


def leases_after(spec: Spec, leases: Mapping[int, float], wrote: Mapping[int, tuple[int, float]]) -> dict[int, float]:
    """The slots' leases after a round.

    A slot whose shards were all computed by others is taken for dead: its lease is dropped, so that it is invoked again.

    Args:
        spec: The plan.
        leases: The leases known before.
        wrote: For each merged shard, the slot that wrote its update and the end of that writer's lease.
    """
    known = dict(leases)
    for slot in range(spec.slots):
        own = [end for k, (writer, end) in wrote.items() if writer == slot and slot_of(k, spec.slots) == slot]
        known[slot] = max(own, default=0.0)
    return {slot: end for slot, end in known.items() if end > 0}


def dead_slots(spec: Spec, leases: Mapping[int, float], now: float, pace: Timeouts) -> tuple[int, ...]:
    """A7: the slots to invoke: those without a live lease. One that ended just now has handed over to its successor."""
    return tuple(s for s in range(spec.slots) if leases.get(s, 0.0) + pace.hand_over <= now)


def deletable(ids: Iterable[str], state: RunState) -> list[str]:
    """A9: which of a run's documents may go once the moments of the open round are durable.

    Updates, moments and params of rounds before the open one, except what is pinned; failures stay until the run ends.
    """
    found = ((id_, DocumentId.parse(id_)) for id_ in ids)
    return [
        id_
        for id_, at in found
        if at is not None
        and at.run == state.run
        and at.kind in ("update", "params", "moments")
        and at.round is not None
        and at.round < state.round
        and id_ not in state.pinned
    ]


def sweepable(ids: Iterable[str], run: str, state: RunState | None) -> list[str]:
    """SWEEP: which of the documents found may go, whoever wrote them and however late.

    Args:
        ids: Documents of the run, all that a listing from before the state was read has shown.
        run: The run's id.
        state: The run; None where it is absent: then everything may go. While it is final, nothing.
    """
    mine = [(id_, at) for id_ in ids if (at := DocumentId.parse(id_)) is not None and at.run == run and at.kind != "run"]
    if state is None:
        return [id_ for id_, _ in mine]
    if state.final:
        return []
    newest = max((at.round for _, at in mine if at.kind == "moments" and at.round is not None), default=state.spec.first_round)
    floor = min(newest, state.round)
    return [
        id_
        for id_, at in mine
        if at.kind in ("update", "params", "moments") and at.round is not None and at.round < floor and id_ not in state.pinned
    ]


def failure_sentence(cause: Failure, state: RunState) -> str:
    """One sentence that names the first failing worker."""
    what = {"build": "building the model", "train": "training", "evaluate": "evaluating"}[state.phase]
    if cause.shard == MERGE:
        who = "The aggregate failed"
    elif state.phase == "build":
        who = "Worker 0 failed"
    else:
        who = f"Worker {cause.shard} failed"
    again = f" at attempt {cause.attempt}" if cause.attempt > 1 else ""
    return f"{who} while {what} in round {state.round}{again}: {cause.error.get('message', 'unknown failure')}"
