"""Stage 3: decisions from a trained model.

    payload ── of stage 2 (a run's result) ──► its model decides on the request's rows; says how the run ended
            └─ of a caller ({"model", "rows", …}) ──► the model named decides

The model stays in memory between calls. Rows go through exactly the preprocessing that was fitted in training.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from whisktrain.errors import RequestError, WhisktrainError
from whisktrain.request import PredictRequest, parse
from whisktrain.serving import answers, messages
from whisktrain.serving.loaded import open_model
from whisktrain.store.protocol import Store

__all__ = ["predict"]


def predict(payload: Mapping[str, Any], *, store: Store) -> dict[str, Any]:
    """Decide.

    Args:
        payload: Stage 2's result, with the request's `predict` section in it; or a request of its own: the keys of
            `PredictRequest`, where texts that hold JSON count as that JSON (a web query has only texts), and one row may stand
            for a list of rows.
        store: The store.

    Returns:
        Of a run: its result, with `message`, and with `decisions` where rows were given. Of a request: `{"model", "task",
        "classes", "decisions", "message", "notices"}`.

    Raises:
        RequestError: The rows cannot be used.
        NotFound: There is no such model, or upload.
    """
    if "run" in payload and "status" in payload:
        return _after_training(payload, store)
    request = parse(PredictRequest, _normalised(payload))
    if request.model is None:
        raise RequestError("The request names no model.", code="no_model", hint='Give "model": "NAME" or "NAME:VERSION".')
    return _decide(request.model, request, store)


def _after_training(payload: Mapping[str, Any], store: Store) -> dict[str, Any]:
    result = {key: value for key, value in payload.items() if key != "predict"}
    message = messages.of_training(result)
    request = parse(PredictRequest, _normalised(payload.get("predict") or {}))
    if request.rows is None and request.source is None:
        return {**result, "message": message}
    if result["status"] != "completed":
        return {**result, "decisions": None, "message": message}
    try:
        decided = _decide(request.model or str(result["model"]), request, store, result)
    except WhisktrainError as error:  # the model is trained: a mistake in the rows must not hide that
        return {
            **result,
            "decisions": None,
            "decisions_error": error.to_record(),
            "message": f"{message} {error}",
        }
    return {**decided, "message": f"{message} {decided['message']}"}


def _decide(name: str, request: PredictRequest, store: Store, result: Mapping[str, Any] | None = None) -> dict[str, Any]:
    model = open_model(store, name)
    decisions, notices = model.decide(_rows(request, store), top_k=request.top_k, missing=request.missing)
    target = model.body.get("target")
    answer = {
        "model": model.reference,
        "task": model.task,
        "classes": model.classes,
        "message": messages.of_decisions(decisions, target),
        "notices": notices,
    }
    if result is not None:
        answer = {**result, "message": answer["message"], "notices": notices}
    return answers.fit(answer, decisions, request.output, store)


def _rows(request: PredictRequest, store: Store) -> Any:
    if request.source is not None:
        from whisktrain.data.sources.source import read_rows_file
        from whisktrain.data.sources.uploads import get_upload

        upload = get_upload(store, request.source)
        if upload.name.endswith(".json"):  # arrays of features have no names of columns, so they are no table
            rows = _json(upload.bytes)
            if isinstance(rows, list) and rows and isinstance(rows[0], list):
                return rows
        return read_rows_file(store, request.source)
    if request.rows is None:
        raise RequestError(
            "The request has no rows to decide on.",
            code="no_rows",
            hint='Give "rows" (objects by column, or arrays of features), or "source": "upload:ID".',
        )
    return request.rows


def _json(content: bytes) -> Any:
    """A file's JSON; None where it holds none, which whoever reads it as a table says better."""
    try:
        return json.loads(content)
    except ValueError:
        return None


def _normalised(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The request with texts of a web query read as JSON, and a single row as a list of rows."""
    found = dict(payload)
    rows = found.get("rows")
    if isinstance(rows, str):
        try:
            rows = json.loads(rows)
        except ValueError:
            raise RequestError(
                f"rows was the text {rows[:60]!r}, which is no JSON.",
                code="bad_rows",
                hint='Send a list of objects or of arrays, such as [{"age": 31}] or [[0.1, 2]].',
            ) from None
    if isinstance(rows, dict) or (isinstance(rows, list) and rows and not any(isinstance(v, (list, dict)) for v in rows)):
        rows = [rows]
    if rows is not None:
        found["rows"] = rows
    return found
