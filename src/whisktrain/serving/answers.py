"""Answers within the platform's limit: inline where they fit, else as a stored file, else refused with the count that fits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from whisktrain.errors import RequestError
from whisktrain.store.protocol import Store

__all__ = ["MAX_ANSWER", "fit"]

MAX_ANSWER = 900_000
"""Bytes of a result: OpenWhisk's limit of 1 MB, less a margin for what it wraps around (results near the limit are slow)."""


_MESSAGE_MARGIN = 500
"""Bytes by which the message on other rows may be longer."""


def fit(answer: Mapping[str, Any], decisions: Sequence[Mapping[str, Any]], output: str, store: Store) -> dict[str, Any]:
    """Put the decisions into an answer.

    Args:
        answer: The rest of the answer.
        decisions: One object for each row.
        output: "inline", "upload", or "auto": inline where it fits, else stored.
        store: Where large answers go.

    Returns:
        The answer with `decisions`; or with `decisions` null, and `decisions_at` ("upload:ID", a file of JSON lines) and
        `decisions_count` instead.

    Raises:
        RequestError: They were asked for inline and do not fit; the row count that fits is named.
    """
    lines = [json.dumps(d, ensure_ascii=False, allow_nan=False) for d in decisions]
    room = MAX_ANSWER - len(json.dumps(answer, ensure_ascii=False).encode()) - len('"decisions": [], ')
    sizes = [len(line.encode()) + 2 for line in lines]
    size = sum(sizes)
    if output == "upload" or (output == "auto" and size > room):
        from whisktrain.data.sources.uploads import put_upload

        place = put_upload(store, ("\n".join(lines) + "\n").encode(), "decisions.jsonl")
        return {**answer, "decisions": None, "decisions_at": place, "decisions_count": len(decisions)}
    if size > room:
        fitting = max(0, (room - _MESSAGE_MARGIN) // max(sizes))
        raise RequestError(
            f"The decisions on {len(lines)} rows take {size:,} bytes; an answer may hold {room:,}.",
            code="answer_too_large",
            hint=f'Ask for at most {fitting} rows at a time, for fewer classes with "top_k": 1, or for "output": "upload".',
        )
    return {**answer, "decisions": list(decisions)}
