"""One request and the shapes of its answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from whisktrain.embedded.limits import MB
from whisktrain.embedded.rejections import Rejection, bad_query, malformed, too_large

_T = TypeVar("_T")
LIST_MOST, LIST_DEFAULT = 200, 30
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "Authorization, Origin, X-Requested-With, Content-Type, Accept, User-Agent",
    "Access-Control-Allow-Methods": "GET, DELETE, POST, PUT, HEAD",
}
_DRAINED = 256 * MB
ACTIVATION_HEADER = "X-OpenWhisk-Activation-Id"


@dataclass(frozen=True)
class Exchange:
    """A request on its way through the host.

    Args:
        request: The request.
        namespace: The namespace that it concerns.
        segments: What follows the collection in its path.
        transaction: Its id.
    """

    request: Request
    namespace: str
    segments: tuple[str, ...]
    transaction: str

    @property
    def method(self) -> str:
        """The HTTP method."""
        return self.request.method

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean of the query."""
        text = self.request.query_params.get(name)
        if text is None:
            return default
        lower = text.lower()
        if lower in ("true", "yes", "on", "1"):
            return True
        if lower in ("false", "no", "off", "0"):
            return False
        raise bad_query(name, f"'{text}' is not a valid Boolean value")

    def page(self, collection: str) -> tuple[int, int]:
        """What part of a list is asked for: how many to skip and how many to give."""
        skip = self._whole("skip", 0, collection)
        if skip < 0:
            raise bad_query("skip", f"The value '{skip}' is not greater than or equal to 0 for {collection}.")
        limit = self._whole("limit", LIST_DEFAULT, collection)
        if not 0 <= limit <= LIST_MOST:
            raise bad_query("limit", f"The value '{limit}' is not in the range of 0 to {LIST_MOST} for {collection}.")
        return skip, limit or LIST_MOST

    def _whole(self, name: str, default: int, collection: str) -> int:
        text = self.request.query_params.get(name)
        if text is None:
            return default
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
            raise bad_query(name, f"The value '{text}' is not an integer for {collection}.")
        return int(text)

    def listed(self, collection: str, found: list[_T]) -> list[_T] | int:
        """The part of a list that is asked for, or its length if that is asked for."""
        skip, limit = self.page(collection)
        if self.flag("count"):
            return max(0, len(found) - skip)
        return found[skip : skip + limit]

    def forwarded_headers(self) -> dict[str, str]:
        """The headers as actions get them in `__ow_headers`."""
        framing = ("content-length", "transfer-encoding")
        return {name: value for name, value in self.request.headers.items() if name not in framing}

    async def body(self, most: int) -> bytes:
        """The body.

        Raises:
            Rejection: 413; it is larger than `most` bytes.
        """
        content, size = bytearray(), 0
        async for chunk in self.request.stream():
            size += len(chunk)
            if size <= most:
                content += chunk
            elif size > most + _DRAINED:
                break
        if size > most:
            # Answering sooner would close the connection under who is still sending, and the answer would be lost.
            stated = self.request.headers.get("content-length", "")
            raise too_large("Request", int(stated) if stated.isdecimal() else size, most)
        return bytes(content)

    async def json(self, most: int, *, required: bool = False) -> dict[str, Any]:
        """The body as a JSON object; an empty one counts as `{}` unless it is required.

        Raises:
            Rejection: 400, 413 or 415; it is none, too large, or of another type.
        """
        content = await self.body(most)
        media = self.request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if not content:
            if required:
                raise Rejection(400, "Request entity expected but not supplied", cors=False)
            return {}
        if media != "application/json":
            shown = media or "application/octet-stream"
            why = f"The request's Content-Type [{shown}] is not supported. Expected:\napplication/json"
            raise Rejection(415, why, cors=False)
        value = parse_json(content)
        if not isinstance(value, dict):
            raise malformed("JSON object expected")
        return value


def parse_json(content: bytes) -> Any:
    """Read JSON strictly: no NaN, no infinities.

    Raises:
        Rejection: 400; it is not JSON.
    """
    try:
        return json.loads(content, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise malformed(str(error)) from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"Unexpected constant {constant}")


def encode(content: Any) -> bytes:
    """JSON as short as it can be."""
    return json.dumps(content, separators=(",", ":")).encode()


def answer(content: Any, status: int = 200, *, activation: str | None = None, headers: Mapping[str, str] = CORS) -> Response:
    """An answer of the API in JSON, or without a body for None."""
    response = Response(
        None if content is None else encode(content),
        status_code=status,
        headers=dict(headers),
        media_type=None if content is None else "application/json",
    )
    if activation is not None:
        response.headers[ACTIVATION_HEADER] = activation
    return response


def answer_text(text: str, *, headers: Mapping[str, str] = CORS) -> Response:
    """An answer in plain text."""
    return Response(text, headers={**headers, "Content-Type": "text/plain; charset=UTF-8"})


def answer_list(collection: str, listed: Iterable[dict[str, Any]] | int) -> Response:
    """A list, or its length."""
    return answer({collection: listed} if isinstance(listed, int) else list(listed))
