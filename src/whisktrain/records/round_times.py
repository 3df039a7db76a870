"""Lengths of rounds as a histogram with buckets 5 % apart: small, whatever the number of rounds. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypedDict

__all__ = ["Histogram", "RoundMs", "added", "count", "quantile", "round_ms"]

STEP = math.log(1.05)

Histogram = Mapping[str, int]
"""Number of rounds in each bucket; bucket b holds lengths of about 1.05^b milliseconds."""


class RoundMs(TypedDict):
    """Lengths of rounds in milliseconds: median and 95th percentile; None before the first round."""

    p50: float | None
    p95: float | None


def added(histogram: Histogram, milliseconds: float) -> dict[str, int]:
    """The histogram with one more round."""
    bucket = str(round(math.log(max(milliseconds, 0.01)) / STEP))
    return {**histogram, bucket: histogram.get(bucket, 0) + 1}


def count(histogram: Histogram) -> int:
    """Number of rounds in the histogram."""
    return sum(histogram.values())


def quantile(histogram: Histogram, share: float) -> float | None:
    """The length in milliseconds that `share` of the rounds did not exceed, within 2.5 %; None without rounds."""
    rest = share * count(histogram)
    for bucket, rounds in sorted((int(b), n) for b, n in histogram.items()):
        rest -= rounds
        if rest <= 0:
            return round(math.exp(bucket * STEP), 3)
    return None


def round_ms(histogram: Histogram) -> RoundMs:
    """Median and 95th percentile, as results report them."""
    return {"p50": quantile(histogram, 0.5), "p95": quantile(histogram, 0.95)}
