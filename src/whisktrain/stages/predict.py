"""Stage 3: decisions from a trained model.

    payload ── of stage 2 (a run's result) ──► its model decides on the request's rows; says how the run ended
            └─ of a caller ({"model", "rows", …}) ──► the model named decides

The model stays in memory between calls. Rows go through exactly the preprocessing that was fitted in training.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from whisktrain.errors import RequestError, WhisktrainError
from whisktrain.jsontypes import Json, parse_json
from whisktrain.request import PredictRequest
from whisktrain.request.rows import parse_flat, parse_predict
from whisktrain.serving import answers, messages
from whisktrain.serving.loaded import LoadedModel, open_model
from whisktrain.serving.results import DecisionAnswer, RunResult

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from whisktrain.store.protocol import Store

__all__ = ["predict"]


def predict(payload: Mapping[str, Json], *, store: Store) -> RunResult | DecisionAnswer:
    """Decide on rows, or end the sequence.

    Args:
        payload: Stage 2's result, with the request's `predict` section in it; or a request of its own: the keys of
            `PredictRequest`, where texts that hold JSON count as that JSON (a web query has only texts), and one row may stand
            for a list of rows; or the columns of one row stand beside the other keys.
        store: The store.

    Returns:
        Of a run: its result, with `message`, and with `decisions` where rows were given. Of a request: the decisions.

    Raises:
        RequestError: The rows cannot be used.
        NotFound: There is no such model, or upload.
    """
    if "run" in payload and "status" in payload:
        return _after_training(cast(RunResult, dict(payload)), store)
    request = parse_flat(payload)
    if request.model is None:
        raise RequestError(
            "The request names no model.",
            code="no_model",
            hint='Give "model": "NAME" or "NAME:VERSION".',
        )
    model = open_model(store, request.model)
    answer: DecisionAnswer = {
        "model": model.reference,
        "task": model.task,
        "classes": model.classes,
    }
    return cast(DecisionAnswer, _decide(model, request, store, answer))


def _after_training(result: RunResult, store: Store) -> RunResult:
    """The result of the sequence: stage 2's, with decisions where rows were given."""
    section = result.pop("predict", {})
    message = messages.of_training(result)
    request = parse_predict(section)
    if request.rows is None and request.source is None:
        return {**result, "message": message}
    if result["status"] != "completed":
        return {**result, "decisions": None, "message": message}
    try:
        model = open_model(store, request.model or str(result.get("model")))
        decided = cast(RunResult, _decide(model, request, store, result))
    except (
        WhisktrainError
    ) as error:  # the model is trained: a mistake in the rows must not hide that
        failed = f"{message} {error}"
        return {
            **result,
            "decisions": None,
            "decisions_error": error.to_record(),
            "message": failed,
        }
    return {**decided, "message": f"{message} {decided['message']}"}


def _decide(
    model: LoadedModel, request: PredictRequest, store: Store, rest: RunResult | DecisionAnswer
) -> Mapping[str, object]:
    """An answer with decisions on the request's rows, added to the rest of it."""
    decisions, notices = model.decide(
        _rows(request, store), top_k=request.top_k, missing=request.missing
    )
    message = messages.of_decisions(decisions, model.body.get("target"))
    return answers.fit(
        {**rest, "message": message, "notices": notices}, decisions, request.output, store
    )


def _rows(
    request: PredictRequest, store: Store
) -> list[Json] | pd.DataFrame | NDArray[np.generic] | bytes:
    if request.source is not None:
        from whisktrain.data.sources.source import read_prediction_rows
        from whisktrain.data.sources.uploads import get_upload

        upload = get_upload(store, request.source)
        if upload.name.endswith(
            ".json"
        ):  # arrays of features have no names of columns, so they are no table
            rows = _json(upload.bytes)
            if isinstance(rows, list) and rows and isinstance(rows[0], list):
                return rows
        return read_prediction_rows(store, request.source)
    if request.rows is None:
        raise RequestError(
            "The request has no rows to decide on.",
            code="no_rows",
            hint='Give "rows" (objects by column, or arrays of features), or "source": "upload:ID".',
        )
    return request.rows


def _json(content: bytes) -> Json:
    """A file's JSON; None where it holds none: reading it as a table gives the better error."""
    try:
        return parse_json(content)
    except ValueError:
        return None
