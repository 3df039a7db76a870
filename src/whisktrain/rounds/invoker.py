"""Starting activations without waiting for them, side by side; refused ones are recorded."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from whisktrain.errors import PlatformError
from whisktrain.records.failures import REFUSED, Failure
from whisktrain.records.run import RunState
from whisktrain.records.run_records import RunRecords
from whisktrain.rounds.activations import Platform
from whisktrain.rules import assignment

__all__ = ["Invoker", "invoke_workers", "record_start_failure"]

_AT_ONCE = 8


class Invoker(Platform, Protocol):
    """Starts activations of the deployment's actions, and knows which have ended."""

    def invoke(self, action: str, arguments: dict[str, Any]) -> str:
        """Start one activation without waiting for it; bounded retries inside.

        Args:
            action: "worker" or "aggregate".
            arguments: Its arguments: references and numbers.

        Returns:
            The activation's id.

        Raises:
            PlatformError: It could not be started.
        """

    def wake_up_fault(self, triggers: Mapping[str, bool], since: float) -> PlatformError | None:
        """What keeps an aggregate from being started by the follower; None where nothing is known of it.

        Args:
            triggers: Whether each registered trigger is fired, by its full name.
            since: When an aggregate was needed, in seconds of the epoch.

        Raises:
            PlatformError: The platform does not answer.
        """

    def give_memory(self, action: str, megabytes: int) -> None:
        """Raise an action's memory; what starts from now on has it. Only where the host lets a run do that.

        Raises:
            PlatformError: The host refused it.
        """


def invoke_workers(
    records: RunRecords, invoker: Invoker, state: RunState, slots: Sequence[int]
) -> dict[int, str]:
    """Invoke the workers of these slots side by side.

    A refused invocation is no reason to fail: it is recorded, its shards become overdue and the slot is invoked again.

    Returns:
        The activations that were started, by slot.
    """

    def invoke(slot: int) -> str:
        try:
            return invoker.invoke("worker", {"run": state.run, "slot": slot})
        except PlatformError as error:
            record_start_failure(records, state, slot, error)
            return ""

    if len(slots) <= 1:
        started = [invoke(slot) for slot in slots]
    else:
        with ThreadPoolExecutor(min(len(slots), _AT_ONCE), thread_name_prefix="invoke") as pool:
            started = list(pool.map(invoke, slots))
    return {slot: id_ for slot, id_ in zip(slots, started, strict=True) if id_}


def record_start_failure(
    records: RunRecords, state: RunState, slot: int, error: PlatformError
) -> None:
    """Record a rejected invocation as attempt 0 of the slot's shards; the round's first rejection stays."""
    own = assignment.owned(slot, state.spec.slots, state.spec.shards) if state.round else (0,)
    for shard in own:
        records.put_failure(
            state.round, Failure(shard, REFUSED, error.to_record(), written=time.time())
        )
