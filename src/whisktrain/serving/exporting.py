"""Export a model for use outside: a `.keras` file that prepares its inputs itself, and beside it what its numbers mean.

The file beside it, `FILE.keras.json`, is described in docs/reference/export.md.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NotRequired, TypedDict, cast

import numpy as np

from whisktrain.data.preprocessing import preprocessor
from whisktrain.data.preprocessing.image_scaler import ImageScaler
from whisktrain.learning import exporting
from whisktrain.learning.exporting import CategoryInput, FlagInput, NumberInput, Preparation
from whisktrain.spec import Label, Spec, Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from whisktrain.data.preprocessing.column_encoder import ColumnEncoder
    from whisktrain.data.preprocessing.features import Features
    from whisktrain.data.preprocessing.preprocessor import Preprocessor
    from whisktrain.records.models import ModelFiles, StoredModel

__all__ = ["Description", "InputDescription", "export"]


class InputDescription(TypedDict):
    """One input of an exported model.

    Attributes:
        column: The column of the data.
        holds: "number", "boolean" (0 or 1), "category" (its number), or "days", "month", "day", "weekday" or "hour" of a date.
        missing: What a missing value counts as: NaN in the input; null where the model cannot take NaN.
        categories: Of a category: the number of each text.
        other: Of a category: the number of every other text.
    """

    column: str
    holds: str
    missing: str | float | None
    categories: NotRequired[dict[str, int]]
    other: NotRequired[int]


class Description(TypedDict):
    """What the numbers of an exported model mean.

    Attributes:
        model: "NAME:VERSION".
        task: "classification" or "regression".
        target: The target's column.
        inputs: Of a table: each number of a row, in order.
        missing_words: Of a table: texts that mean a missing value, in any column.
        pixels: Of images: the shape of a row, (height, width, channels), as the images' own values.
        classes: Of a classification: the class of each output. One output alone is the probability of the second class.
    """

    model: str
    task: Task
    target: str | None
    inputs: NotRequired[list[InputDescription]]
    missing_words: NotRequired[list[str]]
    pixels: NotRequired[list[int]]
    classes: NotRequired[list[Label]]


def export(model: StoredModel, files: ModelFiles, path: Path) -> Path:
    """Write a model as a `.keras` file, and `FILE.keras.json` beside it.

    Args:
        model: The model.
        files: Its files.
        path: The `.keras` file; both files are replaced if they are there.

    Returns:
        The file beside it.
    """
    fitted = preprocessor.load(files.preprocessing)
    preparation, description = _describe(model, fitted)
    beside = path.with_name(f"{path.name}.json")
    text = json.dumps(description, indent=2, ensure_ascii=False) + "\n"
    spec = Spec.from_json(model.body["spec"])
    exporting.export(spec, model.blueprint(files), files.params, path, preparation)
    temporary = path.with_name(f".{os.getpid()}.{beside.name}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(beside)
    finally:
        temporary.unlink(missing_ok=True)
    return beside


def _describe(model: StoredModel, fitted: Preprocessor) -> tuple[Preparation, Description]:
    description: Description = {
        "model": model.reference,
        "task": model.body["task"],
        "target": fitted.target,
    }
    if isinstance(fitted.features, ImageScaler):
        preparation = Preparation(divisor=fitted.features.divisor)
        description["pixels"] = list(fitted.features.shape)
    else:
        preparation = _table(fitted.features)
        description["inputs"] = [*_inputs(fitted.features, plain=preparation == Preparation())]
        description["missing_words"] = [*fitted.missing_words]
    if fitted.classes is not None:
        description["classes"] = [*fitted.classes]
    return preparation, description


def _table(features: Features) -> Preparation:
    """The preparation of a table's rows; none where they are numbers that are used as they are."""
    numbers: list[NumberInput] = []
    flags: list[FlagInput] = []
    categories: list[CategoryInput] = []
    at = 0
    shifts, divisors = _scaling(features)
    codes = iter(features.encoder.categories_ if features.encoder is not None else ())
    for column in features.columns:
        if column.kind == "categorical":
            categories.append(_category(at, column, next(codes)))
        elif column.kind == "boolean":
            flags.append(FlagInput(at, column.fill[0]))
        else:
            for offset, fill in enumerate(column.fill):
                n = len(numbers)
                numbers.append(NumberInput(at + offset, fill, shifts[n], divisors[n]))
        if column.flag:
            flags.append(FlagInput(at))
        at += max(1, len(column.parts))
    as_they_are = features.scaler is None and not flags and not categories
    if as_they_are and not any(column.parts for column in features.columns):
        return Preparation()
    return Preparation(at, tuple(numbers), tuple(flags), tuple(categories))


def _scaling(features: Features) -> tuple[list[float], list[float]]:
    """What is subtracted from each number, and what it is divided by then."""
    scaler = features.scaler
    count = sum(
        len(column.fill)
        for column in features.columns
        if column.kind not in ("categorical", "boolean")
    )
    if scaler is None:
        return [0.0] * count, [1.0] * count
    factors = np.asarray(scaler.scale_, np.float64)
    if hasattr(
        scaler, "mean_"
    ):  # a StandardScaler divides by its scale_, a MinMaxScaler multiplies
        return np.asarray(scaler.mean_).tolist(), factors.tolist()
    return np.asarray(scaler.data_min_).tolist(), (1.0 / factors).tolist()


def _category(at: int, column: ColumnEncoder, codes: NDArray[np.int64]) -> CategoryInput:
    known = len(column.categories) + column.missing_category
    return CategoryInput(
        at, column.fill[0], tuple(int(code) for code in codes), known, known if column.rare else -1
    )


def _inputs(features: Features, *, plain: bool) -> Iterator[InputDescription]:
    for column in features.columns:
        if column.kind == "categorical":
            other = len(column.categories) + column.missing_category if column.rare else -1
            yield {
                "column": column.name,
                "holds": "category",
                "missing": [*column.titles, "(other)"][int(column.fill[0])],
                "categories": {name: number for number, name in enumerate(column.categories)}
                | dict.fromkeys(column.rare, other),
                "other": other,
            }
            continue
        kinds = column.parts or ("boolean" if column.kind == "boolean" else "number",)
        for kind, fill in zip(kinds, column.fill, strict=True):
            missing = None if plain else fill
            yield cast(InputDescription, {"column": column.name, "holds": kind, "missing": missing})
