"""A source's rows to features and targets: what each column is for, what is learned from training rows, what is reported."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whisktrain.data.columns.cells import distinct, is_missing, key_of
from whisktrain.data.columns.inference import Typed, decide
from whisktrain.data.columns.target import Target, find_target, read_target
from whisktrain.data.limits import check_matrix
from whisktrain.data.preprocessing.features import fit
from whisktrain.data.preprocessing.preprocessor import Fitted, Picture
from whisktrain.data.shards.splits import strata_of, validation_rows
from whisktrain.data.table import Images, Table
from whisktrain.errors import DataError
from whisktrain.request import DataRequest

__all__ = ["Prepared", "prepare"]

MOST_NAMED_PIXELS = 4096
"""Pixels of larger images have no names."""

UNUSABLE = ("text", "id", "nested", "empty")


@dataclass(frozen=True, slots=True)
class Prepared:
    """Rows ready to be dealt out, and everything that was decided on the way.

    Attributes:
        fitted: The fitted preprocessing.
        x: Features of the used rows, float32 of shape (rows, *x_shape).
        y: Targets of the used rows: class numbers (int64) or standardised values (float32), shape (rows,).
        numbers: The used rows' numbers in the source, from 0, shape (rows,).
        held_out: Which of them validate, shape (rows,).
        groups: The group of each used row, where shards go by a column.
        target: What is predicted.
        read: Rows of the source.
        features: The features' names.
        columns: The report of each column.
        warnings: What the user should know, in sentences.
    """

    fitted: Fitted
    x: NDArray[np.float32]
    y: NDArray[Any]
    numbers: NDArray[np.int64]
    held_out: NDArray[np.bool_]
    groups: list[str] | None
    target: Target
    read: int
    features: list[str]
    columns: list[dict[str, Any]]
    warnings: list[str] = field(default_factory=list)


def prepare(source: Table | Images, request: DataRequest, seed: int) -> Prepared:
    """Turn a source's rows into features and targets.

    Args:
        source: The rows as read.
        request: The request's section `data`.
        seed: The request's seed.

    Raises:
        DataError: They cannot be used as asked; the message says which column or row.
    """
    return _prepare_images(source, request, seed) if isinstance(source, Images) else _prepare_table(source, request, seed)


def _prepare_images(source: Images, request: DataRequest, seed: int) -> Prepared:
    if request.shards.how == "by" or request.keep or request.types or request.drop or request.target not in (None, "target"):
        raise DataError(
            "Images have no columns; expected no drop, keep, types, target or shards by a column.", code="no_columns"
        )
    target = read_target(source.labels, "target", task=request.task)
    numbers = np.flatnonzero(target.used)
    held_out = validation_rows(strata_of(target.y, target.task), request.validation, seed)
    picture = Picture(tuple(int(n) for n in source.pixels.shape[1:]), source.divisor, source.names)
    y, mean, scale = _standardised(target, held_out)
    fitted = Fitted((), None, picture, target.classes, mean, scale, "target")
    height, width, channels = picture.shape
    names = list(source.names)
    if not names and height * width * channels <= MOST_NAMED_PIXELS:
        names = [f"pixel_{i}_{j}_{k}" for i in range(height) for j in range(width) for k in range(channels)]
    columns = [
        {"name": "image", "type": "image", "role": "feature", "done": f"divided by {picture.divisor:g}", "missing": 0},
        _target_entry("target", target, "the images' labels", len(source) - len(numbers)),
    ]
    warnings = [*source.notices, *_target_warnings(target, len(source))]
    x = picture.scaled(source.pixels[target.used])
    return Prepared(fitted, x, y, numbers, held_out, None, target, len(source), names, columns, warnings)


def _prepare_table(table: Table, request: DataRequest, seed: int) -> Prepared:
    _check_names(table, request)
    typed = {
        name: decide(table.column(name), name, decimal=table.decimal, force=request.types.get(name))
        for name in table.names
        if name not in request.drop
    }
    usable = [name for name, found in typed.items() if found.kind not in UNUSABLE and found.distinct > 1]
    name, why = find_target(table, request.target, usable)
    if name in request.drop:
        raise DataError(f"The column {name!r} is both the target and in data.drop.", code="no_target")
    target = read_target(table.column(name), name, task=request.task, decimal=table.decimal)
    numbers = np.flatnonzero(target.used)
    held_out = validation_rows(strata_of(target.y, target.task), request.validation, seed)
    chosen, notices = _choose(typed, name, request.keep)

    training = numbers[~held_out]
    check_matrix(len(numbers), len(chosen))
    features = fit([(n, typed[n]) for n in chosen], lambda n: table.column(n).iloc[training], request.scale)
    if not features.names:
        raise _no_features(typed, name, dict.fromkeys(chosen, "constant"))
    check_matrix(len(numbers), len(features.names))
    used = table.frame.iloc[numbers]
    at = {n: k for k, n in enumerate(table.names)}
    try:
        x, _ = features.transform(lambda n: used.iloc[:, at[n]], len(used))
    except DataError as error:
        if error.code != "value_too_large":
            raise
        raise DataError(f"In the data: {error.message}", code=error.code, hint=error.hint) from None

    y, mean, scale = _standardised(target, held_out)
    others = tuple(n for n in table.names if n != name)
    fitted = Fitted(others, features, None, target.classes, mean, scale, name)
    done = {c.name: c for c in features.columns}
    columns = []
    for n in table.names:
        if n == name:
            columns.append(_target_entry(n, target, why, len(table) - len(numbers)))
        elif n in request.drop:
            columns.append({"name": n, "type": "unknown", "role": "dropped", "done": "dropped as asked", "missing": 0})
        else:
            columns.append(_entry(n, typed[n], done.get(n), chosen=n in chosen, scale=request.scale, features=features.names))
            notices += [f"{n!r}: {notice}." for notice in typed[n].notices]
    groups = _groups(table, request.shards.column, numbers) if request.shards.column is not None else None
    warnings = [*table.notices, *notices, *_target_warnings(target, len(table))]
    return Prepared(fitted, x, y, numbers, held_out, groups, target, len(table), list(features.names), columns, warnings)


def _check_names(table: Table, request: DataRequest) -> None:
    named = [("drop", request.drop), ("keep", request.keep), ("types", list(request.types))]
    if request.shards.column is not None:
        named.append(("shards.by", [request.shards.column]))
    for what, names in named:
        for name in names:
            if name not in table.names:
                near = difflib.get_close_matches(name, table.names, n=1, cutoff=0.5)
                raise DataError(
                    f"data.{what} names the column {name!r}, which the data does not have.",
                    code="no_column",
                    hint=f"Did you mean {near[0]!r}?" if near else "",
                )


def _choose(typed: dict[str, Typed], target: str, keep: Sequence[str]) -> tuple[list[str], list[str]]:
    """Which columns become features; changes `typed` for what is kept though it looks unusable."""
    notices = []
    for name in keep:
        if name in typed and typed[name].kind in ("text", "id"):
            typed[name] = replace(typed[name], kind=typed[name].otherwise, reason="kept as asked")
    chosen = [n for n, found in typed.items() if n != target and found.kind not in UNUSABLE]
    if not any(typed[n].distinct > 1 for n in chosen):
        # Rather a column that counts than none: tiny tables of x and y look like that.
        for name, found in typed.items():
            if name != target and found.kind == "id" and found.otherwise == "numeric":
                typed[name] = replace(found, kind="numeric", reason="used for want of others")
                notices.append(f"{name!r} {found.reason}, but is used: there is no other column.")
        chosen = [n for n, found in typed.items() if n != target and found.kind not in UNUSABLE]
    if not chosen:
        raise _no_features(typed, target, {})
    looks = {"text": "free text", "id": "an id", "nested": "nested", "empty": "empty"}
    dropped = [n for n, found in typed.items() if n != target and found.kind in UNUSABLE]
    for kind, words in looks.items():
        names = [n for n in dropped if typed[n].kind == kind]
        if names:
            hint = "; data.keep keeps them" if kind in ("text", "id") else ""
            notices.append(f"Left out as {words}: {_listed(names)}{hint}.")
    return chosen, notices


def _no_features(typed: dict[str, Typed], target: str, constant: dict[str, str]) -> DataError:
    said = [f"{n!r} is {constant.get(n) or found.reason or found.kind}" for n, found in typed.items() if n != target]
    shown = "; ".join(said[:10]) + (f"; and {len(said) - 10} more" if len(said) > 10 else "")
    return DataError(
        f"No column is left to learn from: {shown or f'{target!r} is the only one'}.",
        code="no_features",
        hint="data.keep and data.types keep columns that look like ids or free text.",
    )


def _standardised(target: Target, held_out: NDArray[np.bool_]) -> tuple[NDArray[Any], float, float]:
    """Targets as the model sees them, and the mean and scale of regression targets on training rows."""
    if target.classes is not None:
        return target.y.astype(np.int64), 0.0, 1.0
    largest = float(np.abs(target.y).max())
    if largest > 1e150:
        raise DataError(f"The target has values up to {largest:.3g}; expected at most 1e150 in size.", code="value_too_large")
    mean = float(target.y[~held_out].mean())
    scale = float(target.y[~held_out].std()) or 1.0
    with np.errstate(over="ignore"):
        y = ((target.y - mean) / scale).astype(np.float32)
    if not np.isfinite(y).all():
        at = int(np.argmin(np.isfinite(y)))
        row = int(np.flatnonzero(target.used)[at])
        raise DataError(
            f"The target of row {row + 1} is too far from the others ({target.y[at]:.3g}) for a float32.",
            code="value_too_large",
            hint="Correct the row, or leave its target empty to drop it.",
        )
    return y, mean, scale


def _groups(table: Table, column: str, numbers: NDArray[np.int64]) -> list[str]:
    codes, values = distinct(table.column(column).iloc[numbers])
    keys = ["" if is_missing(v) else "=" + key_of(v, numeric=False) for v in values]
    return [keys[code] for code in codes]


def _target_entry(name: str, target: Target, why: str, missing: int) -> dict[str, Any]:
    kind = "numeric" if target.classes is None else "categorical"
    done = f"taken as the target: {why}; {target.task}: {target.reason}"
    return {"name": name, "type": kind, "role": "target", "done": done, "missing": missing}


def _target_warnings(target: Target, rows: int) -> list[str]:
    warnings = []
    dropped = rows - int(target.used.sum())
    if dropped:
        warnings.append(f"{dropped} row(s) without a target were left out.")
    if target.classes is not None:
        counts = np.bincount(target.y, minlength=len(target.classes))
        single = [repr(label) for label, n in zip(target.classes, counts, strict=True) if n == 1]
        if single:
            shown = ", ".join(single[:10]) + (f" and {len(single) - 10} more" if len(single) > 10 else "")
            warnings.append(f"Class(es) with a single row, which stays in training: {shown}.")
    return warnings


def _entry(name: str, typed: Typed, column: Any, *, chosen: bool, scale: str, features: Sequence[str]) -> dict[str, Any]:
    """What the report says of one column."""
    entry: dict[str, Any] = {"name": name, "type": typed.kind, "role": "feature", "done": "", "missing": typed.missing}
    if not chosen:
        return {**entry, "role": "dropped", "done": f"left out: {typed.reason or typed.kind}"}
    if column is None:
        return {**entry, "role": "dropped", "done": "left out: constant in the training rows"}
    if column.kind == "categorical":
        own = [f for f in features if f.startswith(f"{name}=")]
        rare = ", the rare ones together" if f"{name}=(other)" in own else ""
        filled = "; missing is a category" if column.missing_category else ""
        done = f"one feature for each of {len(column.categories)} categories{rare}{filled}"
    else:
        verb = {"standard": "standardised", "minmax": "scaled to 0..1", "none": "not scaled"}[scale]
        fill = "the most frequent" if column.kind == "boolean" else "the median"
        filled = f"; missing filled with {fill}" + (", and marked" if column.flag else "") if typed.missing else ""
        what = {"numeric": verb, "boolean": "as 0 and 1", "date": f"as {', '.join(column.parts)}, {verb}"}[column.kind]
        done = what + filled
    return {**entry, "done": done}


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(n) for n in names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
