"""Which slot serves which shard, and what a round needs before it may close. Pure."""

from __future__ import annotations

from collections.abc import Collection

__all__ = ["expected", "missing", "owned", "slot_of"]


def owned(slot: int, slots: int, shards: int) -> tuple[int, ...]:
    """The shards that a slot serves: k with k mod W = slot."""
    return tuple(range(slot, shards, slots)) if slot < slots else ()


def slot_of(shard: int, slots: int) -> int:
    """The slot that serves a shard."""
    return shard % slots


def expected(round_: int, shards: int) -> frozenset[int]:
    """What a round must have before it may close: every shard; round 0: {0}, the one model."""
    return frozenset(range(shards)) if round_ else frozenset({0})


def missing(round_: int, shards: int, present: Collection[int]) -> tuple[int, ...]:
    """What a round lacks, ascending: computed from the expected set, never from a count."""
    return tuple(sorted(expected(round_, shards) - set(present)))
