"""Answers within the platform's limit: inline where they fit, else as a stored file, else refused with the count that fits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from whisktrain.errors import RequestError
from whisktrain.serving.decisions import Decision
from whisktrain.store.protocol import Store

__all__ = ["MAX_ANSWER", "fit"]

MAX_ANSWER = 900_000
"""Bytes of a result: OpenWhisk's limit of 1 MB, less a margin for what it wraps around (results near the limit are slow)."""

_MESSAGE_MARGIN = 500
"""Bytes by which the message on other rows may be longer."""

_SEPARATOR = len(", ")
_KEY = len('"decisions": [], ')


def fit(
    answer: Mapping[str, object], decisions: Sequence[Decision], output: str, store: Store
) -> dict[str, object]:
    """Put the decisions into an answer.

    Args:
        answer: The rest of the answer.
        decisions: One for each row.
        output: "inline", "upload", or "auto": inline where it fits, else stored.
        store: Where large answers go.

    Returns:
        The answer with `decisions`; or with `decisions` null, and `decisions_at` ("upload:ID", a file of JSON lines) and
        `decisions_count` instead.

    Raises:
        RequestError: They were asked for inline and do not fit; the row count that fits is named.
    """
    lines = [json.dumps(decision, ensure_ascii=False, allow_nan=False) for decision in decisions]
    room = MAX_ANSWER - len(json.dumps(answer, ensure_ascii=False).encode()) - _KEY
    sizes = [len(line.encode()) + _SEPARATOR for line in lines]
    size = sum(sizes)
    if output == "upload" or (output == "auto" and size > room):
        from whisktrain.data.sources.uploads import put_upload

        content = "\n".join(lines) + "\n"
        place = put_upload(store, content.encode(), "decisions.jsonl")
        return {
            **answer,
            "decisions": None,
            "decisions_at": place,
            "decisions_count": len(decisions),
        }
    if size > room:
        fitting = max(0, (room - _MESSAGE_MARGIN) // max(sizes))
        raise RequestError(
            f"The decisions on {len(lines)} rows take {size:,} bytes; an answer may hold {room:,}.",
            code="answer_too_large",
            hint=f'Ask for at most {fitting} rows at a time, for fewer classes with "top_k": 1, or for "output": "upload".',
        )
    return {**answer, "decisions": list(decisions)}
