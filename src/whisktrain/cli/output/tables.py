"""Rows and facts as aligned text, the same on a terminal and in a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["columns", "facts", "value"]


def value(thing: object) -> str:
    """One cell: numbers to four digits, nothing for None."""
    if thing is None:
        return "-"
    if isinstance(thing, bool):
        return "yes" if thing else "no"
    if isinstance(thing, float):
        return f"{thing:.4g}" if abs(thing) < 10_000 else f"{thing:.0f}"
    return str(thing)


def columns(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table: a line of names in capitals, then one line for each row. Columns with nothing in any row are left out."""
    kept = [i for i in range(len(head)) if any(row[i] is not None for row in rows)]
    head, rows = [head[i] for i in kept], [[row[i] for i in kept] for row in rows]
    cells = [[name.upper() for name in head], *([value(c) for c in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    return "\n".join(
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def _empty(thing: object) -> bool:
    return isinstance(thing, Mapping) and all(v is None for v in thing.values())


def facts(record: Mapping[str, object], indent: str = "") -> str:
    """Names and values, one a line, nested ones indented; what is None is left out."""
    known = {k: v for k, v in record.items() if v not in (None, {}, []) and not _empty(v)}
    width = max((len(k) for k, v in known.items() if not isinstance(v, Mapping)), default=0)
    lines = []
    for key, thing in known.items():
        if isinstance(thing, Mapping):
            lines += [f"{indent}{key}", facts(thing, indent + "  ")]
        else:
            text = (
                ", ".join(value(v) for v in thing)
                if isinstance(thing, (list, tuple))
                else value(thing)
            )
            lines.append(f"{indent}{key.ljust(width)}  {text}")
    return "\n".join(lines)
