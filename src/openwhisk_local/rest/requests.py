"""A request on its way through the host: its query, its headers and its body."""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.requests import Request

from openwhisk_local.json_text import parse_json
from openwhisk_local.jsontypes import Json, JsonObject
from openwhisk_local.limits import MB
from openwhisk_local.rejections import Rejection, bad_query, malformed, not_authorized, too_large
from openwhisk_local.state.names import Name, check_segment

LIST_MOST, LIST_DEFAULT = 200, 30
_DRAINED = 256 * MB
_NO_CHARACTER = "\uffff"  # the platform's parser takes it for the end
_INT32 = 1 << 31
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
_TOO_DEEP = "JSON input nested too deeply:JSON input was nested more deeply than the configured limit of maxNesting = 1000"
_NO_INPUT = (
    "Unexpected end-of-input at input index 0 (line 1, position 1), expected JSON Value:\n\n^\n"
)


@dataclass(frozen=True)
class ApiRequest:
    """A request.

    Args:
        request: The request as Starlette has it.
        namespace: The namespace that its path names.
        caller: The caller's own namespace.
        transaction: Its id.
    """

    request: Request
    namespace: str
    caller: str
    transaction: str

    @property
    def method(self) -> str:
        """The HTTP method."""
        return self.request.method

    @property
    def media_type(self) -> str:
        """The content type without its parameters."""
        return self.request.headers.get("content-type", "").partition(";")[0].strip().lower()

    def path_part(self, name: str) -> str:
        """A part of the path, as the route calls it."""
        return str(self.request.path_params[name])

    def entity_name(self) -> Name:
        """The name of the entity that the path names, its package included.

        Raises:
            Rejection: 400; it is not a legal one.
        """
        package = (
            check_segment(self.path_part("package"))
            if "package" in self.request.path_params
            else None
        )
        return Name(self.namespace, package, check_segment(self.path_part("name")))

    def authorize(self, *names: str) -> None:
        """Check that the caller may access an entity of the namespace, or all of it.

        Raises:
            Rejection: 403; it is another's namespace.
        """
        if self.namespace != self.caller:
            raise not_authorized("/".join((self.namespace, *names)))

    def authorized_entity_name(self) -> Name:
        """The name of the entity that the path names, which the caller may access.

        Raises:
            Rejection: 400 or 403; it is not a legal name, or in another's namespace.
        """
        name = self.entity_name()
        self.authorize(name.in_namespace)
        return name

    def query(self, name: str) -> str | None:
        """A parameter of the query, the first where it is repeated; None when it is absent."""
        return next(iter(self.request.query_params.getlist(name)), None)

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean of the query; without a value it counts as absent."""
        text = self.query(name)
        if not text:
            return default
        if text.lower() in _TRUE:
            return True
        if text.lower() in _FALSE:
            return False
        raise bad_query(name, f"'{text}' is not a valid Boolean value")

    def page(self, collection: str) -> tuple[int, int]:
        """The part of a list that is asked for: how many to skip and how many to give."""
        skip = self._integer("skip", 0, collection)
        if skip < 0:
            raise bad_query(
                "skip", f"The value '{skip}' is not greater than or equal to 0 for {collection}."
            )
        limit = self._integer("limit", LIST_DEFAULT, collection)
        if not 0 <= limit <= LIST_MOST:
            raise bad_query(
                "limit",
                f"The value '{limit}' is not in the range of 0 to {LIST_MOST} for {collection}.",
            )
        return skip, limit or LIST_MOST

    def _integer(self, name: str, default: int, collection: str) -> int:
        text = self.query(name)
        if text is None:
            return default
        number = int(text) if re.fullmatch(r"[+-]?[0-9]{1,18}", text) else None
        if number is None or not -_INT32 <= number < _INT32:
            raise bad_query(name, f"The value '{text}' is not an integer for {collection}.")
        return number

    def forwarded_headers(self) -> dict[str, str]:
        """The headers as actions get them in `__ow_headers`."""
        given = self.request.headers
        headers = {
            name: value
            for name, value in given.items()
            if name not in ("content-length", "transfer-encoding")
        }
        if "content-type" in headers:
            headers["content-type"] = _canonical_content_type(headers["content-type"])
        elif given.get("content-length", "0") != "0":
            headers["content-type"] = "application/octet-stream"
        return headers

    async def body(self, max_size: int) -> bytes:
        """The body.

        Raises:
            Rejection: 413; it is larger than `max_size` bytes.
        """
        content, size = bytearray(), 0
        async for chunk in self.request.stream():
            size += len(chunk)
            if size <= max_size:
                content += chunk
            elif size > max_size + _DRAINED:
                break
        if size > max_size:
            # Only after the whole body: an earlier answer would close the connection while the client sends, and be lost.
            stated = self.request.headers.get("content-length", "")
            raise too_large("Request", int(stated) if stated.isdecimal() else size, max_size)
        return bytes(content)

    async def json_object(self, max_size: int, *, required: bool = False) -> JsonObject:
        """The body as a JSON object; an empty one counts as `{}` unless it is required.

        Raises:
            Rejection: 400, 413 or 415; it is no JSON object, too large, or of another type.
        """
        content = await self.body(max_size)
        if not content:
            return self._missing_body(required)
        if self.media_type != "application/json":
            shown = self.media_type or "application/octet-stream"
            why = f"The request's Content-Type [{shown}] is not supported. Expected:\napplication/json"
            raise Rejection(415, why, cors=False)
        value = read_json(content)
        if not isinstance(value, dict):
            raise malformed(
                "Object expected in field 'exec'" if required else "JSON object expected"
            )
        return value

    def _missing_body(self, required: bool) -> JsonObject:
        if not required:
            return {}
        if self.media_type == "application/json":
            raise malformed(_NO_INPUT)
        raise Rejection(400, "Request entity expected but not supplied", cors=False)


def _canonical_content_type(content_type: str) -> str:
    """A content type as the platform writes it: JSON without a charset, charsets in capitals."""
    if content_type.partition(";")[0].strip().lower() == "application/json":
        return "application/json"
    return re.sub(r"(?<=charset=)[\w-]+", lambda charset: charset[0].upper(), content_type)


def read_json(content: bytes) -> Json:
    """Read a body as JSON in UTF-8; bytes that are none are replaced.

    Raises:
        Rejection: 400; it is not JSON.
    """
    text = content.decode(errors="replace")
    if _NO_CHARACTER in text:
        raise malformed("Unexpected end-of-input: U+FFFF is no character")
    try:
        return parse_json(text)
    except RecursionError:
        raise malformed(_TOO_DEEP) from None
    except ValueError as error:
        raise malformed(str(error)) from None
