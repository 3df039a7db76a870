"""The parts of scikit-learn's estimators that are used here (scikit-learn has no types)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypedDict

import numpy as np
from numpy.typing import NDArray

__all__ = ["Estimators", "OneHotEncoding", "Transformer"]


class Transformer(Protocol):
    """A fitted scaler.

    Attributes:
        scale_: What a `StandardScaler` divides by, or a `MinMaxScaler` multiplies with.
        mean_: What a `StandardScaler` subtracts first.
        data_min_: What a `MinMaxScaler` subtracts first.
    """

    scale_: NDArray[np.float64]
    mean_: NDArray[np.float64]
    data_min_: NDArray[np.float64]

    def transform(self, X: NDArray[np.generic], /) -> NDArray[np.float64]:
        """Transform rows, shape (rows, features)."""
        ...


class OneHotEncoding(Protocol):
    """A fitted one-hot encoder of category numbers.

    Attributes:
        categories_: The category numbers of each column.
    """

    categories_: Sequence[NDArray[np.int64]]

    def transform(self, X: NDArray[np.generic], /) -> NDArray[np.float64]:
        """Transform rows, shape (rows, columns)."""
        ...


class Estimators(TypedDict, total=False):
    """The fitted estimators of a data set."""

    scaler: Transformer
    encoder: OneHotEncoding
