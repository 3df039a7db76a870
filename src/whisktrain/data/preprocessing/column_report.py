"""The report of each column: how it was preprocessed, or why it was left out."""

from __future__ import annotations

import numpy as np

from whisktrain.data.columns.column_type import ColumnType
from whisktrain.data.columns.target import Target
from whisktrain.data.dataset import ColumnReport
from whisktrain.data.preprocessing.column_encoder import ColumnEncoder
from whisktrain.data.preprocessing.fit import Scale

__all__ = [
    "dropped_report",
    "feature_report",
    "left_out_report",
    "target_report",
    "target_warnings",
]

MOST_SHOWN = 10

_SCALED: dict[Scale, str] = {
    "standard": "standardised",
    "minmax": "scaled to 0..1",
    "none": "not scaled",
}


def target_report(name: str, target: Target, reason: str, missing: int) -> ColumnReport:
    """The report of the target's column.

    Args:
        name: Its name.
        target: The target.
        reason: Why it was chosen.
        missing: Rows without a target.
    """
    kind = "numeric" if target.classes is None else "categorical"
    done = f"taken as the target: {reason}; {target.task}: {target.reason}"
    return {"name": name, "type": kind, "role": "target", "done": done, "missing": missing}


def dropped_report(name: str) -> ColumnReport:
    """The report of a column that the request drops."""
    return {
        "name": name,
        "type": "unknown",
        "role": "dropped",
        "done": "dropped as asked",
        "missing": 0,
    }


def left_out_report(name: str, found: ColumnType, reason: str, *, keepable: bool) -> ColumnReport:
    """The report of a column that is left out.

    Args:
        name: Its name.
        found: Its type.
        reason: Why.
        keepable: Whether data.keep uses it.
    """
    return {
        "name": name,
        "type": found.kind,
        "role": "dropped",
        "done": f"left out: {reason}",
        "missing": found.missing,
        "keepable": keepable,
    }


def feature_report(found: ColumnType, encoder: ColumnEncoder, scale: Scale) -> ColumnReport:
    """The report of a column that became features.

    Args:
        found: Its type.
        encoder: How it becomes features.
        scale: How numbers are scaled.
    """
    if encoder.kind == "categorical":
        done = _encoded(encoder)
    else:
        done = _scaled(encoder, scale) + (_imputed(encoder) if found.missing else "")
    return {
        "name": encoder.name,
        "type": found.kind,
        "role": "feature",
        "done": done,
        "missing": found.missing,
    }


def _encoded(encoder: ColumnEncoder) -> str:
    own, rare = len(encoder.categories), len(encoder.rare)
    if not rare:
        done = (
            f"one feature for each of {own} categories"
            if own > 1
            else "one feature for its only value"
        )
    elif own:
        done = f"one feature for each of the {own} most frequent categories, one for the other {rare} together"
    else:
        done = f"one feature for all {rare} categories together, as each is rare"
    return done + (", one for missing values" if encoder.missing_category else "")


def _scaled(encoder: ColumnEncoder, scale: Scale) -> str:
    if encoder.kind == "boolean":
        return "as 0 and 1"
    if encoder.kind == "date":
        return f"as {', '.join(encoder.parts)}, {_SCALED[scale]}"
    return _SCALED[scale]


def _imputed(encoder: ColumnEncoder) -> str:
    fill = "the most frequent" if encoder.kind == "boolean" else "the median"
    marked = ", and marked" if encoder.flag else ""
    return f"; missing filled with {fill}{marked}"


def target_warnings(target: Target, rows: int) -> list[str]:
    """What the user should know about the target, in sentences.

    Args:
        target: The target.
        rows: Rows of the source.
    """
    warnings = []
    dropped = rows - int(target.used.sum())
    if dropped:
        warnings.append(f"{dropped} row(s) without a target were left out.")
    if target.classes is not None:
        counts = np.bincount(target.y.astype(np.int64), minlength=len(target.classes))
        single = [
            repr(label) for label, count in zip(target.classes, counts, strict=True) if count == 1
        ]
        if single:
            more = f" and {len(single) - MOST_SHOWN} more" if len(single) > MOST_SHOWN else ""
            shown = ", ".join(single[:MOST_SHOWN]) + more
            warnings.append(f"Class(es) with a single row, which stays in training: {shown}.")
    return warnings
