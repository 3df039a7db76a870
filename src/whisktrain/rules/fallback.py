"""Where a run can be resumed after it has diverged: sound parameters of an earlier round. Pure.

The parameters with which a gradient or a step overflows are of no use: they would do so again. So some rounds are kept on the
way, the same ones whatever happens to the activations. One counts once its updates have shown that its parameters are sound:
they were finite, and their loss was no higher than that of the first round, before the weights grew beyond all bounds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from whisktrain.records import ids
from whisktrain.records.run import ResumePoint, RunState
from whisktrain.rules.scores import loss_of
from whisktrain.spec import ContributionNumbers, Spec

__all__ = ["fallback_after", "is_kept"]

KEPT = 32
"""Rounds of a run that are kept on the way, about: storing the optimizer's state for one of them is one write."""


def is_kept(spec: Spec, round_: int) -> bool:
    """Whether a training round is one of those that a run may be resumed from."""
    every = -(-spec.rounds // KEPT)
    return round_ == spec.first_round or (round_ <= spec.rounds and (round_ - 1) % every == 0)


def fallback_after(
    state: RunState, numbers: Sequence[ContributionNumbers]
) -> tuple[ResumePoint | None, float | None]:
    """The fallback after a closed training round, and the training loss of the first round.

    Args:
        state: The run with the round open.
        numbers: The numbers of the merged contributions, all of them finite.
    """
    first = state.first_loss
    if not is_kept(state.spec, state.round):
        return state.fallback, first
    loss = loss_of(state.spec, [n.get("train") for n in numbers])
    first = loss if first is None else first
    if loss is None or first is None or not math.isfinite(loss) or loss > first:
        return state.fallback, first
    moments = ids.optimizer_state(state.run, state.round)
    return ResumePoint(state.round, state.params, moments, state.best), first
