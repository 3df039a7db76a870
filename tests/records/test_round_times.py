"""Quantiles of the lengths of rounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whisktrain.records import round_times


@given(
    lengths=st.lists(st.floats(0.05, 1e6), min_size=1, max_size=200),
    share=st.sampled_from([0.5, 0.95]),
)
def test_quantiles_are_within_a_few_percent(lengths: list[float], share: float) -> None:
    histogram: dict[str, int] = {}
    for length in lengths:
        histogram = round_times.added(histogram, length)
    exact = sorted(lengths)[max(int(np.ceil(share * len(lengths))) - 1, 0)]
    assert round_times.quantile(histogram, share) == pytest.approx(exact, rel=0.03, abs=0.001)
    assert round_times.count(histogram) == len(lengths)


def test_no_rounds_have_no_length() -> None:
    assert round_times.quantile({}, 0.5) is None
    assert round_times.round_ms({}) == {"p50": None, "p95": None}
