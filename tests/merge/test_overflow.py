"""The worker whose update made a merge overflow."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from whisktrain.merge.overflow import overflow_cause
from whisktrain.spec import Contribution


def part(w: ArrayLike, b: ArrayLike = 0.0) -> Contribution:
    values = {"w": np.asarray(w, np.float32), "b": np.asarray(b, np.float32)}
    return Contribution(
        {**values, "empty": np.zeros(0, np.float32), "step": np.array(10**9)},
        {"rows": 1, "divisor": 1.0, "train": None, "validation": None, "training": None},
    )


def test_an_update_that_is_not_finite_is_named() -> None:
    said = overflow_cause([3, 5, 7], [part([1, 2]), part([1, np.nan]), part([9, 9])])
    assert said == "the update of worker 5 is not finite in w."
    assert "worker 3 is not finite in b" in overflow_cause([3], [part(1, -np.inf)])


def test_of_finite_updates_the_largest_is_named() -> None:
    said = overflow_cause([0, 2], [part([1, 5]), part([1, 2], [-3e30])])
    assert said.startswith("every update was finite, the largest number (3e+30 in b)")
    assert "worker 2" in said


def test_updates_without_tensors_are_named_as_such() -> None:
    empty = Contribution({}, part(1).numbers)
    assert overflow_cause([0], [empty]) == "no update holds a tensor."
