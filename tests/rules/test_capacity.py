"""The slots of a run are planned within what the platform says."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from whisktrain.rules import capacity
from whisktrain.rules.capacity import ActionMemory

MEMORY = ActionMemory(worker=512, aggregate=256, train=256, predict=512)


@dataclass(frozen=True)
class Limits:
    concurrent: int = 30
    invocations_per_minute: int = 60
    memory_mb: int | None = None
    cores: int = 4
    max_duration_s: float = 300.0
    one_machine: bool = False
    actions: ActionMemory = MEMORY


def test_a_standalone_with_its_defaults_has_room_for_one_worker() -> None:
    assert capacity.plan_slots(Limits(memory_mb=1024), 8) == 1
    assert capacity.plan_slots(Limits(memory_mb=6 * 1024), 8) == 8
    assert capacity.plan_slots(Limits(memory_mb=2048), 8) == 3


def test_slots_are_planned_with_the_memory_that_the_actions_have() -> None:
    large = ActionMemory(worker=2048, aggregate=256, train=256, predict=512)
    assert capacity.plan_slots(Limits(memory_mb=6 * 1024, actions=large), 8) == 2
    larger = ActionMemory(worker=2048, aggregate=2048, train=256, predict=512)
    assert capacity.plan_slots(Limits(memory_mb=6 * 1024, actions=larger), 8) == 1


def test_one_machine_serves_no_more_slots_than_it_has_cores() -> None:
    assert capacity.plan_slots(Limits(memory_mb=64 * 1024, cores=2, one_machine=True), 8) == 2
    assert capacity.plan_slots(Limits(memory_mb=64 * 1024, cores=2), 8) == 8
    assert capacity.plan_slots(Limits(memory_mb=64 * 1024, cores=16, one_machine=True), 8) == 8


def test_train_waits_only_where_it_takes_no_place_that_is_needed() -> None:
    """Workers, the aggregate and a successor come first."""
    assert capacity.may_wait(Limits(), capacity.plan_slots(Limits(), 8))
    for concurrent, waits in ((2, False), (3, False), (4, True), (30, True)):
        limits = Limits(concurrent=concurrent)
        assert capacity.may_wait(limits, capacity.plan_slots(limits, 6)) is waits


def test_workers_are_the_smaller_of_cores_and_what_fits() -> None:
    assert capacity.plan_workers(Limits()) == 4
    assert capacity.plan_workers(Limits(memory_mb=1536)) == 2
    assert capacity.plan_workers(Limits(concurrent=6)) == 2
    assert capacity.plan_workers(Limits(cores=1)) == 1


def test_a_lease_is_within_the_longest_duration() -> None:
    assert capacity.plan_lease(Limits(), None) == 225.0
    assert capacity.plan_lease(Limits(max_duration_s=60), None) == 45.0
    assert capacity.plan_lease(Limits(max_duration_s=60), 100.0) == 45.0
    assert capacity.plan_lease(Limits(), 0) == 0.0
    assert capacity.plan_lease(Limits(max_duration_s=3600), None) == 240.0


@given(
    st.builds(
        Limits,
        concurrent=st.integers(1, 200),
        invocations_per_minute=st.integers(1, 10_000),
        memory_mb=st.none() | st.integers(256, 65536),
        cores=st.integers(1, 64),
        actions=st.builds(
            ActionMemory, st.integers(128, 4096), st.integers(128, 4096), st.integers(128, 512)
        ),
    ),
    st.integers(1, 256),
)
def test_a_plan_never_exceeds_the_platform(limits: Limits, shards: int) -> None:
    planned = capacity.plan_slots(limits, shards)
    assert 1 <= planned <= shards
    if planned > 1:
        assert planned + capacity.RESERVED <= limits.concurrent
        assert 2 * planned + 2 <= limits.invocations_per_minute * capacity.SHARE
        if limits.memory_mb is not None:
            memory = limits.actions
            assert planned * memory.worker + memory.aggregate + memory.train <= limits.memory_mb
