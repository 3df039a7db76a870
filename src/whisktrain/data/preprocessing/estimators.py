"""The parts of scikit-learn's estimators that are used here (scikit-learn has no types)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypedDict

import numpy as np
from numpy.typing import NDArray

__all__ = ["Estimators", "OneHotEncoding", "Transformer"]


class Transformer(Protocol):
    """A fitted scaler."""

    def transform(self, X: NDArray[np.generic], /) -> NDArray[np.float64]:
        """Transform rows, shape (rows, features)."""
        ...


class OneHotEncoding(Transformer, Protocol):
    """A fitted one-hot encoder of category numbers.

    Attributes:
        categories_: The category numbers of each column.
    """

    categories_: Sequence[NDArray[np.int64]]


class Estimators(TypedDict, total=False):
    """The fitted estimators of a data set."""

    scaler: Transformer
    encoder: OneHotEncoding
