"""The contribution of one shard to one round: tensors, and sums of loss and metric state that add up across shards."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias, TypedDict

from whisktrain.errors import Diverged
from whisktrain.tensors import Tensors, all_finite

__all__ = ["Contribution", "ContributionNumbers", "Figures", "MetricSums"]

Figures: TypeAlias = dict[str, "float | dict[str, str] | None"]
"""Final values by name: "rows" (int), "loss", the metrics, and "undefined" with the reason for each value that is None."""


class MetricSums(TypedDict):
    """Sums over rows; adding two of them number by number gives those of the union.

    Attributes:
        rows: Number of rows.
        loss: Sum of the (weighted) losses.
        divisor: What Keras divides that sum by.
        penalty: Regularisation, times the rows of its batch.
        state: The state of each metric, see `whisktrain.metrics`.
    """

    rows: int
    loss: float
    divisor: float
    penalty: float
    state: dict[str, list[float]]


class ContributionNumbers(TypedDict):
    """The numbers of a contribution, as the update document holds them.

    Attributes:
        rows: Training rows that were used.
        divisor: The divisor of the gradient sum.
        train: Sums over those rows while training; None without any.
        validation: Sums over the validation slice; None where it was not evaluated.
        training: Sums over all training rows; None where they were not evaluated.
    """

    rows: int
    divisor: float
    train: MetricSums | None
    validation: MetricSums | None
    training: MetricSums | None


@dataclass(frozen=True, slots=True)
class Contribution:
    """The contribution of one shard to one round: the update document's numbers and its attachment.

    Attributes:
        tensors: Gradient sums (gradient mode) or weight changes (local mode), and the statistics of batch normalisations, by
            the layout's names; empty in evaluation and for weight 0.
        numbers: Rows, divisor, and sums of loss and metric state.
    """

    tensors: Tensors
    numbers: ContributionNumbers

    def check_finite(self, round_: int, shard: int) -> None:
        """Refuse a contribution with a NaN or an infinity: it is a failure, never an update.

        Args:
            round_: The round, for the message.
            shard: The shard, for the message.

        Raises:
            Diverged: A number or a tensor is not finite.
        """
        if not (
            all(map(math.isfinite, _floats(self.numbers))) and all_finite(self.tensors.values())
        ):
            raise Diverged(
                f"The loss or a gradient of shard {shard} was not finite in round {round_}."
            )


def _floats(numbers: ContributionNumbers) -> Iterator[float]:
    """All numbers of a contribution that must be finite."""
    yield numbers["divisor"]
    for sums in (numbers["train"], numbers["validation"], numbers["training"]):
        if sums is not None:
            yield from (sums["loss"], sums["divisor"], sums["penalty"])
            for state in sums["state"].values():
                yield from state
