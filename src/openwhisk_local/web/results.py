"""The answer that a web action's result becomes: `.http`, `.json`, `.html`, `.svg`, `.text`."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator

from starlette.responses import Response

from openwhisk_local.json_text import to_pretty_json
from openwhisk_local.jsontypes import Json
from openwhisk_local.rejections import Rejection
from openwhisk_local.rest.exec_body import is_binary
from openwhisk_local.rest.responses import NegotiatedResponse
from openwhisk_local.web.media_types import is_json, is_json_text, is_text

_STATUSES_WITHOUT_BODY = (204, 304)
_MEDIA = re.compile(
    r"\s*([\w!#$&^.+-]+/[\w!#$&^.+*-]+)\s*(;\s*[\w-]+=(\"[^\"]*\"|[^;\"]*))*", re.ASCII
)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")

Transcoder = Callable[[Json], Response]


def _not_valid(media: str) -> Rejection:
    return Rejection(400, f"Response is not valid '{media}'.")


def _property(result: Json, *keys: str) -> Json:
    """The first of these properties that exists; a result that is no object stands for itself."""
    if not isinstance(result, dict):
        return result
    for key in keys:
        if key in result:
            return result[key]
    return None


def as_json(result: Json) -> Response:
    """The whole result as JSON."""
    if not isinstance(result, dict | list):
        raise _not_valid("application/json")
    return NegotiatedResponse(to_pretty_json(result), headers={"Content-Type": "application/json"})


def as_html(result: Json) -> Response:
    """The property `body` or `html`."""
    html = _property(result, "body", "html")
    if not isinstance(html, str):
        raise _not_valid("text/html")
    return NegotiatedResponse(html, headers={"Content-Type": "text/html; charset=UTF-8"})


def as_svg(result: Json) -> Response:
    """The property `body` or `svg`."""
    svg = _property(result, "body", "svg")
    if not isinstance(svg, str):
        raise _not_valid("image/svg+xml")
    return NegotiatedResponse(svg, headers={"Content-Type": "image/svg+xml"})


def as_text(result: Json) -> Response:
    """The property `body` or `text`; a value that is no text, as JSON."""
    if isinstance(result, dict) and "body" not in result and "text" not in result:
        raise Rejection(404, "Response does not include requested property.")
    value = _property(result, "body", "text")
    text = value if isinstance(value, str) else to_pretty_json(value)
    return NegotiatedResponse(
        text, headers={"Content-Type": "text/plain; charset=UTF-8"}, offered="text/plain"
    )


def as_http(result: Json) -> Response:
    """The properties `statusCode`, `headers` and `body` as an answer of their own."""
    if not isinstance(result, dict):
        raise _not_valid("message/http")
    headers = list(_read_headers(result.get("headers", {})))
    status = _read_status(result["statusCode"]) if "statusCode" in result else None
    response = _http_response(status, result.get("body"), _content_type_of(headers))
    for name, value in headers:
        if name.lower() not in ("content-type", "content-length"):
            response.headers.append(name, value)
    return response


def _content_type_of(headers: list[tuple[str, str]]) -> str | None:
    for name, value in headers:
        if name.lower() == "content-type":
            return value
    return None


def _http_response(status: int | None, body: Json, content_type: str | None) -> Response:
    """The answer without the headers of the result.

    Args:
        status: The status; None: 200, or 204 without a body.
        body: The body.
        content_type: The content type that the result states.
    """
    if body is None or body == "" or status in _STATUSES_WITHOUT_BODY:
        return Response(status_code=204 if status is None else status)
    content, media = _encode_body(body, content_type)
    return NegotiatedResponse(
        content, 200 if status is None else status, headers={"Content-Type": media}
    )


def _encode_body(body: Json, content_type: str | None) -> tuple[bytes, str]:
    """A body's bytes and its content type."""
    mismatch = Rejection(400, "Response type in header did not match generated content type.")
    media = "text/html" if isinstance(body, str) else "application/json"
    if content_type is not None:
        parsed = _MEDIA.fullmatch(content_type)
        if parsed is None:
            raise Rejection(400, "Response did not specify a known content-type.")
        media = parsed[1].lower()
    if not isinstance(body, str):
        if not is_json(media):
            raise mismatch
        return to_pretty_json(body).encode(errors="replace"), media
    if is_text(media):
        return body.encode(), f"{media}; charset=UTF-8"
    if is_json_text(media) and not is_binary(body):
        return body.encode(), media
    try:
        return base64.b64decode(body, validate=True), media
    except (binascii.Error, ValueError):
        raise mismatch from None


def _read_headers(given: Json) -> Iterator[tuple[str, str]]:
    """The headers of a result; one with several values comes several times."""
    if not isinstance(given, dict):
        raise _not_valid("message/http")
    for name, value in given.items():
        items = value if isinstance(value, list) else [value]
        for item in items:
            text = _header_text(item)
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(text):
                raise _not_valid("message/http")
            yield name, text


def _header_text(value: Json) -> str:
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, str):
        return value
    raise _not_valid("message/http")


def _read_status(given: Json) -> int:
    if isinstance(given, str) and given.isdecimal():
        given = int(given)
    if isinstance(given, float) and given.is_integer():
        given = int(given)
    if isinstance(given, bool) or not isinstance(given, int) or not 200 <= given <= 599:
        raise _not_valid("message/http")
    return given


TRANSCODERS: dict[str, Transcoder] = {
    ".http": as_http,
    ".json": as_json,
    ".html": as_html,
    ".svg": as_svg,
    ".text": as_text,
}
"""What makes an answer of a result, by the extension in the address."""


def split_extension(segment: str) -> tuple[str, Transcoder]:
    """An action's name without its extension, and the transcoder; `.http` when there is no known extension."""
    for extension, transcoder in TRANSCODERS.items():
        if segment.endswith(extension):
            return segment.removesuffix(extension), transcoder
    return segment, as_http
