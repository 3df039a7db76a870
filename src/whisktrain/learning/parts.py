"""The objects that a model's configuration is made of, and the layers that they belong to; without Keras."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from whisktrain.errors import RequestError
from whisktrain.jsontypes import Json, JsonObject
from whisktrain.learning import allowed

__all__ = ["Part", "parts", "shown", "without_compile_settings"]

_MAX_DEPTH = 200
_COMPILED = "compile_config"
_FOR_LAYERS = re.compile("activation$|_initializer$|_regularizer$|_constraint$")
"""Arguments of layers that are a function or an object, which a text may name."""


@dataclass(frozen=True, slots=True)
class Part:
    """One object of a configuration.

    Attributes:
        found: The object: a class or function with its arguments.
        kind: The name of its class; of a function, the function's name.
        argument: The argument that it is given for, such as "activation"; "" for layers.
        layer: The layer that it belongs to, as messages name it; "" outside of layers.
    """

    found: JsonObject
    kind: str
    argument: str
    layer: str

    @property
    def is_function(self) -> bool:
        """Whether it is a function."""
        return self.found.get("class_name") == "function"

    def __str__(self) -> str:
        if not self.argument or not self.layer:
            return self.layer or f"{self.argument.replace('_', ' ') or 'object'} {self.kind!r}"
        return f"{self.argument.replace('_', ' ')} {self.kind!r} of the {self.layer}"


def without_compile_settings(value: Json) -> Json:
    """A configuration without the compile settings of the model and of models inside it, which are never built."""
    if isinstance(value, list):
        return [without_compile_settings(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    return {
        key: without_compile_settings(inner) for key, inner in value.items() if key != _COMPILED
    }


def parts(
    value: Json | JsonObject, argument: str = "", layer: str = "", depth: int = 0
) -> Iterator[Part]:
    """All objects inside a configuration, the outer ones first; without compile settings, which are never built.

    Raises:
        RequestError: It is nested too deeply, or an object of it is malformed.
    """
    if depth > _MAX_DEPTH:
        raise RequestError(
            f"the model's configuration is nested more than {_MAX_DEPTH} deep.",
            hint="Build it of fewer models inside models.",
        )
    if isinstance(value, list):
        for inner in value:
            yield from parts(inner, argument, layer, depth + 1)
    elif isinstance(value, dict):
        if "class_name" in value:
            part = _part(value, argument, layer)
            yield part
            layer, argument = part.layer, part.argument
            yield from _written_as_text(part)
        for key, inner in value.items():
            if key != _COMPILED:
                inner_argument = argument if key in ("config", "value") else key
                yield from parts(inner, inner_argument, layer, depth + 1)


def _part(found: JsonObject, argument: str, layer: str) -> Part:
    kind, arguments = found["class_name"], found.get("config")
    if kind == "function" and isinstance(arguments, str):
        return Part(found, arguments, argument, layer)
    if not isinstance(kind, str) or not (
        isinstance(arguments, dict) or (arguments is None and kind not in allowed.LAYERS)
    ):
        where = f" in the {layer}" if layer else ""
        raise RequestError(
            f"the model's configuration has an object{where} with class_name {shown(kind)} and config "
            f"{shown(arguments)}; expected a name and an object of arguments.",
            hint="Pass json.loads(model.to_json()).",
        )
    name = (arguments or {}).get("name", found.get("name"))
    is_layer = kind in allowed.LAYERS or kind not in (allowed.OBJECTS | allowed.VALUES)
    if is_layer and not _FOR_LAYERS.search(argument) and isinstance(name, str):
        return Part(found, kind, "", f"layer {name!r} ({kind})")
    return Part(found, kind, argument, layer)


def _written_as_text(part: Part) -> Iterator[Part]:
    """The functions and objects that a layer of Keras names by a text alone, and code in the place of one."""
    arguments = part.found.get("config")
    if not isinstance(arguments, dict) or part.kind not in allowed.LAYERS:
        return
    for key, value in arguments.items():
        if not _FOR_LAYERS.search(key):
            continue
        if isinstance(value, str):
            kind = "function" if key.endswith("activation") else value
            yield Part({"class_name": kind, "config": value}, value, key, part.layer)
        elif isinstance(value, dict) and "class_name" not in value:
            yield Part({"class_name": "__lambda__"}, "__lambda__", key, part.layer)


def shown(value: Json) -> str:
    """A value as a message shows it."""
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
