"""Encoding results as OpenWhisk accepts them: plain JSON without NumPy scalars and NaN, within the size limit.

The platform's launcher encodes results outside its try: what JSON cannot hold kills the process, and NaN is refused later.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from whisktrain.errors import (
    Conflict,
    DeadlineExceeded,
    NotFound,
    PlatformError,
    RequestError,
    StoreUnreachable,
    TooManyRequests,
    WhisktrainError,
)
from whisktrain.jsontypes import Json, JsonObject

__all__ = ["RESULT_LIMIT", "encode", "failure", "web_answer", "web_failure"]

RESULT_LIMIT = 1_000_000
"""Bytes that an answer may have: OpenWhisk's 1 MB (1,048,576) less what it wraps around it."""


_STATUSES: tuple[tuple[type[WhisktrainError], int], ...] = (
    (RequestError, 400),
    (NotFound, 404),
    (Conflict, 409),
    (TooManyRequests, 429),
    (PlatformError, 502),
    (StoreUnreachable, 503),
    (DeadlineExceeded, 504),
    (WhisktrainError, 500),
)
"""The HTTP status of a failed web call, by the error's class; the first that fits."""


def plain(value: object) -> Json:
    """A value with only JSON's own types; NaN and infinities become None."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float)):
        return _plain_number(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(item) for item in value), key=str)
    if hasattr(value, "tolist"):  # NumPy scalars and arrays, without importing NumPy
        return plain(value.tolist())
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    raise TypeError(f"a result holds a {type(value).__name__}, which JSON cannot")


def _plain_number(value: float) -> int | float | None:
    """A number of Python's own class (a subclass may be encoded otherwise)."""
    if isinstance(value, int):
        return int(value)
    return float(value) if math.isfinite(value) else None


def failure(error: WhisktrainError) -> JsonObject:
    """The answer of a failed action: OpenWhisk takes the key `error` as an application error, and passes on nothing else.

    The kind, the class of the error, gives a caller the exit code.
    """
    return {"error": plain({**error.to_record(), "kind": type(error).__name__})}


def web_answer(answer: Json, status: int = 200) -> JsonObject:
    """An answer as OpenWhisk's web actions take it: status, headers and body of the HTTP answer."""
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json"},
        "body": answer,
    }


def web_failure(error: WhisktrainError) -> JsonObject:
    """A failed web call: an application error, of which OpenWhisk sends the status and the body `{"error": …}`."""
    status = next(status for cls, status in _STATUSES if isinstance(error, cls))
    return {"error": web_answer(failure(error), status)}


def encode(result: object) -> JsonObject | list[Json]:
    """The answer that a result becomes.

    Raises:
        RequestError: It is larger than the platform lets through.
        TypeError: JSON cannot hold it.
    """
    answer = plain(result)
    if not isinstance(answer, (dict, list)):
        raise TypeError(f"a result is a {type(answer).__name__}; expected an object")
    size = len(json.dumps(answer, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    if size > RESULT_LIMIT:
        raise RequestError(
            f"The answer has {size:,} bytes; OpenWhisk lets {RESULT_LIMIT:,} through.",
            code="answer_too_large",
            hint="Ask for fewer rows at a time, or for the answer as a file.",
        )
    return answer
