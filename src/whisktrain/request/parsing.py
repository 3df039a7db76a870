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
from whisktrain.request.options import alternatives, is_union

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

__all__ = ["parse"]

Model = TypeVar("Model", bound=BaseModel)

_MOST_NAMED = 5
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
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problems = list(dict.fromkeys(_sentence(model, e) for e in error.errors()))
        more = f"; and {len(problems) - _MOST_NAMED} more" if len(problems) > _MOST_NAMED else ""
        raise RequestError(
            "; ".join(problems[:_MOST_NAMED]) + more, hint="Correct the request and send it again."
        ) from None


def _sentence(model: type[BaseModel], error: ErrorDetails) -> str:
    """One problem in words; the same for each type of a union that a value does not fit."""
    location = error["loc"]
    where = ".".join(str(part) for part in location)
    if error["type"] == "extra_forbidden":
        return _unknown_key(where, str(location[-1]), _keys_at(model, location[:-1]))
    received = repr(error.get("input"))
    if len(received) > _LONGEST_VALUE:
        received = received[: _LONGEST_VALUE - 3] + "..."
    field, depth = _field_at(model, location)
    if field is not None and is_union(field.annotation) and len(location) > depth:
        where = ".".join(str(part) for part in location[:depth])
        return f"{where}: expected {' or '.join(alternatives(field, repr))} (received {received})"
    text = error["msg"].removeprefix("Value error, ")
    return f"{where or 'the request'}: {text[0].lower()}{text[1:]} (received {received})"


def _unknown_key(where: str, key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    rest = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(known)}."
    return f"{where!r} is not known: {rest}"


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
