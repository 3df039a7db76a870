"""A run that needs an aggregate and gets none, because a rule, a trigger or the follower is missing: it ends with that reason.

Who waits for the run notices: a worker after its part of the round, and the train stage. The platform says what is missing, and
an aggregate that is invoked directly ends the run.
"""

from __future__ import annotations

import time

from whisktrain.errors import PlatformError
from whisktrain.records.failures import MERGE, Failure
from whisktrain.records.registrations import Registrations
from whisktrain.records.run import RunState
from whisktrain.records.run_records import RunRecords
from whisktrain.rounds.invoker import Invoker
from whisktrain.rounds.presence import present
from whisktrain.rules.timeouts import Timeouts
from whisktrain.rules.verdict import judge

__all__ = ["end_if_stranded"]


def end_if_stranded(
    records: RunRecords, invoker: Invoker, state: RunState, since: float, timeouts: Timeouts
) -> bool:
    """End a run that has needed an aggregate for a while, where the platform says why none came.

    Args:
        records: The run's documents.
        invoker: Knows the platform, and starts the aggregate.
        state: The run, which has not changed since then.
        since: Since when nothing has moved, in seconds of the epoch.
        timeouts: The protocol's times.

    Returns:
        Whether it was ended.
    """
    if state.final or not _needs_aggregate(records, state, since, timeouts):
        return False
    try:
        fault = invoker.wake_up_fault(Registrations(records.store).active(), since)
        if fault is None:
            return False
        known = [f.attempt for f in records.failures(state.round) if f.shard == MERGE]
        attempt = max(known, default=0) + 1
        failure = Failure(MERGE, attempt, fault.to_record(), fatal=True, written=time.time())
        records.put_failure(state.round, failure)
        invoker.invoke("aggregate", {"run": state.run})
    except PlatformError:
        return False  # it does not answer: asked again later
    return True


def _needs_aggregate(
    records: RunRecords, state: RunState, since: float, timeouts: Timeouts
) -> bool:
    """Whether the run has needed an aggregate since then: its round was complete, or something of it overdue."""
    failures = records.failures(state.round)
    return judge(state, present(records, state), failures, since, timeouts).kind != "waiting"
