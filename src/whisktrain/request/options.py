"""The settings of a request, and which of them are options of a training.

Every field of a section is an option by its own name (of the command line, `Connection.train` and the reference), unless it is
annotated with `NotAnOption`; names are unique among the sections.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel

from whisktrain.request.marks import NotAnOption, Option, Shorthand
from whisktrain.request.sections import Request

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

__all__ = ["Setting", "alternatives", "is_union", "options", "settings", "without_none"]

Mark = TypeVar("Mark")

_KINDS = {"str": "text", "bool": "true or false", "list": "a list"}
"""Types in words; what is not here is an object."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A field of a section.

    Attributes:
        section: "data", "model", "train" or "predict".
        name: The field's name.
        field: The field.
    """

    section: str
    name: str
    field: FieldInfo

    def mark(self, kind: type[Mark]) -> Mark | None:
        """The field's annotation of a kind; None where it has none."""
        return next((item for item in self.field.metadata if isinstance(item, kind)), None)

    @property
    def option(self) -> Option:
        """How it looks on the command line."""
        return self.mark(Option) or Option()

    @property
    def flag(self) -> str:
        """The command line's option, such as "--local-steps"."""
        return self.option.flag or f"--{self.name.replace('_', '-')}"

    @property
    def description(self) -> str:
        """What it means."""
        return self.field.description or ""

    @property
    def default(self) -> str | None:
        """What holds where it is not given, as text; None where nothing does."""
        if self.option.default is not None:
            return self.option.default
        value = self.field.default
        return (
            None
            if value in (None, [], {})
            else str(value).lower()
            if isinstance(value, bool)
            else str(value)
        )

    @property
    def main_field(self) -> FieldInfo:
        """The field itself; of a section with a shorthand, the section's main field."""
        short, section = self.mark(Shorthand), self.field.annotation
        if short is not None and isinstance(section, type) and issubclass(section, BaseModel):
            return section.model_fields[short.field]
        return self.field

    @property
    def type(self) -> object:
        """The type of its value without None, in its short form."""
        return without_none(self.main_field.annotation)


@cache
def settings() -> tuple[Setting, ...]:
    """All settings of a request, section by section."""
    found = []
    for section, entry in Request.model_fields.items():
        assert isinstance(entry.annotation, type) and issubclass(entry.annotation, BaseModel)
        found += [
            Setting(section, name, field) for name, field in entry.annotation.model_fields.items()
        ]
    return tuple(found)


@cache
def options() -> dict[str, Setting]:
    """The settings that are options of a training, by name."""
    return {setting.name: setting for setting in settings() if setting.mark(NotAnOption) is None}


def is_union(annotation: object) -> bool:
    """Whether values of several types are allowed, apart from None."""
    return get_origin(without_none(annotation)) in (Union, types.UnionType)


def without_none(annotation: object) -> object:
    """A type without None."""
    if get_origin(annotation) not in (Union, types.UnionType):
        return annotation
    kept = [part for part in get_args(annotation) if part is not types.NoneType]
    return kept[0] if len(kept) == 1 else Union[tuple(kept)]  # noqa: UP007


def alternatives(field: FieldInfo, quote: Callable[[str], str]) -> list[str]:
    """What a field may hold, in words: its types with their bounds, and each word of a choice.

    Args:
        field: The field.
        quote: Marks a word that is meant literally.
    """
    annotation = without_none(field.annotation)
    parts = get_args(annotation) if is_union(annotation) else (annotation,)
    return [text for part in parts for text in _words(part, tuple(field.metadata), quote)]


def _words(
    annotation: object, metadata: tuple[object, ...], quote: Callable[[str], str]
) -> Iterator[str]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        inner = tuple(getattr(arguments[1], "metadata", ()))
        yield from _words(arguments[0], inner, quote)
    elif origin is Literal:
        yield from (quote(str(word)) for word in arguments)
    elif annotation in (int, float):
        yield _range(metadata) or ("a whole number" if annotation is int else "a number")
    elif origin is tuple:
        yield f"{len(arguments)} numbers"
    else:
        yield _KINDS.get(str(getattr(origin or annotation, "__name__", "")), "an object")


def _range(metadata: tuple[object, ...]) -> str:
    """Bounds in words: "1 to 256", "above 0", "0 to below 1"; "" without bounds."""
    bounds = dict(_bound(item) for item in metadata if isinstance(item, (Ge, Gt, Le, Lt)))
    low, high = bounds.get("low", ""), bounds.get("high", "")
    if low and high:
        return f"{low} to {high}"
    return high or (low if not low or low.startswith("above") else f"{low} or more")


def _bound(item: Ge | Gt | Le | Lt) -> tuple[str, str]:
    match item:
        case Ge(ge=value):
            return "low", f"{value:g}" if isinstance(value, float) else str(value)
        case Gt(gt=value):
            return "low", f"above {value}"
        case Le(le=value):
            return "high", f"{value:g}" if isinstance(value, float) else str(value)
        case _:
            return "high", f"below {item.lt}"
