"""The `exec` part of an action's body.

No containers are started: code of every Python 3 kind runs in the host's own interpreter, and so does that of a `blackbox`
action, whatever its image; without code a `blackbox` action is declined.
"""

from __future__ import annotations

import json
import re

from openwhisk_local.jsontypes import Json, JsonObject
from openwhisk_local.limits import Limits
from openwhisk_local.rejections import malformed, too_large
from openwhisk_local.state.entities import CodeExec, SequenceExec
from openwhisk_local.state.names import parse

DEFAULT_KIND = "python:3.11"
"""The kind that is published, and that `python:default` means."""
_KINDS = re.compile(r"python:(default|3(\.\d+)?)")
_BASE64 = re.compile(r"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)")
_PART = r"[a-z0-9]+(?:(?:[_.]|-*)[a-z0-9]+)*"
_DOMAIN = r"(?:[a-z0-9-]*(?:\.[a-z0-9-]*)+(?::\d+)?|[a-z0-9-]*(?:\.[a-z0-9-]*)*:\d+)"
_IMAGE = re.compile(
    rf"((?:{_DOMAIN}/)?{_PART}(?:/{_PART})*(?::[a-z0-9_][a-z0-9_.-]{{0,127}})?)"
    r"(?:@[a-z][a-z0-9]*(?:[+._-][a-z][a-z0-9]*)*:[0-9a-fA-F]{32,})?"
)
"""The names of images that the platform takes: without capitals and double underscores. The digest is dropped."""


def is_binary(code: str) -> bool:
    """Whether code counts as base64 on OpenWhisk."""
    stripped = code.strip()
    return bool(stripped) and len(stripped) % 4 == 0 and _BASE64.fullmatch(stripped) is not None


def read_exec(content: Json, namespace: str, limits: Limits) -> CodeExec | SequenceExec:
    """Read and check the `exec` part.

    Args:
        content: The part.
        namespace: The namespace that `_` stands for.
        limits: The host's limits.

    Raises:
        Rejection: 400 or 413; something is malformed, or the code is too large.
    """
    if not isinstance(content, dict):
        raise malformed("JSON object expected")
    stated_kind = content.get("kind")
    if not isinstance(stated_kind, str):
        raise malformed("'kind' must be a string defined in 'exec'")
    kind = stated_kind.strip().lower()
    if kind == "sequence":
        return _read_sequence(content, namespace)
    if kind != "blackbox" and not _KINDS.fullmatch(kind):
        known = f"'{DEFAULT_KIND}', 'sequence', 'blackbox'"
        raise malformed(
            f"The specified runtime '{kind}' is not supported by this platform. Valid values are: {known}."
        )
    image = _read_image(content) if kind == "blackbox" else None
    code = _read_code(content, kind)
    main = content.get("main")
    if main is not None and not isinstance(main, str):
        raise malformed(f"if defined, 'main' be a string in 'exec' for '{kind}' actions")
    if len(code) > limits.max_code:
        raise too_large("exec", len(code), limits.max_code)
    return CodeExec(
        DEFAULT_KIND if kind == "python:default" else kind, code, is_binary(code), main, image
    )


def _read_sequence(content: JsonObject, namespace: str) -> SequenceExec:
    if "components" not in content:
        raise malformed("'components' must be defined for sequence kind")
    components = content["components"]
    if not isinstance(components, list):
        raise malformed("'components' must be an array")
    try:
        return SequenceExec(tuple(parse(component, namespace) for component in components))
    except ValueError as error:
        raise malformed(str(error)) from None


def _read_image(content: JsonObject) -> str:
    """The image of a `blackbox` action, whose code is needed as well."""
    stated = content.get("image")
    if not isinstance(stated, str):
        raise malformed("'image' must be a string defined in 'exec' for 'blackbox' actions")
    image = _IMAGE.fullmatch(stated)
    if image is None:
        raise malformed("could not parse image name")
    code = content.get("code")
    if not isinstance(code, str) or not code.strip():
        raise malformed(
            "'code' must be defined in 'exec' for 'blackbox' actions: this host starts no containers, "
            "it runs the code in its own Python"
        )
    return image[1]


def _read_code(content: JsonObject, kind: str) -> str:
    code = content.get("code")
    if code is not None and not isinstance(code, str | dict):
        raise malformed(f"Could not deserialize as attachment record: {json.dumps(code)}")
    if not isinstance(code, str):
        raise malformed(
            f"'code' must be a string or attachment object defined in 'exec' for '{kind}' actions"
        )
    return code
