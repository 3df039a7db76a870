"""A source's rows to features and targets: types inferred over all rows, preprocessing fitted on training rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from whisktrain.data.columns.cells import cell_category, is_missing
from whisktrain.data.columns.column_type import ColumnType
from whisktrain.data.columns.inference import infer_type
from whisktrain.data.columns.series import factorize
from whisktrain.data.columns.target import ModelTarget, Target, read_target
from whisktrain.data.columns.target_column import find_target
from whisktrain.data.dataset import ColumnReport, SplitReport
from whisktrain.data.limits import check_matrix
from whisktrain.data.preprocessing.column_report import (
    dropped_report,
    feature_report,
    left_out_report,
    target_report,
    target_warnings,
)
from whisktrain.data.preprocessing.feature_selection import (
    Selection,
    can_keep,
    is_usable,
    no_features,
    select_features,
)
from whisktrain.data.preprocessing.features import Features
from whisktrain.data.preprocessing.fit import Scale, fit
from whisktrain.data.preprocessing.image_scaler import fit_image_scaler
from whisktrain.data.preprocessing.missing_words import empty_words, word_notices, words_of
from whisktrain.data.preprocessing.named_columns import with_known_columns
from whisktrain.data.preprocessing.preprocessor import Preprocessor
from whisktrain.data.preprocessing.target_scaling import scale_target
from whisktrain.data.preprocessing.validation_split import random_split, split_table
from whisktrain.data.shards.rows import SplitRows
from whisktrain.data.table import Images, Table
from whisktrain.errors import DataError
from whisktrain.request import DataRequest

__all__ = ["Prepared", "prepare"]

MOST_NAMED_PIXELS = 4096
"""Pixels of larger images have no names."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Rows ready for sharding, and everything that was learned and inferred.

    Attributes:
        preprocessor: The fitted preprocessing.
        rows: The rows that have a target.
        target: What is predicted.
        read: Rows of the source.
        split: How validation rows were chosen.
        features: The features' names.
        columns: The report of each column.
        warnings: What the user should know, in sentences.
    """

    preprocessor: Preprocessor
    rows: SplitRows
    target: Target
    read: int
    split: SplitReport
    features: list[str]
    columns: list[ColumnReport]
    warnings: list[str]


def prepare(
    source: Table | Images, request: DataRequest, seed: int, model: ModelTarget | None = None
) -> Prepared:
    """Turn a source's rows into features and targets.

    Args:
        source: The rows as read.
        request: The request's section `data`.
        seed: The request's seed.
        model: What a given model decides about its targets.

    Raises:
        DataError: They cannot be used as asked; the message says which column or row.
    """
    if isinstance(source, Images):
        return _prepare_images(source, request, seed, model)
    return _prepare_table(source, request, seed, model)


def _standardises(request: DataRequest, model: ModelTarget | None) -> bool:
    """Whether values to predict are standardised: not where nothing is scaled, or the model could not answer with them."""
    return request.scale != "none" and (model is None or model.standardise)


def _prepare_images(
    images: Images, request: DataRequest, seed: int, model: ModelTarget | None
) -> Prepared:
    names_columns = (
        request.keep or request.types or request.drop or request.target not in (None, "target")
    )
    if names_columns or request.shards.how == "by" or request.split.startswith("time"):
        raise DataError(
            "Images have no columns; expected no drop, keep, types, target, shards by a column or split by time.",
            code="no_columns",
        )
    target = read_target(images.labels, "target", task=request.task, model=model)
    split = random_split(target, request.validation, seed, "images have no order of time")
    held_out = split.held_out
    y, mean, scale = scale_target(target, held_out, standardise=_standardises(request, model))
    numbers = np.flatnonzero(target.used)
    scaler, done = fit_image_scaler(images, numbers[~held_out], request.scale)
    preprocessor = Preprocessor((), scaler, target.classes, mean, scale, "target")
    x = scaler.scale(images.pixels[numbers])
    columns: list[ColumnReport] = [
        {
            "name": "image",
            "type": "image",
            "role": "feature",
            "done": done,
            "missing": 0,
        },
        target_report("target", target, "the images' labels", len(images) - len(numbers)),
    ]
    return Prepared(
        preprocessor,
        SplitRows(x, y, numbers, held_out),
        target,
        len(images),
        split.report,
        list(images.names) or _pixel_names(scaler.shape),
        columns,
        [*images.notices, *target_warnings(target, len(images))],
    )


def _pixel_names(shape: tuple[int, ...]) -> list[str]:
    height, width, channels = shape
    if height * width * channels > MOST_NAMED_PIXELS:
        return []
    return [
        f"pixel_{i}_{j}_{k}" for i in range(height) for j in range(width) for k in range(channels)
    ]


def _prepare_table(
    table: Table, request: DataRequest, seed: int, model: ModelTarget | None
) -> Prepared:
    request = with_known_columns(request, table.names)
    words = words_of(table, request)
    table, marked = empty_words(table, words)
    inferred = _infer_types(table, request)
    usable = [name for name, found in inferred.items() if is_usable(found) and found.distinct > 1]
    target_name, target_reason = find_target(
        table.names, request.target, usable, of_source=table.target
    )
    if target_name in request.drop:
        raise DataError(
            f"The column {target_name!r} is both the target and in data.drop.",
            code="no_target",
            hint="Leave it out of data.drop, or name another target.",
        )
    target = _read_target(table, target_name, request, model)
    of_others = {name: found for name, found in inferred.items() if name != target_name}
    split = split_table(table, of_others, target, request, seed)
    held_out = split.held_out
    selection = select_features(inferred, target_name, request.keep, len(table))

    numbers = np.flatnonzero(target.used)
    features = _fit_features(table, selection, request.scale, numbers, held_out)
    if not features.names:
        raise no_features(selection.types, target_name, len(table), constant=selection.chosen)
    check_matrix(len(numbers), len(features.names))
    x = _transform(table, features, numbers)
    y, mean, scale = scale_target(target, held_out, standardise=_standardises(request, model))
    others = tuple(name for name in table.names if name != target_name)
    preprocessor = Preprocessor(
        others, features, target.classes, mean, scale, target_name, missing_words=words
    )

    target_column = target_report(target_name, target, target_reason, len(table) - len(numbers))
    columns = _column_reports(table, request, selection, features, target_column)
    by = request.shards.column
    groups = None if by is None else _groups(table, by, numbers)
    warnings = [
        *table.notices,
        *split.notices,
        *selection.notices,
        *_type_notices(table, selection, target_name),
        *word_notices(marked, selection, target, target_name),
        *_asked_in_vain(request, columns),
        *target_warnings(target, len(table)),
    ]
    rows = SplitRows(x, y, numbers, held_out, groups)
    names = list(features.names)
    return Prepared(preprocessor, rows, target, len(table), split.report, names, columns, warnings)


def _read_target(
    table: Table, name: str, request: DataRequest, model: ModelTarget | None
) -> Target:
    """The target; of a column that data.types calls categorical, its classes."""
    as_classes = request.task == "auto" and request.types.get(name) == "categorical"
    task = "classification" if as_classes else request.task
    target = read_target(table.column(name), name, task=task, decimal=table.decimal, model=model)
    return replace(target, reason="data.types calls it categorical") if as_classes else target


def _infer_types(table: Table, request: DataRequest) -> dict[str, ColumnType]:
    """The type of each column that is not dropped."""
    return {
        name: infer_type(
            table.column(name), name, decimal=table.decimal, force=request.types.get(name)
        )
        for name in table.names
        if name not in request.drop
    }


def _fit_features(
    table: Table,
    selection: Selection,
    scale: Scale,
    numbers: NDArray[np.int64],
    held_out: NDArray[np.bool_],
) -> Features:
    """Fit the features on the training rows among those that have a target."""
    training = numbers[~held_out]
    check_matrix(len(numbers), len(selection.chosen))
    chosen = [(name, selection.types[name]) for name in selection.chosen]
    return fit(chosen, lambda name: table.column(name).iloc[training], scale)


def _transform(table: Table, features: Features, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
    """The features of the rows that have a target."""
    used = table.frame.iloc[numbers]
    position = {name: at for at, name in enumerate(table.names)}
    try:
        x, _ = features.transform(lambda name: used.iloc[:, position[name]], len(used))
    except DataError as error:
        if error.code != "value_too_large":
            raise
        raise DataError(f"In the data: {error.message}", code=error.code, hint=error.hint) from None
    return x


def _column_reports(
    table: Table,
    request: DataRequest,
    selection: Selection,
    features: Features,
    target: ColumnReport,
) -> list[ColumnReport]:
    """The report of each of the source's columns, in order."""
    encoders = {encoder.name: encoder for encoder in features.columns}
    chosen, dropped = frozenset(selection.chosen), frozenset(request.drop)
    reports = []
    for name in table.names:
        if name == target["name"]:
            reports.append(target)
        elif name in dropped:
            reports.append(dropped_report(name))
        else:
            found = selection.types[name]
            if name not in chosen:
                keepable = can_keep(found, len(table))
                reason = found.reason or found.kind
                reports.append(left_out_report(name, found, reason, keepable=keepable))
            elif name not in encoders:
                reason = _constant_reason(found)
                reports.append(left_out_report(name, found, reason, keepable=False))
            else:
                reports.append(feature_report(found, encoders[name], request.scale))
    return reports


def _asked_in_vain(request: DataRequest, columns: Sequence[ColumnReport]) -> list[str]:
    """The columns that the request keeps or gives a type, and that are left out all the same."""
    notices = []
    for column in columns:
        option = "keep" if column["name"] in request.keep else "types"
        asked = column["name"] in [*request.keep, *request.types]
        if asked and column["role"] == "dropped" and column["name"] not in request.drop:
            notices.append(f"data.{option} names {column['name']!r}, but it is {column['done']}.")
    return notices


def _constant_reason(found: ColumnType) -> str:
    if found.kind == "categorical" and found.distinct > 1:
        return "one category only, or each in one row only, among the training rows"
    return "constant in the training rows"


def _type_notices(table: Table, selection: Selection, target: str) -> list[str]:
    """What type inference noticed about the columns but the target, in their order."""
    return [
        f"{name!r}: {notice}."
        for name in table.names
        if name != target and name in selection.types
        for notice in selection.types[name].notices
    ]


def _groups(table: Table, column: str, numbers: NDArray[np.int64]) -> list[str]:
    """Each row's group, for shards by a column; rows without a value are one group."""
    codes, values = factorize(table.column(column).iloc[numbers])
    names = [
        "" if is_missing(value) else "=" + cell_category(value, numeric=False) for value in values
    ]
    return [names[code] for code in codes]
