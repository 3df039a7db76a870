"""Validation rows and shards: sizes, strata, determinism."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from whisktrain.data.shards.splits import (
    by_group,
    contiguous,
    strata_of,
    stratified,
    validation_rows,
)

LABELS = st.lists(st.integers(0, 5), min_size=1, max_size=120).map(np.array)


@settings(max_examples=150, deadline=None)
@given(LABELS, st.floats(0, 0.9), st.integers(0, 5))
def test_validation_is_stratified_and_leaves_every_class_in_training(
    y: np.ndarray, share: float, seed: int
) -> None:
    held = validation_rows(y, share, seed)
    assert np.array_equal(held, validation_rows(y, share, seed))
    possible = sum(n - 1 for n in np.unique(y, return_counts=True)[1])
    assert held.sum() == min(int(np.floor(share * len(y) + 0.5)), possible)
    for kind, count in zip(*np.unique(y, return_counts=True), strict=True):
        drawn = int(held[y == kind].sum())
        assert drawn < count
        if possible >= round(share * len(y)) and count > 1:
            assert drawn >= min(np.floor(share * count), count - 1)


@settings(max_examples=150, deadline=None)
@given(LABELS, st.integers(1, 7), st.integers(0, 5))
def test_shards_differ_by_one_row_and_by_one_of_each_class(
    y: np.ndarray, shards: int, seed: int
) -> None:
    places = stratified(y, shards, seed, "shards")
    sizes = np.bincount(places, minlength=shards)
    assert sizes.sum() == len(y)
    assert sizes.max() - sizes.min() <= 1
    for kind in np.unique(y):
        own = np.bincount(places[y == kind], minlength=shards)
        assert own.max() - own.min() <= 1


@given(st.integers(1, 100), st.integers(1, 9))
def test_contiguous_shards_keep_the_order(rows: int, shards: int) -> None:
    places = contiguous(rows, shards)
    assert (np.diff(places) >= 0).all()
    sizes = np.bincount(places, minlength=shards)
    assert sizes.max() - sizes.min() <= 1


@given(st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=60))
def test_groups_stay_together(groups: list[str]) -> None:
    shards = min(3, len(set(groups)))
    places = by_group(groups, shards)
    for group in set(groups):
        assert len({int(p) for p, g in zip(places, groups, strict=True) if g == group}) == 1
    assert set(places.tolist()) == set(range(shards))


def test_equal_remainders_favour_no_stratum() -> None:
    y = np.repeat(np.arange(10), 4)
    drawn = sum(np.bincount(y[validation_rows(y, 0.2, seed)], minlength=10) for seed in range(200))
    assert drawn.sum() == 200 * 8
    assert drawn.min() > 100


def test_other_seeds_draw_other_rows() -> None:
    y = np.zeros(100, dtype=np.int64)
    assert not np.array_equal(validation_rows(y, 0.2, 0), validation_rows(y, 0.2, 1))
    assert not np.array_equal(stratified(y, 4, 0, "shards"), stratified(y, 4, 1, "shards"))


def test_values_are_stratified_by_quantile() -> None:
    y = np.random.default_rng(0).normal(size=1000)
    places = stratified(strata_of(y, "regression"), 4, 0, "shards")
    means = [y[places == k].mean() for k in range(4)]
    assert max(means) - min(means) < 0.05
