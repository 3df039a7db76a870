"""Decoding an action's arguments: the caller's, the deployment's and the platform's.

A web call brings the same arguments as query, form or JSON body; the first two only as texts. The platform adds keys that
start with `__ow_`, and the deployment binds parameters of its own (`settings.PARAMETERS`); neither is the caller's.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from whisktrain.errors import RequestError
from whisktrain.jsontypes import Json, JsonObject, parse_json
from whisktrain.openwhisk import settings

__all__ = ["LIB_VERSION", "PROBE", "Arguments", "decode", "is_web", "required"]

Value = TypeVar("Value")

LIB_VERSION = "lib_version"
"""The argument by which a caller says which version it has."""
PROBE = "probe"
"""The argument by which `doctor` asks an action what it is, instead of having it work."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """An action's arguments by their origin.

    Attributes:
        given: The caller's arguments.
        deployment: What the deployment binds, without the prefix; never part of an answer or a log.
        web: Whether it is a web call.
        lib_version: The caller's version, or None.
        probe: Whether the caller only asks what the action is.
    """

    given: JsonObject
    deployment: JsonObject = field(repr=False)
    web: bool
    lib_version: str | None
    probe: bool


def is_web(arguments: Json) -> bool:
    """Whether it is a web call: OpenWhisk adds the method, which no caller on the web can give."""
    return isinstance(arguments, dict) and "__ow_method" in arguments


def decode(arguments: Json) -> Arguments:
    """Separate an action's arguments by their origin.

    Args:
        arguments: What the launcher passes: an object; a list is taken as rows.

    Raises:
        RequestError: The body of a web call cannot be read.
    """
    received: Json = {"rows": arguments} if isinstance(arguments, list) else arguments
    if not isinstance(received, dict):
        raise RequestError(f"The arguments are {type(received).__name__}; expected an object.")
    given = {str(key): value for key, value in received.items() if not str(key).startswith("__ow_")}
    deployment = {name: given.pop(key) for name, key in settings.PARAMETERS.items() if key in given}
    web = is_web(received)
    if web:
        given = _web_arguments(given, received.get("__ow_body"))
    lib_version = given.pop(LIB_VERSION, None)
    probe = given.pop(PROBE, False) is True and not web
    return Arguments(
        given, deployment, web, None if lib_version is None else str(lib_version), probe
    )


def _web_arguments(given: JsonObject, body: Json) -> JsonObject:
    """A web call's arguments: of the query or form, and of a body that the platform has not merged into them."""
    return given if body in (None, "") else given | _web_body(body)


def _web_body(body: Json) -> JsonObject:
    """A web call's body as arguments: a list is rows."""
    content = _decoded_text(body) if isinstance(body, str) else body
    if isinstance(content, list):
        return {"rows": content}
    if isinstance(content, dict):
        return content
    raise RequestError(
        f"The body is {type(content).__name__}; expected an object, or rows as a list."
    )


def _decoded_text(body: str) -> Json:
    """The JSON of a body's text, which the platform encodes as base64 for media types that it does not know."""
    text: str | bytes = body.strip()
    if not text:
        return {}
    try:
        if body.lstrip()[0] not in "[{":
            text = base64.b64decode(body, validate=True)
        parsed: Json = parse_json(text)
    except (binascii.Error, ValueError):
        raise RequestError(
            "The body is neither JSON nor a form.",
            hint="Send Content-Type: application/json with an object, or rows as a list.",
        ) from None
    return parsed


def required(arguments: Mapping[str, Json], name: str, kind: type[Value]) -> Value:
    """A required argument.

    Raises:
        RequestError: It is missing, or has another type.
    """
    value = arguments.get(name)
    if isinstance(value, kind) and value != "" and not isinstance(value, bool):
        return value
    what = "is missing" if value is None else f"is {type(value).__name__}, expected {kind.__name__}"
    raise RequestError(
        f"The argument {name!r} {what}; received {', '.join(sorted(map(str, arguments))) or 'nothing'}.",
        hint=f"Send {name!r}; usually the system itself invokes this action.",
    )
