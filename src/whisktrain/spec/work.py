"""One shard's work in one round, and the rows it is done on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from whisktrain.tensors import Tensor

__all__ = ["Phase", "Rows", "Work"]

Phase: TypeAlias = Literal["train", "evaluate"]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one shard or of one validation slice.

    Attributes:
        x: Features, shape (rows, *x_shape).
        y: Targets, shape (rows,): class numbers (int64) or standardised values (float32/float64).
    """

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        return int(self.x.shape[0])


@dataclass(frozen=True, slots=True)
class Work:
    """The work of shard k in round r.

    Attributes:
        round: The round's number r >= 1.
        shard: The shard's number k.
        phase: "train", or "evaluate" (the final rounds: no gradient).
        epoch: The epoch that the round belongs to, from 0.
        steps: Row numbers of the shard, one array a step. Gradient mode: one array (maybe empty: weight 0); local mode: up to
            `local_steps` arrays (maybe none). Empty in an evaluation round.
        validate: Whether to evaluate the round's starting parameters on the shard's validation slice too.
        score_training: Whether to evaluate them on all the shard's training rows too.
    """

    round: int
    shard: int
    phase: Phase
    epoch: int
    steps: tuple[NDArray[np.int64], ...] = ()
    validate: bool = False
    score_training: bool = False
