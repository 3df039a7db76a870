"""What a web action's result becomes on the wire: `.http`, `.json`, `.html`, `.svg`, `.text`."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from starlette.responses import Response

from openwhisk_local.rejections import Rejection
from openwhisk_local.rest.action_body import is_binary
from openwhisk_local.rest.exchange import Negotiated, encode_for_people

_WITHOUT_BODY = (204, 304)
_MEDIA = re.compile(r"\s*([\w!#$&^.+-]+/[\w!#$&^.+*-]+)\s*(;\s*[\w-]+=(\"[^\"]*\"|[^;\"]*))*", re.ASCII)
_OPEN_CHARSET = ("application/xml", "application/javascript", "application/x-www-form-urlencoded", "application/x-latex")
_JSON_TEXTS = ("json", "json-patch+json", "merge-patch+json", "problem+json", "vnd.api+json")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")

Transcoder = Callable[[Any], Response]


def is_json(media: str) -> bool:
    """Whether a media type is JSON or one of its kin."""
    return media == "application/json" or media.endswith("+json")


def is_json_text(media: str) -> bool:
    """Whether a media type is JSON of a kind that the platform knows to be text; the others are bytes to it."""
    return media.removeprefix("application/") in _JSON_TEXTS


def is_text(media: str) -> bool:
    """Whether a media type is sent as text with a charset; the others are bytes, which JSON holds as base64."""
    return media.startswith("text/") or media in _OPEN_CHARSET or (media.endswith("+xml") and media != "image/svg+xml")


def _not_valid(media: str) -> Rejection:
    return Rejection(400, f"Response is not valid '{media}'.")


def _property(result: Any, *keys: str) -> Any:
    """The first property that there is; a result that is no object stands for itself."""
    if not isinstance(result, dict):
        return result
    return next((result[key] for key in keys if key in result), None)


def as_json(result: Any) -> Response:
    """The whole result as JSON."""
    if not isinstance(result, dict | list):
        raise _not_valid("application/json")
    return Negotiated(encode_for_people(result), headers={"Content-Type": "application/json"})


def as_html(result: Any) -> Response:
    """The property `body` or `html`."""
    html = _property(result, "body", "html")
    if not isinstance(html, str):
        raise _not_valid("text/html")
    return Negotiated(html, headers={"Content-Type": "text/html; charset=UTF-8"})


def as_svg(result: Any) -> Response:
    """The property `body` or `svg`."""
    svg = _property(result, "body", "svg")
    if not isinstance(svg, str):
        raise _not_valid("image/svg+xml")
    return Negotiated(svg, headers={"Content-Type": "image/svg+xml"})


def as_text(result: Any) -> Response:
    """The property `body` or `text`; what is no text, as JSON."""
    if isinstance(result, dict) and "body" not in result and "text" not in result:
        raise Rejection(404, "Response does not include requested property.")
    value = _property(result, "body", "text")
    if not isinstance(value, str):
        value = encode_for_people(value)
    return Negotiated(value, headers={"Content-Type": "text/plain; charset=UTF-8"}, offered="text/plain")


def as_http(result: Any) -> Response:
    """The properties `statusCode`, `headers` and `body` as an answer of their own."""
    if not isinstance(result, dict):
        raise _not_valid("message/http")
    headers = list(_headers(result.get("headers", {})))
    status = _status(result["statusCode"]) if "statusCode" in result else None
    body = result.get("body")
    stated = next((value for name, value in headers if name.lower() == "content-type"), None)
    if body is None or body == "" or status in _WITHOUT_BODY:
        response = Response(status_code=204 if status is None else status)
    else:
        content, media = _content(body, stated)
        response = Negotiated(content, 200 if status is None else status, headers={"Content-Type": media})
    for name, value in headers:
        if name.lower() not in ("content-type", "content-length"):
            response.headers.append(name, value)
    return response


def _content(body: Any, stated: str | None) -> tuple[bytes, str]:
    """A body's bytes and its content type."""
    mismatch = Rejection(400, "Response type in header did not match generated content type.")
    media = "text/html" if isinstance(body, str) else "application/json"
    if stated is not None:
        parsed = _MEDIA.fullmatch(stated)
        if parsed is None:
            raise Rejection(400, "Response did not specify a known content-type.")
        media = parsed[1].lower()
    if not isinstance(body, str):
        if not is_json(media):
            raise mismatch
        return encode_for_people(body).encode(errors="replace"), media
    if is_text(media):
        return body.encode(), f"{media}; charset=UTF-8"
    if is_json_text(media) and not is_binary(body):
        return body.encode(), media
    try:
        return base64.b64decode(body, validate=True), media
    except (binascii.Error, ValueError):
        raise mismatch from None


def _headers(given: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(given, dict):
        raise _not_valid("message/http")
    for name, value in given.items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, bool | int | float):
                text = json.dumps(item)
            elif isinstance(item, str):
                text = item
            else:
                raise _not_valid("message/http")
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(text):
                raise _not_valid("message/http")
            yield name, text


def _status(given: Any) -> int:
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
