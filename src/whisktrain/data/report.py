"""The data report: the data set's document, and the short form of it that travels in results."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from whisktrain.data.preprocessing.prepare import Prepared
from whisktrain.data.shards.storage import Dealt
from whisktrain.records.ids import SCHEMA
from whisktrain.request import DataRequest

__all__ = ["dealt_fields", "describe", "shorten"]

MOST_BYTES = 64 * 1024
MOST_COLUMNS = 200
MOST_TEXT = 160


def describe(prepared: Prepared, request: DataRequest, title: str, name: str) -> dict[str, Any]:
    """The data set's document, but for what depends on the shards.

    Args:
        prepared: What was learned and decided.
        request: The request's section `data`.
        title: The source, for people.
        name: A short name that a model may have after it.
    """
    target = prepared.target
    return {
        "schema": SCHEMA,
        "source": title,
        "name": name,
        "task": target.task,
        "reason": target.reason,
        "target": prepared.fitted.target,
        "classes": None if target.classes is None else list(target.classes),
        "features": prepared.features,
        "x_shape": list(prepared.fitted.x_shape),
        "image": prepared.fitted.picture is not None,
        "columns": prepared.columns,
        "warnings": prepared.warnings,
        "rows": {"read": prepared.read, "used": len(prepared.y), "dropped": prepared.read - len(prepared.y)},
        "asked": {"target": request.target, "task": request.task, "validation": request.validation, "scale": request.scale},
    }


def dealt_fields(body: dict[str, Any], rows: Dealt, shards: int, mean: float, scale: float) -> dict[str, Any]:
    """What depends on the shards: rows of each, and the training targets.

    Args:
        body: The document so far.
        rows: The rows with their places.
        shards: How many shards there are.
        mean: Regression: mean of the target on training rows.
        scale: Regression: standard deviation of it.
    """
    training = rows.y[rows.shard >= 0]
    if body["classes"] is None:
        y: dict[str, Any] = {"kind": "value", "mean": mean, "scale": scale}
    else:
        counts = np.bincount(training.astype(np.int64), minlength=len(body["classes"]))
        y = {"kind": "class", "counts": [int(n) for n in counts]}
    return {
        "y": y,
        "shards": [int((rows.shard == k).sum()) for k in range(shards)],
        "validation": [int((rows.slice_ == k).sum()) for k in range(shards)],
    }


def shorten(body: dict[str, Any]) -> dict[str, Any]:
    """The report for a result: all counts, but long lists and texts cut, always below 100 KB.

    Args:
        body: The data set's document.

    Returns:
        The document's fields; `feature_count`, `class_count` and `column_count` count what the lists may lack.
    """
    most = MOST_COLUMNS
    while True:
        report = {
            **{key: value for key, value in body.items() if key not in ("schema", "asked")},
            "source": _cut(body["source"]),
            "features": [_cut(name) for name in body["features"][:most]],
            "feature_count": len(body["features"]),
            "classes": None if body["classes"] is None else [_cut(label) for label in body["classes"][:most]],
            "class_count": len(body["classes"] or []),
            "columns": [{k: _cut(v) for k, v in column.items()} for column in body["columns"][:most]],
            "column_count": len(body["columns"]),
            "warnings": [_cut(text, 4 * MOST_TEXT) for text in body["warnings"][:most]],
        }
        if len(json.dumps(report)) <= MOST_BYTES or most == 0:
            return report
        most //= 2


def _cut(value: Any, most: int = MOST_TEXT) -> Any:
    return value[: most - 1] + "…" if isinstance(value, str) and len(value) > most else value
