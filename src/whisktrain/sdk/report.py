"""What was done with the data, in a few lines: rows, target, each column's treatment, warnings. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["data_report"]

_NAMES = 12
"""Columns of one treatment that are named; of more, the rest is counted."""


def data_report(body: Mapping[str, Any]) -> list[str]:
    """The lines for a data set's document."""
    rows, shards = body.get("rows") or {}, body.get("shards") or []
    lines = [
        f"data: {body.get('name') or body.get('source')}: {rows.get('read')} rows read, {rows.get('used')} used"
        + (f", {rows['dropped']} dropped" if rows.get("dropped") else "")
        + f"; {sum(shards)} to train in {len(shards)} shards, {sum(body.get('validation') or [])} to validate"
    ]
    what = f"{len(body['classes'])} classes" if body.get("classes") else "values"
    lines.append(f"target: {body.get('target')}: {body.get('task')}, {what} ({body.get('reason')})")
    groups: dict[tuple[str, str], list[str]] = {}
    for column in body.get("columns") or []:
        if column["role"] == "target":
            continue
        missing = f" ({column['missing']} missing)" if column.get("missing") else ""
        groups.setdefault((column["role"], column["done"]), []).append(f"{column['name']}{missing}")
    for (role, done), names in sorted(groups.items(), key=lambda g: g[0][0] == "dropped"):
        if role == "dropped":
            lines += [f"left out: {name}: {done.removeprefix('left out: ')}; --keep uses it" for name in names]
        else:
            more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
            lines.append(f"columns: {', '.join(names[:_NAMES])}{more}: {done}")
    told = [w for w in body.get("warnings") or [] if not str(w).startswith("Left out as")]
    return [*lines, *(f"note: {warning}" for warning in told)]
