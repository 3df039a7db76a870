"""From what OpenWhisk hands an action to what the caller asked for.

A web call brings the same arguments as query, form or JSON body; the first two only as texts. The platform adds keys that
start with `__ow_`, and the deployment binds parameters of its own; neither is the caller's.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, TypeVar

from whisktrain.errors import RequestError

__all__ = ["DEPLOYMENT", "LIB_VERSION", "PROBE", "Arguments", "decode", "required"]

Value = TypeVar("Value")

DEPLOYMENT = ("store", "container_memory", "factories", "allow_private_addresses", "insecure")
"""Parameters that the manifest binds to the package."""
LIB_VERSION = "lib_version"
"""The argument by which a caller says which version it has."""
PROBE = "probe"
"""The argument by which `doctor` asks an action what it is, instead of having it work."""


class Arguments:
    """An action's arguments, told apart.

    Args:
        given: What the caller asked for.
        deployment: What the deployment binds; never part of an answer or a log.
        web: Whether it is a web call.
        lib_version: The caller's version, or None.
        probe: Whether the caller only asks what the action is.
    """

    __slots__ = ("deployment", "given", "lib_version", "probe", "web")

    def __init__(
        self, given: dict[str, Any], deployment: dict[str, Any], *, web: bool, lib_version: str | None, probe: bool
    ) -> None:
        self.given = given
        self.deployment = deployment
        self.web = web
        self.lib_version = lib_version
        self.probe = probe


def _text_as_json(value: Any) -> Any:
    """A list or object that came as a text, as from a query or form; any other value as it is."""
    if isinstance(value, str) and value.strip()[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _web_body(body: Any) -> dict[str, Any]:
    """A web call's body that the platform has not merged into the arguments: rows, or an object with another media type."""
    content = body
    if isinstance(body, str):
        if not body.strip():
            return {}
        content = _text_as_json(body)
        if isinstance(content, str):
            try:
                content = json.loads(base64.b64decode(body, validate=True))
            except (binascii.Error, ValueError):
                raise RequestError(
                    "The body is neither JSON nor a form.",
                    hint="Send Content-Type: application/json with an object, or rows as a list.",
                ) from None
    if isinstance(content, list):
        return {"rows": content}
    if isinstance(content, dict):
        return {str(k): v for k, v in content.items()}
    raise RequestError(f"The body is {type(content).__name__}; expected an object, or rows as a list.")


def decode(arguments: Any) -> Arguments:
    """Tell an action's arguments apart.

    Args:
        arguments: What the launcher passes: an object; a list is taken as rows.

    Raises:
        RequestError: The body of a web call cannot be read.
    """
    if isinstance(arguments, list):
        arguments = {"rows": arguments}
    if not isinstance(arguments, Mapping):
        raise RequestError(f"The arguments are {type(arguments).__name__}; expected an object.")
    web = "__ow_method" in arguments
    given = {str(k): v for k, v in arguments.items() if not str(k).startswith("__ow_")}
    deployment = {k: given.pop(k) for k in DEPLOYMENT if k in given}
    if web:
        given = {k: _text_as_json(v) for k, v in given.items()}
        if arguments.get("__ow_body") not in (None, ""):
            given |= _web_body(arguments["__ow_body"])
    lib_version = given.pop(LIB_VERSION, None)
    probe = given.pop(PROBE, False) is True and not web
    return Arguments(given, deployment, web=web, lib_version=None if lib_version is None else str(lib_version), probe=probe)


def required(arguments: Mapping[str, Any], name: str, kind: type[Value]) -> Value:
    """An argument that must be there.

    Raises:
        RequestError: It is not, or is of another type.
    """
    value = arguments.get(name)
    if isinstance(value, kind) and value != "" and not isinstance(value, bool):
        return value
    what = "is missing" if value is None else f"is {type(value).__name__}, expected {kind.__name__}"
    raise RequestError(
        f"The argument {name!r} {what}; received {', '.join(sorted(map(str, arguments))) or 'nothing'}.",
        hint=f"Send {name!r}; usually the system itself invokes this action.",
    )
