"""What `fit` takes for arrays, and what it says of the rest."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from whisktrain.errors import RequestError
from whisktrain.sdk.training import arrays

X = np.arange(12.0).reshape(4, 3)


class Stored:
    """The look of a sparse matrix of SciPy."""

    nnz = 3

    def toarray(self) -> np.ndarray:
        return X


class Batches:
    """The look of a Keras PyDataset."""

    def __getitem__(self, index: int) -> np.ndarray:
        return X

    def on_epoch_end(self) -> None: ...


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (iter([X]), "gives batches one after another.*np.concatenate"),
        ((row for row in X), "x is a generator"),
        (Batches(), "x is a Batches, which gives batches"),
        (Stored(), r"x is a sparse matrix \(Stored\).*x.toarray"),
        ([X, X[:, :1]], "x holds 2 inputs"),
        ((X, X), "x holds 2 inputs"),
        ({"a": X, "b": X}, "x holds 2 inputs"),
        ([[1, 2], [3]], "cannot be made an array"),
        ([["a", "b"]], "x holds <U1; expected numbers"),
        (np.array([[object()]]), "holds a object"),
        (None, "x is a NoneType; expected an array of numbers"),
        (np.zeros((0, 3)), "is empty"),
        ([1.0, 2.0], "x has the shape"),
    ],
)
def test_features_that_cannot_be_used(given: object, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        arrays.features(given)  # type: ignore[arg-type]


def test_features_of_all_kinds() -> None:
    for given in (X, X.tolist(), list(X), tuple(map(tuple, X)), pd.DataFrame(X), X.astype(object)):
        np.testing.assert_array_equal(arrays.features(given), X)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([1, 3, 5, 7], [1, 3, 5, 7]),
        ([[1.0], [2.5], [3.0], [4.0]], [1.0, 2.5, 3.0, 4.0]),
        (pd.Series(["a", "b", "a", "b"]), ["a", "b", "a", "b"]),
        (np.eye(3)[[2, 0, 1, 1]], [2, 0, 1, 1]),
        (np.eye(2, dtype=bool)[[1, 0, 1, 1]], [1, 0, 1, 1]),
    ],
)
def test_targets_of_all_kinds(given: object, expected: list[object]) -> None:
    assert arrays.targets(given, rows=4).tolist() == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, "y is None"),
        ([1, 2], r"4 rows and y has the shape \(2,\); expected \(4,\)"),
        (5, "expected"),
        (np.ones((4, 2)), "its rows are not one-hot"),
        (np.full((4, 2), 0.5), "its rows are not one-hot"),
        ({"a": X}, "y holds 1 outputs"),
        ((X, X), "y holds 2 outputs"),
        (iter([1, 2]), "y is a list_iterator"),
    ],
)
def test_targets_that_cannot_be_used(given: object, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        arrays.targets(given, rows=4)  # type: ignore[arg-type]
