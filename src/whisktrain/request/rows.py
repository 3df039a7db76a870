"""Rows to decide on, as callers write them: one row may stand for a list of rows, and a text that holds JSON for that JSON."""

from __future__ import annotations

from collections.abc import Mapping

from whisktrain.errors import RequestError
from whisktrain.jsontypes import Json, parse_json
from whisktrain.request.parsing import parse
from whisktrain.request.sections import PredictRequest

__all__ = ["as_rows", "parse_flat", "parse_predict", "read_rows"]


def parse_predict(section: Mapping[str, Json]) -> PredictRequest:
    """Check a `predict` section, as `parse`, with its rows in any of these forms."""
    rows = section.get("rows")
    if rows is None:
        return parse(PredictRequest, section)
    return parse(
        PredictRequest,
        {**section, "rows": as_rows(read_rows(rows) if isinstance(rows, str) else rows)},
    )


def parse_flat(payload: Mapping[str, Json]) -> PredictRequest:
    """Check a call of its own, as `parse_predict`; keys that are no settings are the columns of one row.

    So that a form or the query of an address can ask: `?model=churn&age=41&plan=gold`. Where rows are given too, or a value
    is a list or an object, such a key is unknown as anywhere else.
    """
    row = {key: value for key, value in payload.items() if key not in PredictRequest.model_fields}
    flat = payload.get("rows") is None and payload.get("source") is None
    if not row or not flat or any(isinstance(value, (dict, list)) for value in row.values()):
        return parse_predict(payload)
    settings = {key: value for key, value in payload.items() if key not in row}
    return parse_predict({**settings, "rows": [row]})


def as_rows(content: Json) -> Json:
    """A list of rows for a single row, an object or a list of plain values; anything else as it is."""
    single = isinstance(content, dict) or (
        isinstance(content, list)
        and bool(content)
        and not any(isinstance(value, (dict, list)) for value in content)
    )
    return [content] if single else content


def read_rows(text: str) -> Json:
    """The JSON that a text holds.

    Raises:
        RequestError: It holds none.
    """
    try:
        return parse_json(text)
    except ValueError:
        raise RequestError(
            f"rows was the text {text[:60]!r}, which is no JSON.",
            code="bad_rows",
            hint='Send a list of objects or of arrays, such as [{"age": 31}] or [[0.1, 2]].',
        ) from None
