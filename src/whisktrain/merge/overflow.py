"""Why merged parameters are not finite: the worker whose update made them so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from whisktrain.spec import Contribution
from whisktrain.tensors import all_finite

__all__ = ["overflow_cause"]


def overflow_cause(shards: Sequence[int], contributions: Sequence[Contribution]) -> str:
    """A sentence that names the worker whose numbers made a merge overflow.

    Args:
        shards: The shard of each contribution.
        contributions: What was merged.

    Returns:
        The worker whose update is not finite itself; else the one with the largest number, which the sum or the optimizer's
        step could not hold.
    """
    for shard, contribution in zip(shards, contributions, strict=True):
        broken = [n for n, t in contribution.tensors.items() if not all_finite([t])]
        if broken:
            return f"the update of worker {shard} is not finite in {broken[0]}."
    largest = max(_largest(shards, contributions), default=None)
    if largest is None:
        return "no update holds a tensor."
    value, shard, name = largest
    return (
        f"every update was finite, the largest number ({value:.3g} in {name}) came from worker {shard}, "
        "and the step with it overflowed."
    )


def _largest(
    shards: Sequence[int], contributions: Sequence[Contribution]
) -> Iterator[tuple[float, int, str]]:
    """The largest number of each tensor of each contribution, with its shard and name."""
    for shard, contribution in zip(shards, contributions, strict=True):
        for name, tensor in contribution.tensors.items():
            if tensor.size and np.issubdtype(tensor.dtype, np.floating):
                yield float(np.abs(tensor).max()), shard, name
