"""Values of a manifest as wskdeploy reads them: variables in texts, and the short and long forms of inputs.

The odd rules are wskdeploy's own and kept on purpose, so that one file means the same to both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from whisktrain.errors import ConfigurationError
from whisktrain.jsontypes import Json, JsonObject

__all__ = ["expand", "package_inputs", "resolve", "resolve_inputs"]

_ZEROS: dict[str, Json] = {"string": "", "integer": 0, "float": 0.0, "boolean": False, "json": {}}
"""wskdeploy's type names: an input whose value is one of them becomes that type's zero."""
_LONG_FORM = frozenset({"type", "description", "value", "required", "default", "status", "schema"})


def expand(text: str, environment: Mapping[str, str]) -> str:
    """Replace variables: `$V` for a whole text, `${V}` anywhere, `$${V}` for a literal `${V}`; unset ones become empty."""
    whole = text.startswith("$") and len(text) > 1
    inside = "${" in text and text.count("{") == text.count("}")
    if not (whole or inside):
        return text
    result = text
    for word in filter(None, re.split(r"[${}]", text)):
        if "$${" + word + "}" in result:
            result = result.replace("$${" + word + "}", "${" + word + "}")
        elif "$" + word in result:
            result = result.replace("$" + word, environment.get(word, ""))
        elif "${" + word + "}" in result:
            result = result.replace("${" + word + "}", environment.get(word, ""))
    return result


def _expand_map(value: Mapping[str, Json], environment: Mapping[str, str]) -> JsonObject:
    found: JsonObject = {}
    for key, item in value.items():
        if isinstance(item, str):
            found[str(key)] = expand(item, environment)
        elif isinstance(item, Mapping):
            found[str(key)] = _expand_map(item, environment)
        else:
            found[str(key)] = item
    return found


def _type_of(name: str, value: Json) -> str:
    if value is None or isinstance(value, str):
        return "string"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "float"
    if isinstance(value, Mapping):
        return "json"
    if isinstance(value, list):
        return "slice"
    raise ConfigurationError(
        f"The input {name!r} is a {type(value).__name__}; expected a scalar, list or map."
    )


def resolve(name: str, value: Json, environment: Mapping[str, str]) -> Json:
    """The value of one input.

    Args:
        name: The input's name, for errors.
        value: As YAML says it: a scalar, a list, a map, or the long form with `type`, `value` and `default`.
        environment: Variables.

    Returns:
        The value that goes to the platform.

    Raises:
        ConfigurationError: Its type is unknown, or a value of type json is not JSON.
    """
    if isinstance(value, str) and value in _ZEROS:
        return _ZEROS[value]
    if isinstance(value, dict) and set(value) <= _LONG_FORM:
        kind, given = _long_form(name, value)
    else:
        kind, given = _type_of(name, value), value
    if given is None:
        return _ZEROS.get(kind)
    if isinstance(given, str):
        return _resolve_text(name, given, kind, environment)
    return _expand_map(given, environment) if isinstance(given, dict) else given


def _long_form(name: str, value: JsonObject) -> tuple[str, Json]:
    """Type and value of an input in the long form; the default where it has no value."""
    given = value.get("value") if value.get("value") is not None else value.get("default")
    kind = value.get("type") or ""
    if not kind:
        return _type_of(name, given), given
    if not isinstance(kind, str) or kind not in _ZEROS:
        raise ConfigurationError(
            f"The input {name!r} has the type {kind!r}; expected one of {', '.join(_ZEROS)}."
        )
    return kind, given


def _resolve_text(name: str, text: str, kind: str, environment: Mapping[str, str]) -> Json:
    if kind == "string":
        return expand(text, environment)
    if kind != "json":
        return text
    try:
        parsed: Json = json.loads(text)
    except ValueError:
        raise ConfigurationError(
            f"The input {name!r} has the type json, and its value is not JSON.",
            hint="Write the value as JSON.",
        ) from None
    return parsed


def package_inputs(inputs: Mapping[str, Json], environment: Mapping[str, str]) -> JsonObject:
    """A package's inputs: one that is empty takes the variable of its own name, else stays empty."""
    found: JsonObject = {}
    for name, value in inputs.items():
        resolved = resolve(name, value, environment)
        found[name] = environment.get(name, "") if resolved in ("", 0) else resolved
    return found


def resolve_inputs(
    inputs: Mapping[str, Json], environment: Mapping[str, str], package: Mapping[str, Json]
) -> JsonObject:
    """An action's or trigger's inputs: one that is empty takes the package's input that its variable names."""
    found: JsonObject = {}
    for name, value in inputs.items():
        resolved = resolve(name, value, environment)
        if resolved == "" and isinstance(value, str):
            resolved = package.get(re.sub(r"[${}]", "", value), "")
        found[name] = resolved
    return found
