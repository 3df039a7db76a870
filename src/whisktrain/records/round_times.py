"""How long rounds took, as a histogram with buckets 5 % apart: small, whatever the number of rounds. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping

__all__ = ["added", "count", "quantile"]

STEP = math.log(1.05)

Histogram = Mapping[str, int]


def added(histogram: Histogram, milliseconds: float) -> dict[str, int]:
    """The histogram with one more round."""
    bucket = str(round(math.log(max(milliseconds, 0.01)) / STEP))
    return {**histogram, bucket: histogram.get(bucket, 0) + 1}


def count(histogram: Histogram) -> int:
    """Rounds in it."""
    return sum(histogram.values())


def quantile(histogram: Histogram, share: float) -> float | None:
    """The length in milliseconds that `share` of the rounds did not exceed, within 2.5 %; None without rounds."""
    rest = share * count(histogram)
    for bucket, rounds in sorted((int(b), n) for b, n in histogram.items()):
        rest -= rounds
        if rest <= 0:
            return round(math.exp(bucket * STEP), 3)
    return None
