"""The plan of a run's rounds: which epoch a round belongs to, and which rows every shard gives to it. Pure.

Gradient mode: an epoch has ceil(rows / batch) steps. After the epoch's permutation within each shard, row j of shard k has
the key (j + 1/2) / n_k; all rows in ascending order of their keys (ties by shard) are the epoch's order, and step s takes
positions [s·batch, (s+1)·batch) of it. So each step draws from every shard in proportion to its size, and all end together.

Local mode: each shard runs through batches of its own permutation; a round is up to K of them, or the epoch's end.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from whisktrain import seeds
from whisktrain.spec import Phase, Spec, Work

__all__ = ["epoch_of", "opens_epoch", "rounds_per_epoch", "validates", "work"]


def rounds_per_epoch(spec: Spec) -> int:
    """Rounds of one pass over the training rows, at least 1."""
    return _rounds_per_epoch(spec.shard_rows, spec.batch, spec.sync == "local", spec.local_steps)


def epoch_of(spec: Spec, round_: int) -> int:
    """The epoch, from 0, that training round `round_` >= 1 belongs to."""
    return (round_ - 1) // rounds_per_epoch(spec)


def opens_epoch(spec: Spec, round_: int) -> bool:
    """Whether the round is the first of an epoch: it starts from the parameters at the end of the epoch before."""
    return (round_ - 1) % rounds_per_epoch(spec) == 0


def validates(spec: Spec, round_: int, phase: Phase) -> bool:
    """Whether workers evaluate the round's starting parameters on the validation rows."""
    return spec.has_validation and (
        phase == "evaluate" or (round_ > 1 and opens_epoch(spec, round_))
    )


def work(spec: Spec, round_: int, phase: Phase, shard: int) -> Work:
    """What shard `shard` does in round `round_`.

    Args:
        spec: The run's plan.
        round_: The round, from 1.
        phase: "train", or "evaluate".
        shard: The shard, from 0.
    """
    validate = validates(spec, round_, phase)
    if phase == "evaluate":
        last = epoch_of(spec, max(round_ - 1, 1))
        return Work(round_, shard, phase, last, validate=validate, score_training=True)
    epoch = epoch_of(spec, round_)
    index = (round_ - 1) % rounds_per_epoch(spec)
    order = _permutation(spec.seed, epoch, shard, spec.shard_rows[shard])
    if spec.sync == "gradient":
        bounds = _bounds(spec.shard_rows, spec.batch)
        steps: tuple[NDArray[np.int64], ...] = (
            order[int(bounds[index, shard]) : int(bounds[index + 1, shard])],
        )
    else:
        batch = spec.batch or max(len(order), 1)
        starts = range(
            index * spec.local_steps * batch,
            min((index + 1) * spec.local_steps * batch, len(order)),
            batch,
        )
        steps = tuple(order[start : start + batch] for start in starts)
    return Work(round_, shard, phase, epoch, steps=steps, validate=validate)


@lru_cache(maxsize=64)
def _rounds_per_epoch(rows: tuple[int, ...], batch: int, local: bool, local_steps: int) -> int:
    if local:
        return max(-(-max(-(-n // (batch or max(n, 1))) for n in rows) // local_steps), 1)
    return max(-(-sum(rows) // batch), 1) if batch else 1


@lru_cache(maxsize=64)
def _permutation(seed: int, epoch: int, shard: int, rows: int) -> NDArray[np.int64]:
    order = seeds.generator(seed, "permutation", epoch, shard).permutation(rows).astype(np.int64)
    order.setflags(write=False)
    return order


@lru_cache(maxsize=8)
def _bounds(rows: tuple[int, ...], batch: int) -> NDArray[np.int64]:
    """Rows of each shard before each step: shape (steps + 1, shards)."""
    steps = _rounds_per_epoch(rows, batch, False, 1)
    # Equal fractions are equal in float64 too, both being the correctly rounded quotient of exact numbers.
    keys = np.concatenate([(np.arange(n) + 0.5) / max(n, 1) for n in rows])
    shards = np.repeat(np.arange(len(rows)), rows)
    owners = shards[np.lexsort((shards, keys))]
    size = batch or max(len(owners), 1)
    counts = np.zeros((steps + 1, len(rows)), np.int64)
    for step in range(steps):
        counts[step + 1] = np.bincount(owners[step * size : (step + 1) * size], minlength=len(rows))
    bounds = np.cumsum(counts, axis=0)
    bounds.setflags(write=False)
    return bounds
