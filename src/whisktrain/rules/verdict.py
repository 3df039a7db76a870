"""The verdict on an open round: complete, waiting, to be invoked again, or failed. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from whisktrain.errors import ErrorRecord
from whisktrain.records.failures import MERGE, REFUSED, Failure
from whisktrain.records.run import RunState, Start
from whisktrain.rules.assignment import missing, slot_of
from whisktrain.rules.timeouts import Timeouts, overdue_after

__all__ = [
    "LOST",
    "NOT_REACHED",
    "OUT_OF_MEMORY",
    "Verdict",
    "failure_sentence",
    "judge",
    "lost_error",
]

LOST = "worker_lost"
"""The code of a worker that wrote nothing."""

OUT_OF_MEMORY = "out_of_memory"
"""The code of a worker that was killed because it took more memory than it may."""

_LOST_CODES = (LOST, "worker_refused")
"""The codes that an aggregate writes for a worker that could not write anything itself."""

_LOST_HINT = "Give the worker action more memory or time, or use fewer workers."

NOT_REACHED = ("no_follower", "no_rule", "no_trigger", "rule_inactive")
"""The codes of a run that no aggregate came for."""

_CLOCK_STEP = 0.001
"""Times in documents are rounded to milliseconds."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of judging an open round.

    Attributes:
        kind: "complete"; "waiting"; "again": something has to be invoked again; "exhausted": the run has failed.
        missing: What the round lacks.
        attempts: How often each missing shard has failed so far, where it has.
        overdue: Missing shards whose worker wrote nothing in time, or is known to have ended: their failure is due.
        unanswered: Missing shards whose newest failure has not been followed by an invocation.
        until: When the next of the rest becomes overdue, in seconds of the epoch.
        cause: The failure to report, where the run has failed.
        refused: The platform's answer where it refused to start the newest attempt at a missing shard.
    """

    kind: Literal["complete", "waiting", "again", "exhausted"]
    missing: tuple[int, ...] = ()
    attempts: Mapping[int, int] = field(default_factory=dict)
    overdue: tuple[int, ...] = ()
    unanswered: tuple[int, ...] = ()
    until: float = 0.0
    cause: Failure | None = None
    refused: Mapping[int, ErrorRecord] = field(default_factory=dict)


def judge(  # noqa: PLR0917 - what a verdict follows from
    state: RunState,
    present: Collection[int],
    failures: Sequence[Failure],
    now: float,
    timeouts: Timeouts,
    lost: Collection[int] = (),
) -> Verdict:
    """Judge the open round by what the store holds of it (A2).

    Args:
        state: The run.
        present: Shards with an update (round 0: `{0}` once the first parameters are there).
        failures: The round's failures, in the order in which they happened.
        now: Seconds of the epoch.
        timeouts: The protocol's times.
        lost: Missing shards whose activation, as the platform says, has ended.
    """
    lacking = missing(state.round, state.spec.shards, present)
    attempted = [f for f in failures if f.attempt != REFUSED]
    cause = _fatal_cause(state, lacking, attempted)
    if cause is not None:
        return Verdict("exhausted", lacking, cause=cause)
    if not lacking:
        return Verdict("complete")
    attempts = _attempts(lacking, attempted)
    if any(n >= state.spec.attempts for n in attempts.values()):
        return Verdict("exhausted", lacking, attempts, cause=_first_cause(lacking, attempted))
    since = {shard: _started(state, attempted, shard) for shard in lacking}
    ends = {
        shard: since[shard] + _limit(state, shard, attempts.get(shard, 0), timeouts)
        for shard in lacking
    }
    unanswered = _unanswered(state, attempted, attempts, now)
    overdue = tuple(k for k in lacking if k not in unanswered and (k in lost or now >= ends[k]))
    return Verdict(
        kind="again" if overdue or unanswered else "waiting",
        missing=lacking,
        attempts=attempts,
        overdue=overdue,
        unanswered=unanswered,
        until=now if overdue or unanswered else min(ends.values()),
        refused=_refusals(failures, since),
    )


def _limit(state: RunState, shard: int, attempts: int, timeouts: Timeouts) -> float:
    """Seconds after which a shard is overdue at its next attempt."""
    slot = _slot(state, shard)
    starting = attempts > 0 or slot in state.starts or not state.spec.lease
    return overdue_after(state, timeouts, starting=starting) * 2.0**attempts


def _unanswered(
    state: RunState, failures: Iterable[Failure], attempts: Mapping[int, int], now: float
) -> tuple[int, ...]:
    """The missing shards whose newest failure is newer than the newest invocation of their slot."""
    newest = {f.shard: f.written for f in failures if f.attempt == attempts.get(f.shard)}
    never = Start(0.0)
    return tuple(
        shard
        for shard, written in sorted(newest.items())
        if written <= now
        and state.starts.get(_slot(state, shard), never).at + _CLOCK_STEP < written
    )


def _slot(state: RunState, shard: int) -> int:
    return slot_of(shard, state.spec.slots) if state.round else 0


def _fatal_cause(
    state: RunState, lacking: Collection[int], failures: Iterable[Failure]
) -> Failure | None:
    """A failure that ends the run at once: one that would repeat itself, or the merge's last attempt."""
    relevant = [f for f in failures if f.shard in lacking or f.shard == MERGE]
    of_merge = [f for f in relevant if f.shard == MERGE]
    fatal = next((f for f in relevant if f.fatal), None)
    if fatal is None and len(of_merge) >= state.spec.attempts:
        return of_merge[0]
    return fatal


def _attempts(lacking: Iterable[int], failures: Sequence[Failure]) -> dict[int, int]:
    """The newest attempt at each missing shard, where there was one."""
    newest: dict[int, int] = {}
    for shard in lacking:
        numbers = [f.attempt for f in failures if f.shard == shard]
        if numbers:
            newest[shard] = max(numbers)
    return newest


def _refusals(failures: Iterable[Failure], since: Mapping[int, float]) -> dict[int, ErrorRecord]:
    """The platform's answer for each missing shard whose newest attempt it refused to start."""
    refused = (f for f in failures if f.attempt == REFUSED and f.shard in since)
    return {f.shard: f.error for f in refused if f.written + _CLOCK_STEP >= since[f.shard]}


def _started(state: RunState, failures: Iterable[Failure], shard: int) -> float:
    """When the newest attempt at a shard could start: at the round's opening, its slot's invocation, or after a failure."""
    start = state.starts.get(_slot(state, shard))
    invoked = start.at if start is not None else 0.0
    return max([state.opened, invoked, *(f.written for f in failures if f.shard == shard)])


def _first_cause(lacking: Collection[int], attempted: Iterable[Failure]) -> Failure:
    """The failure to report: the first that a worker wrote itself, else the first refusal of the platform, else the first."""
    failures = [f for f in attempted if f.shard in lacking]
    own = [f for f in failures if f.error.get("code") not in _LOST_CODES]
    refused = [f for f in failures if f.error.get("code") == "worker_refused"]
    return [*own, *refused, *failures][0]


def lost_error(
    shard: int,
    state: RunState,
    refusal: ErrorRecord | None,
    ended: ErrorRecord | None = None,
) -> ErrorRecord:
    """The failure of a worker that left neither an update nor a failure document.

    Args:
        shard: Its shard.
        state: The run.
        refusal: The platform's answer, where it refused to start the worker.
        ended: What the platform says of the activation's end, where it has a record of it.
    """
    what = (
        "The model was not built"
        if state.phase == "build"
        else f"There was no update of shard {shard}"
    )
    if ended is not None:
        return {
            "code": OUT_OF_MEMORY if ended["code"] == OUT_OF_MEMORY else LOST,
            "message": f"{what}: {ended['message']}",
            "hint": ended["hint"] or _LOST_HINT,
            "retryable": True,
        }
    if refusal is not None:
        why = f"the platform did not start its activation: {refusal.get('message', 'it gave no reason')}"
        hint = refusal.get("hint") or "See what the platform's log says."
        return {
            "code": "worker_refused",
            "message": f"{what} in time; {why}",
            "hint": hint,
            "retryable": True,
        }
    return {
        "code": LOST,
        "message": f"{what} in time; its activation was killed, or never started.",
        "hint": _LOST_HINT,
        "retryable": True,
    }


def failure_sentence(cause: Failure, state: RunState) -> str:
    """One sentence that names the first failing worker; where the deployment is wrong, none is to blame."""
    if cause.error.get("code") == "too_little_memory":
        return cause.error["message"]
    what = {"build": "building the model", "train": "training", "evaluate": "evaluating"}[
        state.phase
    ]
    if cause.error.get("code") in NOT_REACHED:
        return str(cause.error["message"])
    if cause.shard == MERGE:
        who = "The aggregate failed"
    elif state.phase == "build":
        who = "Worker 0 failed"
    else:
        who = f"Worker {cause.shard} failed"
    again = f" at attempt {cause.attempt}" if cause.attempt > 1 else ""
    return f"{who} while {what} in round {state.round}{again}: {cause.error.get('message', 'unknown failure')}"
