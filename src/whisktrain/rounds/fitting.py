"""Giving the actions the memory that a run needs, once its model is built and its size is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from whisktrain.errors import PlatformError
from whisktrain.records.run import PlatformFacts, RunState
from whisktrain.records.run_records import RunRecords
from whisktrain.rounds.caches import blueprint_of
from whisktrain.rounds.invoker import Invoker
from whisktrain.rules import memory
from whisktrain.rules.capacity import ActionMemory, workers_within

__all__ = ["fit_memory", "give_memory", "give_more_memory", "slots_within"]


def fit_memory(records: RunRecords, invoker: Invoker, state: RunState) -> RunState:
    """The run with actions that have the memory that its model needs, and as many slots as these leave room for.

    Args:
        records: The run's documents.
        invoker: Raises the memory, where the host allows that.
        state: The run, with its model built.

    Raises:
        ConfigurationError: The actions have too little memory, and only who deployed them can change that.
        PlatformError: The host refused to raise it.
    """
    blueprint = blueprint_of(records)
    if blueprint is None:
        return state
    size = memory.size_of(blueprint.layout)
    facts = give_memory(
        invoker, memory.need_of(state.spec, size, state.platform), size, state.platform
    )
    return replace(
        state, platform=facts, spec=replace(state.spec, slots=slots_within(state.spec.slots, facts))
    )


def give_memory(
    invoker: Invoker, need: memory.Need, size: memory.ModelSize, facts: PlatformFacts
) -> PlatformFacts:
    """Raise the memory of the actions that need more, where the host allows that; what is known of it afterwards.

    Raises:
        ConfigurationError: The actions have too little memory, and only who deployed them can change that.
        PlatformError: The host refused to raise it.
    """
    given = memory.given_memory(need, size, facts)
    before, after = memory.memory_of(facts), memory.memory_of(given)
    for action, megabytes in after.items():
        if megabytes != before[action]:
            invoker.give_memory(action, megabytes)
    return given


def give_more_memory(
    invoker: Invoker, state: RunState, action: Literal["worker", "aggregate"]
) -> RunState:
    """The run with twice the memory for an action, after one was killed for it; as it is where the host does not allow that."""
    facts = memory.doubled(state.platform, action)
    megabytes = memory.memory_of(facts).get(action, 0)
    if megabytes == memory.memory_of(state.platform).get(action, 0):
        return state
    try:
        invoker.give_memory(action, megabytes)
    except PlatformError:
        return state  # the attempts count: the run ends with what is known
    return replace(state, platform=facts)


def slots_within(slots: int, facts: PlatformFacts) -> int:
    """As many of the slots as there is memory for."""
    in_all = facts.get("container_mb")
    if in_all is None:
        return slots
    actions = ActionMemory(**memory.memory_of(facts))
    return max(min(slots, workers_within(in_all, actions)), 1)
