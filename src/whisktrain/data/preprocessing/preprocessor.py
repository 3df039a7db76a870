"""The fitted preprocessing: the same transformation when training and when deciding, stored without pickle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from whisktrain.data.images.decoding import pixels_of, read_unlabelled
from whisktrain.data.limits import check_matrix
from whisktrain.data.preprocessing import archive
from whisktrain.data.preprocessing.features import Column, Features
from whisktrain.data.table import plain_cells
from whisktrain.errors import Damaged, DataError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Fitted", "Picture", "Transformed", "load"]

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Transformed:
    """Rows as a model takes them.

    Attributes:
        x: float32 of shape (rows, *x_shape).
        notices: What had to be ignored or filled, in sentences.
    """

    x: NDArray[np.float32]
    notices: list[str]


@dataclass(frozen=True, slots=True)
class Picture:
    """How images become features: divided by a constant.

    Attributes:
        shape: (height, width, channels).
        divisor: What pixels are divided by.
        names: The pixels' names where they have any.
    """

    shape: tuple[int, ...]
    divisor: float
    names: tuple[str, ...] = ()

    def scaled(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Pixels as features of the same shape."""
        return (pixels.astype(np.float64) / self.divisor).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Fitted:
    """Fitted preprocessing of one data set.

    Attributes:
        source_columns: The source's columns in order, without the target.
        features: Fitted columns and estimators, of a table; None for images.
        picture: How images are scaled; None for a table.
        classes: Class labels in their original types, in order; None for regression.
        mean: Regression: mean of the target on training rows.
        scale: Regression: standard deviation of the target on training rows.
        target: The target's name.
    """

    source_columns: tuple[str, ...]
    features: Features | None
    picture: Picture | None
    classes: tuple[Any, ...] | None
    mean: float = 0.0
    scale: float = 1.0
    target: str | None = field(default=None)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are used, in order: what a row has to have."""
        return tuple(c.name for c in self.features.columns) if self.features else ("image",)

    @property
    def x_shape(self) -> tuple[int, ...]:
        """The shape of one row of features."""
        return (len(self.features.names),) if self.features else self.picture.shape if self.picture else ()

    def to_original(self, values: Any) -> NDArray[np.float64]:
        """Standardised predictions in the target's own units (regression), same shape."""
        return np.asarray(values, dtype=np.float64) * self.scale + self.mean

    def transform(self, rows: Any, *, missing: Literal["error", "fill"] = "error") -> Transformed:
        """Rows as the model takes them; each row on its own, whatever the others are.

        Args:
            rows: A list of objects (columns in any order), a list of arrays or an array (the columns used, in order, or all of
                the source's columns without the target), a frame, or, for images, arrays, base64 texts or a file's bytes.
            missing: What to do about absent columns: "error" names them, "fill" takes what missing values became in training.

        Raises:
            DataError: There are no rows, a column is absent, or a cell is not what its column holds.
        """
        if self.picture is not None:
            return Transformed(self._transform_images(rows), [])
        if self.features is None:
            raise Damaged("The fitted preprocessing is neither of a table nor of images.")
        frame, notices = self._frame(rows, missing)
        check_matrix(len(frame), len(self.features.names))
        at = {name: k for k, name in enumerate(self.columns)}
        x, remarks = self.features.transform(lambda name: frame.iloc[:, at[name]], len(frame))
        return Transformed(x, [*notices, *remarks])

    def to_bytes(self) -> bytes:
        """The fitted preprocessing as `load` reads it; equal for equal content."""
        record: dict[str, Any] = {
            "format": FORMAT,
            "source_columns": list(self.source_columns),
            "classes": None if self.classes is None else list(self.classes),
            "mean": self.mean,
            "scale": self.scale,
            "target": self.target,
        }
        estimators = {}
        if self.features is not None:
            record["columns"] = [column.to_json() for column in self.features.columns]
            record["names"] = list(self.features.names)
            fitted = {"scaler": self.features.scaler, "encoder": self.features.encoder}
            estimators = {name: estimator for name, estimator in fitted.items() if estimator is not None}
        if self.picture is not None:
            shape, divisor, names = self.picture.shape, self.picture.divisor, self.picture.names
            record["picture"] = {"shape": list(shape), "divisor": divisor, "names": list(names)}
        return archive.pack(record, estimators)

    def _transform_images(self, rows: Any) -> NDArray[np.float32]:
        picture = self.picture
        if picture is None:
            raise Damaged("The fitted preprocessing is not of images.")
        if isinstance(rows, bytes):
            return picture.scaled(read_unlabelled(rows, "the file", picture.shape))
        if not isinstance(rows, np.ndarray) and hasattr(rows, "to_dict"):
            rows = rows.to_dict("records")
        if not len(rows):
            raise _no_rows()
        check_matrix(len(rows), int(np.prod(picture.shape)))
        return picture.scaled(np.stack([pixels_of(row, picture.shape, picture.names, at) for at, row in enumerate(rows)]))

    def _frame(self, rows: Any, missing: str) -> tuple[pd.DataFrame, list[str]]:
        """The used columns of the rows, by position, and notices."""
        import pandas as pd

        if isinstance(rows, pd.DataFrame):
            if not len(rows):
                raise _no_rows()
            names = [str(name) for name in rows.columns]
            absent = [name for name in self.columns if name not in names]
            self._check_absent(absent, "the rows", missing)
            empty = pd.Series([None] * len(rows), dtype=object)
            columns = [
                plain_cells(rows.iloc[:, names.index(name)]).reset_index(drop=True) if name in names else empty
                for name in self.columns
            ]
            return _side_by_side(columns, len(rows)), [*self._ignored(names), *_filled(absent)]
        if isinstance(rows, (str, bytes, Mapping)) or not isinstance(rows, (Sequence, np.ndarray)):
            raise DataError(f"The rows are {type(rows).__name__}; expected a list of objects or arrays.", code="bad_rows")
        if not len(rows):
            raise _no_rows()
        given = list(rows)
        if all(isinstance(row, Mapping) for row in given):
            return self._frame_of_objects(given, missing)
        return self._frame_of_arrays(given)

    def _frame_of_objects(self, rows: Sequence[Mapping[str, Any]], missing: str) -> tuple[pd.DataFrame, list[str]]:
        absent: dict[str, None] = {}
        given: dict[str, None] = {}
        for at, row in enumerate(rows):
            lacking = [name for name in self.columns if name not in row]
            self._check_absent(lacking, f"row {at + 1}", missing)
            absent |= dict.fromkeys(lacking)
            given |= dict.fromkeys(str(name) for name in row)
        columns = [_objects([row.get(name) for row in rows]) for name in self.columns]
        return _side_by_side(columns, len(rows)), [*self._ignored(list(given)), *_filled(list(absent))]

    def _frame_of_arrays(self, rows: Sequence[Any]) -> tuple[pd.DataFrame, list[str]]:
        used, full = list(self.columns), list(self.source_columns)
        cells = []
        for at, row in enumerate(rows):
            values = row.tolist() if isinstance(row, np.ndarray) else row
            if not isinstance(values, (list, tuple)):
                raise DataError(
                    f"Row {at + 1} is {type(values).__name__}; expected an object of columns or an array, as the other rows.",
                    code="bad_rows",
                )
            if len(values) not in (len(used), len(full)):
                counts = f"{len(used)}" if len(used) == len(full) else f"{len(used)} (or {len(full)}, with the unused columns)"
                raise DataError(
                    f"Row {at + 1} has {len(values)} values; expected {counts}: {_listed(used)}.",
                    code="bad_shape",
                    hint="Objects with column names may have any order.",
                )
            by_name = dict(zip(used if len(values) == len(used) else full, values, strict=True))
            cells.append([by_name[name] for name in used])
        columns = [_objects([row[at] for row in cells]) for at in range(len(used))]
        return _side_by_side(columns, len(rows)), []

    def _check_absent(self, absent: list[str], where: str, missing: str) -> None:
        if absent and missing == "error":
            raise DataError(
                f"{where[0].upper()}{where[1:]} lack{'' if where == 'the rows' else 's'} the column(s) {_listed(absent)}.",
                code="missing_columns",
                hint="Add them (null where unknown), or ask for predict.missing 'fill'.",
            )

    def _ignored(self, given: list[str]) -> list[str]:
        extra = [name for name in given if name not in self.columns and name not in self.source_columns and name != self.target]
        return [f"Ignored column(s) that training did not have: {_listed(extra)}."] if extra else []


def load(data: bytes) -> Fitted:
    """Read fitted preprocessing.

    Args:
        data: What `Fitted.to_bytes` wrote: the attachment of a data set's document.

    Raises:
        Damaged: It is something else.
    """
    record, estimators = archive.unpack(data)
    if record.get("format") != FORMAT:
        raise Damaged(f"The fitted preprocessing has the format {record.get('format')!r}; expected {FORMAT}.")
    features = picture = None
    if "columns" in record:
        columns = tuple(Column.from_json(column) for column in record["columns"])
        features = Features(columns, estimators.get("scaler"), estimators.get("encoder"), tuple(record["names"]))
    if "picture" in record:
        known = record["picture"]
        picture = Picture(tuple(known["shape"]), float(known["divisor"]), tuple(known["names"]))
    classes = None if record["classes"] is None else tuple(record["classes"])
    return Fitted(
        tuple(record["source_columns"]),
        features,
        picture,
        classes,
        float(record["mean"]),
        float(record["scale"]),
        record["target"],
    )


def _objects(cells: list[Any]) -> pd.Series[Any]:
    import pandas as pd

    array = np.empty(len(cells), dtype=object)
    for at, cell in enumerate(cells):
        array[at] = cell.item() if isinstance(cell, np.generic) and not isinstance(cell, np.datetime64) else cell
    return pd.Series(array, dtype=object)


def _side_by_side(columns: list[pd.Series[Any]], rows: int) -> pd.DataFrame:
    import pandas as pd

    return pd.concat(columns, axis=1, keys=range(len(columns))) if columns else pd.DataFrame(index=range(rows))


def _filled(absent: list[str]) -> list[str]:
    return [f"Filled absent column(s) as missing: {_listed(absent)}."] if absent else []


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name if len(name) <= 60 else name[:57] + "...") for name in names[:12])
    return shown + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def _no_rows() -> DataError:
    return DataError("There are no rows to decide on; expected at least one.", code="no_rows")
