"""The fitted preprocessing: the same transformation in training and in prediction, stored without pickle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whisktrain.data.columns.cells import MISSING_WORDS
from whisktrain.data.columns.missing_words import without_words
from whisktrain.data.columns.series import Series
from whisktrain.data.images.samples import BYTE
from whisktrain.data.limits import check_matrix
from whisktrain.data.preprocessing import archive
from whisktrain.data.preprocessing.archive import PreprocessorRecord
from whisktrain.data.preprocessing.column_encoder import ColumnEncoder
from whisktrain.data.preprocessing.estimators import Estimators
from whisktrain.data.preprocessing.features import Features
from whisktrain.data.preprocessing.image_scaler import ImageScaler
from whisktrain.data.preprocessing.row_reader import Missing, RowReader
from whisktrain.errors import Damaged
from whisktrain.spec import Label

__all__ = ["Preprocessor", "Transformed", "load"]

FORMAT = 1


class Transformed(NamedTuple):
    """Rows as a model takes them.

    Attributes:
        x: float32 of shape (rows, *x_shape).
        notices: What was ignored or filled, in sentences.
    """

    x: NDArray[np.float32]
    notices: list[str]


@dataclass(frozen=True, slots=True)
class Preprocessor:
    """The fitted preprocessing of one data set.

    Attributes:
        source_columns: The source's columns in order, without the target; none for images.
        features: The fitted features of a table, or how images are scaled.
        classes: Class labels in their original types, in order; None for regression.
        mean: Regression: mean of the target on training rows.
        scale: Regression: standard deviation of the target on training rows.
        target: The target's name.
        missing_words: Words that mean a missing value, in any column.
    """

    source_columns: tuple[str, ...]
    features: Features | ImageScaler
    classes: tuple[Label, ...] | None
    mean: float = 0.0
    scale: float = 1.0
    target: str | None = None
    missing_words: tuple[str, ...] = ()

    @property
    def is_image(self) -> bool:
        """Whether the rows are images."""
        return isinstance(self.features, ImageScaler)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are used, in order: what a row has to have."""
        if isinstance(self.features, ImageScaler):
            return ("image",)
        return tuple(column.name for column in self.features.columns)

    @property
    def x_shape(self) -> tuple[int, ...]:
        """The shape of one row of features."""
        if isinstance(self.features, ImageScaler):
            return self.features.shape
        return (len(self.features.names),)

    def to_original(self, values: ArrayLike) -> NDArray[np.float64]:
        """Standardised predictions in the target's own units (regression), same shape."""
        return np.asarray(values, dtype=np.float64) * self.scale + self.mean

    def transform(self, rows: object, *, missing: Missing = "error") -> Transformed:
        """Turn rows into features; each row on its own, whatever the others are.

        Args:
            rows: What `RowReader.read` takes, or, for images, what `ImageScaler.transform` takes.
            missing: What to do about absent columns.

        Raises:
            DataError: There are no rows, a column is absent, or a cell is not what its column holds.
        """
        if isinstance(self.features, ImageScaler):
            return Transformed(self.features.transform(rows), [])
        reader = RowReader(self.columns, self.source_columns, self.target)
        frame, notices = reader.read(rows, missing)
        check_matrix(len(frame), len(self.features.names))
        position = {name: at for at, name in enumerate(self.columns)}

        def cells_of(name: str) -> Series:
            return without_words(frame.iloc[:, position[name]], self.missing_words).cells

        x, remarks = self.features.transform(cells_of, len(frame))
        return Transformed(x, [*notices, *remarks])

    def to_bytes(self) -> bytes:
        """The fitted preprocessing as `load` reads it; equal for equal content."""
        record: PreprocessorRecord = {
            "format": FORMAT,
            "source_columns": list(self.source_columns),
            "classes": None if self.classes is None else list(self.classes),
            "mean": self.mean,
            "scale": self.scale,
            "target": self.target,
        }
        estimators: Estimators = {}
        features = self.features
        if isinstance(features, ImageScaler):
            record["picture"] = {
                "shape": list(features.shape),
                "divisor": features.divisor,
                "names": list(features.names),
                "samples": features.samples.str,
            }
            return archive.pack(record, estimators)
        record["columns"] = [column.to_json() for column in features.columns]
        record["names"] = list(features.names)
        record["missing_words"] = list(self.missing_words)
        if features.scaler is not None:
            estimators["scaler"] = features.scaler
        if features.encoder is not None:
            estimators["encoder"] = features.encoder
        return archive.pack(record, estimators)


def load(data: bytes) -> Preprocessor:
    """Read fitted preprocessing.

    Args:
        data: What `Preprocessor.to_bytes` wrote: the attachment of a data set's document.

    Raises:
        Damaged: It is something else.
    """
    record, estimators = archive.unpack(data)
    if record.get("format") != FORMAT:
        raise Damaged(
            f"The fitted preprocessing has the format {record.get('format')!r}; expected {FORMAT}."
        )
    with archive.reading():
        classes = record["classes"]
        return Preprocessor(
            source_columns=tuple(record["source_columns"]),
            features=_load_features(record, estimators),
            classes=None if classes is None else tuple(classes),
            mean=float(record["mean"]),
            scale=float(record["scale"]),
            target=record["target"],
            missing_words=tuple(record.get("missing_words", MISSING_WORDS)),
        )


def _load_features(record: PreprocessorRecord, estimators: Estimators) -> Features | ImageScaler:
    if "columns" in record:
        columns = tuple(ColumnEncoder.from_json(column) for column in record["columns"])
        return Features(
            columns, estimators.get("scaler"), estimators.get("encoder"), tuple(record["names"])
        )
    if "picture" in record:
        known = record["picture"]
        return ImageScaler(
            tuple(known["shape"]),
            float(known["divisor"]),
            tuple(known["names"]),
            np.dtype(known.get("samples", BYTE.str)),
        )
    raise Damaged("The fitted preprocessing is neither of a table nor of images.")
