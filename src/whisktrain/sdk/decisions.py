"""Decisions with a trained model: from a caller's rows to the request, and from the answer to all its decisions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar, cast, runtime_checkable

from whisktrain.jsontypes import Json, JsonObject
from whisktrain.sdk import requests
from whisktrain.serving.results import Decided

if TYPE_CHECKING:
    from whisktrain.sdk.session import Session

__all__ = ["rows_section", "with_decisions"]

LARGEST_INLINE = 400_000
"""Bytes of rows that travel in a request; more are uploaded."""

Answer = TypeVar("Answer", bound=Decided)


@runtime_checkable
class _Table(Protocol):
    """A pandas table."""

    def to_json(self, *, orient: str, date_format: str) -> str: ...


@runtime_checkable
class _Array(Protocol):
    """An array of NumPy or the like."""

    def tolist(self) -> Json: ...


def rows_section(session: Session, rows: object) -> JsonObject:
    """The part of a request's `predict` section that holds rows: inline, or as an uploaded file.

    Args:
        session: Where files are uploaded.
        rows: Objects by column or arrays of features, one or many; a pandas table or an array; a file; or "upload:ID".
    """
    if isinstance(rows, str) and rows.startswith("upload:"):
        return {"source": rows}
    if isinstance(rows, (str, Path)):
        found = requests.rows_file(rows)
        if found is None:
            return {"source": session.upload(Path(rows).expanduser())}
        rows = found
    if isinstance(rows, _Table):
        rows = json.loads(rows.to_json(orient="records", date_format="iso"))
    elif isinstance(rows, _Array):
        rows = rows.tolist()
    text = json.dumps(rows, ensure_ascii=False).encode()
    if len(text) > LARGEST_INLINE:
        from whisktrain.data.sources.uploads import put_upload

        session.store.ensure()
        return {"source": put_upload(session.store, text, "rows.json")}
    return {"rows": cast(Json, rows)}


def with_decisions(session: Session, answer: Answer) -> Answer:
    """The answer with the decisions in it that were stored because they were too many for it."""
    place = cast("str | None", answer.get("decisions_at"))
    if not place or not session.has_store:
        return answer
    from whisktrain.data.sources.uploads import get_upload

    lines = get_upload(session.store, place).bytes.decode().splitlines()
    return cast(Answer, {**answer, "decisions": [json.loads(line) for line in lines]})
