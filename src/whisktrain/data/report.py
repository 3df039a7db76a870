"""The data set's document, and the short form of it that travels in results."""

from __future__ import annotations

import json
from typing import TypedDict

import numpy as np

from whisktrain.data.dataset import (
    ColumnReport,
    DataReport,
    DatasetBody,
    SplitReport,
    TargetStatistics,
    UsedData,
)
from whisktrain.data.preprocessing.prepare import Prepared
from whisktrain.data.preprocessing.preprocessor import Preprocessor
from whisktrain.data.shards.rows import ShardedRows
from whisktrain.data.sources.source import Source
from whisktrain.records.ids import SCHEMA
from whisktrain.request import DataRequest
from whisktrain.spec import Label

__all__ = ["dataset_body", "resharded_body", "shorten", "used_data"]

MOST_BYTES = 64 * 1024
MOST_ENTRIES = 200
MOST_SAID = 20
MOST_TEXT = 160
MOST_WARNING = 4 * MOST_TEXT


_UNKNOWN_SPLIT: SplitReport = {
    "how": "random",
    "column": None,
    "reason": "made by an earlier build",
}


class _ShardFields(TypedDict):
    """The fields of `DatasetBody` that depend on the shards."""

    y: TargetStatistics
    shards: list[int]
    validation: list[int]


def dataset_body(
    prepared: Prepared, sharded: ShardedRows, request: DataRequest, source: Source
) -> DatasetBody:
    """The document of a new data set.

    Args:
        prepared: What was learned and inferred.
        sharded: The rows with their shards.
        request: The request's section `data`.
        source: Where the rows came from.
    """
    target = prepared.target
    preprocessor = prepared.preprocessor
    used = len(prepared.rows.y)
    return {
        "schema": SCHEMA,
        "source": source.title,
        "name": source.name,
        "task": target.task,
        "reason": target.reason,
        "target": preprocessor.target,
        "classes": None if target.classes is None else list(target.classes),
        "features": prepared.features,
        "x_shape": list(preprocessor.x_shape),
        "image": preprocessor.is_image,
        "columns": prepared.columns,
        "warnings": [*prepared.warnings, *sharded.warnings],
        "rows": {"read": prepared.read, "used": used, "dropped": prepared.read - used},
        "split": prepared.split,
        "asked": {
            "target": request.target,
            "task": request.task,
            "validation": request.validation,
            "split": request.split,
            "scale": request.scale,
        },
        **_shard_fields(sharded, preprocessor),
    }


def resharded_body(
    body: DatasetBody, sharded: ShardedRows, preprocessor: Preprocessor
) -> DatasetBody:
    """The document of an earlier data set whose rows are spread over other shards.

    Args:
        body: The earlier data set's document.
        sharded: Its rows with their new shards.
        preprocessor: Its fitted preprocessing.
    """
    warnings = [*body["warnings"], *sharded.warnings]
    return {**body, **_shard_fields(sharded, preprocessor), "warnings": warnings}


def _shard_fields(sharded: ShardedRows, preprocessor: Preprocessor) -> _ShardFields:
    numbers = range(sharded.shards)
    return {
        "y": _target_statistics(sharded, preprocessor),
        "shards": [int((sharded.shard == k).sum()) for k in numbers],
        "validation": [int((sharded.slice_ == k).sum()) for k in numbers],
    }


def _target_statistics(sharded: ShardedRows, preprocessor: Preprocessor) -> TargetStatistics:
    if preprocessor.classes is None:
        return {"kind": "value", "mean": preprocessor.mean, "scale": preprocessor.scale}
    training = sharded.rows.y[sharded.shard >= 0]
    counts = np.bincount(training.astype(np.int64), minlength=len(preprocessor.classes))
    return {"kind": "class", "counts": [int(count) for count in counts]}


def shorten(body: DatasetBody) -> DataReport:
    """The report for a result: all counts, but long lists and texts are cut, so that it stays below 100 KB."""
    most = MOST_ENTRIES
    while True:
        report = _cut_report(body, most)
        if len(json.dumps(report)) <= MOST_BYTES or most == 0:
            return report
        most //= 2


def used_data(dataset: str, body: DatasetBody) -> UsedData:
    """What a run's result says of its data.

    Args:
        dataset: The data set's id.
        body: Its document.
    """
    return {
        "dataset": f"dataset:{dataset}",
        "rows": body["rows"],
        "split": body.get("split", _UNKNOWN_SPLIT),
        "warnings": [_cut(warning, MOST_WARNING) for warning in body["warnings"][:MOST_SAID]],
    }


def _cut_report(body: DatasetBody, most: int) -> DataReport:
    """The report with at most `most` entries in each list."""
    classes = body["classes"]
    return {
        "source": _cut(body["source"]),
        "name": body["name"],
        "task": body["task"],
        "reason": body["reason"],
        "target": body["target"],
        "classes": None if classes is None else [_cut_label(label) for label in classes[:most]],
        "features": [_cut(name) for name in body["features"][:most]],
        "x_shape": body["x_shape"],
        "image": body["image"],
        "columns": [_cut_column(column) for column in body["columns"][:most]],
        "warnings": [_cut(warning, MOST_WARNING) for warning in body["warnings"][:most]],
        "rows": body["rows"],
        "split": body.get("split", _UNKNOWN_SPLIT),
        "y": body["y"],
        "shards": body["shards"],
        "validation": body["validation"],
        "feature_count": len(body["features"]),
        "class_count": len(classes or []),
        "column_count": len(body["columns"]),
    }


def _cut_column(column: ColumnReport) -> ColumnReport:
    return {
        **column,
        "name": _cut(column["name"]),
        "done": _cut(column["done"]),
    }


def _cut_label(label: Label) -> Label:
    return _cut(label) if isinstance(label, str) else label


def _cut(text: str, most: int = MOST_TEXT) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
