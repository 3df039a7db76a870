"""One request and the shapes of its answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from openwhisk_local.limits import MB
from openwhisk_local.rejections import Rejection, bad_query, malformed, not_authorized, too_large

_T = TypeVar("_T")
LIST_MOST, LIST_DEFAULT = 200, 30
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "Authorization, Origin, X-Requested-With, Content-Type, Accept, User-Agent",
    "Access-Control-Allow-Methods": "GET, DELETE, POST, PUT, HEAD",
}
_DRAINED = 256 * MB
_INTEGERS = 1 << 31
_TOO_DEEP = "JSON input nested too deeply:JSON input was nested more deeply than the configured limit of maxNesting = 1000"
_PIECES = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\[\]{},:"]+')
_NOTHING = "Unexpected end-of-input at input index 0 (line 1, position 1), expected JSON Value:\n\n^\n"
ACTIVATION_HEADER = "X-OpenWhisk-Activation-Id"


@dataclass(frozen=True)
class Exchange:
    """A request on its way through the host.

    Args:
        request: The request.
        namespace: The namespace that it concerns.
        caller: The caller's own namespace.
        segments: What follows the collection in its path.
        transaction: Its id.
    """

    request: Request
    namespace: str
    caller: str
    segments: tuple[str, ...]
    transaction: str

    @property
    def method(self) -> str:
        """The HTTP method."""
        return self.request.method

    def authorize(self, *names: str) -> None:
        """Check that the caller may concern itself with an entity of the namespace, or with the whole of it.

        Raises:
            Rejection: 403; it is another's.
        """
        if self.namespace != self.caller:
            raise not_authorized("/".join((self.namespace, *names)))

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
        number = int(text) if re.fullmatch(r"[+-]?[0-9]{1,18}", text) else None
        if number is None or not -_INTEGERS <= number < _INTEGERS:
            raise bad_query(name, f"The value '{text}' is not an integer for {collection}.")
        return number

    def listed(self, collection: str, found: list[_T]) -> list[_T] | int:
        """The part of a list that is asked for, or its length if that is asked for."""
        skip, limit = self.page(collection)
        if self.flag("count"):
            return max(0, len(found) - skip)
        return found[skip : skip + limit]

    def forwarded_headers(self) -> dict[str, str]:
        """The headers as actions get them in `__ow_headers`."""
        given = self.request.headers
        headers = {name: value for name, value in given.items() if name not in ("content-length", "transfer-encoding")}
        if "content-type" in headers:
            headers["content-type"] = _canonical(headers["content-type"])
        elif given.get("content-length", "0") != "0":
            headers["content-type"] = "application/octet-stream"
        return headers

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
            if required and media == "application/json":
                raise malformed(_NOTHING)
            if required:
                raise Rejection(400, "Request entity expected but not supplied", cors=False)
            return {}
        if media != "application/json":
            shown = media or "application/octet-stream"
            why = f"The request's Content-Type [{shown}] is not supported. Expected:\napplication/json"
            raise Rejection(415, why, cors=False)
        value = parse_json(content)
        if not isinstance(value, dict):
            raise malformed("Object expected in field 'exec'" if required else "JSON object expected")
        return value


def _canonical(content_type: str) -> str:
    """A content type as the platform writes it: JSON without a charset, charsets in capitals."""
    if content_type.partition(";")[0].strip().lower() == "application/json":
        return "application/json"
    return re.sub(r"(?<=charset=)[\w-]+", lambda charset: charset[0].upper(), content_type)


def parse_json(content: bytes) -> Any:
    """Read JSON strictly: no NaN, no infinities.

    Raises:
        Rejection: 400; it is not JSON.
    """
    try:
        return json.loads(content, parse_constant=_refuse)
    except RecursionError:
        raise malformed(_TOO_DEEP) from None
    except ValueError as error:
        raise malformed(str(error)) from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"Unexpected constant {constant}")


def encode(content: Any) -> bytes:
    """JSON as the platform writes it: short, keys in order, text as it is."""
    return json.dumps(content, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode(errors="replace")


def encode_for_people(content: Any) -> str:
    """JSON as the platform writes it for the web: a line for each member of an object, arrays on one line."""
    parts: list[str] = []
    open_: list[str] = []
    margin = ""
    for piece in _PIECES.findall(json.dumps(content, separators=(",", ":"), sort_keys=True, ensure_ascii=False)):
        if piece not in ("}", "]") and parts and parts[-1] == "{\n":
            parts.append(margin)
        match piece:
            case "{":
                open_.append(piece)
                margin += "  "
                parts.append("{\n")
            case "[":
                open_.append(piece)
                parts.append(piece)
            case "}":
                open_.pop()
                margin = margin[:-2]
                parts.append(f"\n{margin}}}")
            case "]":
                open_.pop()
                parts.append(piece)
            case ",":
                parts.append(f",\n{margin}" if open_[-1] == "{" else ", ")
            case ":":
                parts.append(": ")
            case _:
                parts.append(piece)
    return "".join(parts)


class Negotiated(Response):
    """An answer in a type that, if it is a success, the caller's header `Accept` must allow.

    Args:
        content: The body.
        status_code: The status.
        headers: The headers.
        offered: The type as it is called where the caller does not accept it; None: as in the headers.
    """

    def __init__(
        self, content: str | bytes | None, status_code: int = 200, headers: Mapping[str, str] = {}, offered: str | None = None
    ) -> None:
        super().__init__(content, status_code, dict(headers))
        self._offered = offered or self.headers.get("content-type", "")

    def check(self, accepted: str | None) -> None:
        """Check that the caller accepts the answer's type.

        Raises:
            Rejection: 406; the caller does not.
        """
        offered = self._offered
        if accepted is None or not offered or self.status_code >= 300:
            return
        if not _accepts(accepted, offered.partition(";")[0]):
            why = f"Resource representation is only available with these types:\n{offered}"
            raise Rejection(406, why, cors=False)


def _accepts(accepted: str, offered: str) -> bool:
    """Whether a header `Accept` allows a media type; one that cannot be read allows all."""
    weights: dict[str, float] = {}
    for part in accepted.split(","):
        media, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if "/" not in media:
            return True
        weight = next((p.removeprefix("q=") for p in parameters if p.startswith("q=")), "1")
        weights[media] = float(weight) if re.fullmatch(r"[01](\.\d*)?", weight) else 1.0
    ranges = (offered, offered.partition("/")[0] + "/*", "*/*")
    return next((weights[media] for media in ranges if media in weights), 0.0) > 0


def answer(content: Any, status: int = 200, *, activation: str | None = None, headers: Mapping[str, str] = CORS) -> Response:
    """An answer of the API in JSON, or without a body for None."""
    response = Negotiated(
        None if content is None else encode(content),
        status,
        headers if content is None else {**headers, "Content-Type": "application/json"},
    )
    if activation is not None:
        response.headers[ACTIVATION_HEADER] = activation
    return response


def answer_text(text: str, *, status: int = 200, headers: Mapping[str, str] = CORS) -> Response:
    """An answer in plain text."""
    return Response(text, status, headers={**headers, "Content-Type": "text/plain; charset=UTF-8"})


def answer_list(collection: str, listed: Iterable[dict[str, Any]] | int) -> Response:
    """A list, or its length."""
    return answer({collection: listed} if isinstance(listed, int) else list(listed))
