"""The one check of a request.

A request is parsed once at each entry to the platform, always by `parse`:

- the SDK (and through it the CLI) parses a request before it starts anything, so that a mistake costs no invocation;
- an action parses what it is invoked with, since any holder of the key may invoke it: `preprocess` the whole request, `train`
  the request in the answer of `preprocess`, `predict` its own section.

Behind these entries the models of `whisktrain.request` travel, frozen, and nothing checks a bound again.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from whisktrain.errors import RequestError
from whisktrain.jsontypes import MOST_NESTED, is_nested_too_deeply
from whisktrain.request.options import alternatives, is_union

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

__all__ = ["parse"]

Model = TypeVar("Model", bound=BaseModel)

_MOST_NAMED = 5
_MOST_READ = 100
"""Problems that are put into words: looking for a similar key takes its time."""

_LONGEST_NAME = 200
_LONGEST_VALUE = 80


def parse(model: type[Model], value: object) -> Model:
    """Check what a caller sent.

    Args:
        model: The schema: `Request` or one of its sections.
        value: What was received.

    Returns:
        The checked request, with defaults filled in.

    Raises:
        RequestError: Something is unknown, missing or out of bounds; all of it is named.
    """
    if is_nested_too_deeply(value):
        raise RequestError(
            f"The request has lists or objects nested more than {MOST_NESTED} deep.",
            hint="Correct the request and send it again.",
        )
    try:
        return model.model_validate(value)
    except ValidationError as error:
        errors = error.errors()
        problems = list(dict.fromkeys(_sentence(model, e) for e in errors[:_MOST_READ]))
        further = len(problems) - _MOST_NAMED + max(0, len(errors) - _MOST_READ)
        more = f"; and {further} more" if further > 0 else ""
        raise RequestError(
            "; ".join(problems[:_MOST_NAMED]) + more, hint="Correct the request and send it again."
        ) from None


def _sentence(model: type[BaseModel], error: ErrorDetails) -> str:
    """One problem in words; the same for each type of a union that a value does not fit."""
    location = error["loc"]
    where = _cut(".".join(str(part) for part in location), _LONGEST_NAME)
    if error["type"] == "extra_forbidden":
        return _unknown_key(model, location)
    received = _cut(repr(error.get("input")), _LONGEST_VALUE)
    field, depth = _field_at(model, location)
    if field is not None and is_union(field.annotation) and len(location) > depth:
        where = ".".join(str(part) for part in location[:depth])
        return f"{where}: expected {' or '.join(alternatives(field, repr))} (received {received})"
    text = error["msg"].removeprefix("Value error, ")
    return f"{where or 'the request'}: {text[0].lower()}{text[1:]} (received {received})"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."


def _unknown_key(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    """That a key is not known here, with the place where it is known, or the nearest known key."""
    where = _cut(".".join(str(part) for part in location), _LONGEST_NAME)
    key = _cut(str(location[-1]), _LONGEST_NAME)
    here = _keys_at(model, location[:-1])
    everywhere = _places(model)
    if key in everywhere:
        return f"{where!r} is not known here: it is {everywhere[key]!r} in the request"
    near = difflib.get_close_matches(key, here, n=1, cutoff=0.5)
    far = difflib.get_close_matches(key, everywhere, n=1, cutoff=0.6)
    if far and (not near or _likeness(key, far[0]) > _likeness(key, near[0])):
        near = [everywhere[far[0]]]
    rest = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(here)}."
    return f"{where!r} is not known: {rest}"


def _likeness(key: str, other: str) -> float:
    return difflib.SequenceMatcher(None, key, other).ratio()


def _places(model: type[BaseModel]) -> dict[str, str]:
    """Where each key stands in a request, at the outermost of its places."""
    found: dict[str, str] = {}
    level: list[tuple[str, type[BaseModel]]] = [("", model)]
    while level:
        inner = []
        for path, section in level:
            for name, field in section.model_fields.items():
                found.setdefault(name, path + name)
                if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                    inner.append((f"{path}{name}.", field.annotation))
        level = inner
    return found


def _field_at(
    model: type[BaseModel], location: tuple[int | str, ...]
) -> tuple[FieldInfo | None, int]:
    """The innermost field that a location leads to, and how many parts lead there."""
    current: object = model
    field, depth = None, 0
    for part in location:
        if (
            not (isinstance(current, type) and issubclass(current, BaseModel))
            or part not in current.model_fields
        ):
            break
        field, depth = current.model_fields[str(part)], depth + 1
        current = field.annotation
    return field, depth


def _keys_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The keys that the object at a location may have."""
    field, depth = _field_at(model, location)
    found: object = model if field is None else field.annotation
    if depth < len(location) or not (isinstance(found, type) and issubclass(found, BaseModel)):
        return []
    return list(found.model_fields)
