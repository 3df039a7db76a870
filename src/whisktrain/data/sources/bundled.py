"""The data sets that scikit-learn ships, without download or file."""

from __future__ import annotations

import numpy as np

from whisktrain.data.table import Images, Table
from whisktrain.errors import DataError
from whisktrain.request import BUNDLED

__all__ = ["load_bundled"]


def load_bundled(name: str) -> Table | Images:
    """Load one of `whisktrain.request.BUNDLED`.

    Classes have their names where scikit-learn knows them (iris, wine, breast_cancer); digits are 8 by 8 images.

    Raises:
        DataError: There is no such set.
    """
    import pandas as pd
    from sklearn import datasets

    if name not in BUNDLED:
        raise DataError(f"The data set was {name!r}; expected one of {', '.join(BUNDLED)}.", code="bad_source")
    bunch = getattr(datasets, f"load_{name}")()
    if name == "digits":
        labels = pd.Series(bunch.target.astype(np.int64))
        return Images(bunch.images.reshape(-1, 8, 8, 1), 16.0, labels, tuple(str(n) for n in bunch.feature_names))
    frame = pd.DataFrame(np.asarray(bunch.data, dtype=np.float64), columns=pd.Index([str(n) for n in bunch.feature_names]))
    if name == "diabetes":
        frame["target"] = bunch.target.astype(np.float64)
    else:
        classes = np.asarray([str(n) for n in bunch.target_names], dtype=object)
        frame["target"] = pd.Series(classes[bunch.target], dtype=object)
    frame.columns = frame.columns.astype(object)
    return Table(frame, target="target")
