"""Decisions with a trained model: from a caller's rows to the request, and from the answer to all its decisions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from whisktrain.jsontypes import JsonObject
from whisktrain.sdk import requests
from whisktrain.serving.results import Decided

if TYPE_CHECKING:
    from whisktrain.sdk.session import Session

__all__ = ["rows_section", "with_decisions"]

Answer = TypeVar("Answer", bound=Decided)


def rows_section(session: Session, rows: object) -> JsonObject:
    """The part of a request's `predict` section that holds rows: inline, or as an uploaded file.

    Args:
        session: Where files are uploaded.
        rows: Objects by column or arrays of features, one or many; a table of pandas or an array; a file; or "upload:ID".

    Raises:
        RequestError: A cell cannot be JSON; its row and column are named.
    """
    if isinstance(rows, str) and rows.startswith("upload:"):
        return {"source": rows}
    if isinstance(rows, (str, Path)):
        found = requests.rows_file(rows)
        if found is None:
            return {"source": session.upload(Path(rows).expanduser())}
        rows = found
    plain = requests.inline_rows(rows)
    text = json.dumps(plain, ensure_ascii=False, allow_nan=False).encode("utf-8", "surrogatepass")
    if len(text) > requests.LARGEST_INLINE:
        from whisktrain.data.sources.uploads import put_upload

        session.store.ensure()
        return {"source": put_upload(session.store, text, "rows.json")}
    return {"rows": plain}


def with_decisions(session: Session, answer: Answer) -> Answer:
    """The answer with the decisions in it that were stored because they were too many for it."""
    place = cast("str | None", answer.get("decisions_at"))
    if not place or not session.has_store:
        return answer
    from whisktrain.data.sources.uploads import get_upload

    lines = get_upload(session.store, place).bytes.decode().splitlines()
    return cast(Answer, {**answer, "decisions": [json.loads(line) for line in lines]})
