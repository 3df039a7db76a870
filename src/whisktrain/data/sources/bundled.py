"""The data sets that scikit-learn ships, without download or file."""

from __future__ import annotations

import numpy as np

from whisktrain.data.table import Images, Table, with_names
from whisktrain.errors import DataError
from whisktrain.request import BUNDLED

__all__ = ["load_bundled"]

DIGITS_SHAPE = (8, 8, 1)
DIGITS_LARGEST = 16.0


def load_bundled(name: str) -> Table | Images:
    """Load one of `whisktrain.request.BUNDLED`.

    Classes have their names where scikit-learn knows them (iris, wine, breast_cancer); digits are 8 by 8 images.

    Raises:
        DataError: There is no such set.
    """
    import pandas as pd
    from sklearn import datasets

    if name not in BUNDLED:
        raise DataError(
            f"The data set was {name!r}; expected one of {', '.join(BUNDLED)}.", code="bad_source"
        )
    bunch = getattr(datasets, f"load_{name}")()
    names = [str(feature) for feature in bunch.feature_names]
    if name == "digits":
        pixels = bunch.images.reshape(-1, *DIGITS_SHAPE)
        labels = pd.Series(bunch.target.astype(np.int64))
        return Images(pixels, DIGITS_LARGEST, labels, tuple(names))
    frame = pd.DataFrame(np.asarray(bunch.data, dtype=np.float64))
    if name == "diabetes":
        frame["target"] = bunch.target.astype(np.float64)
    else:
        classes = np.asarray([str(label) for label in bunch.target_names], dtype=object)
        frame["target"] = pd.Series(classes[bunch.target], dtype=object)
    return Table(with_names(frame, [*names, "target"]), target="target")
