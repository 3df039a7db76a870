"""The annotations by which a field of the schema says how a caller gives it."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

__all__ = ["NotAnOption", "Option", "Shorthand"]


@dataclass(frozen=True, slots=True)
class Option:
    """How a setting looks on the command line, where its field does not say it.

    Attributes:
        flag: The option; the field's name by default.
        metavar: What stands for the value in the help.
        default: What holds where it is not given, for a field whose default does not say it.
        free_text: Whether the value is passed on as it is, for the schema to read.
    """

    flag: str | None = None
    metavar: str | None = None
    default: str | None = None
    free_text: bool = False


@dataclass(frozen=True, slots=True)
class NotAnOption:
    """A setting that is no option of its own.

    Attributes:
        reason: How it is given instead.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Shorthand:
    """A bare string (or list, for rows) stands for the section's main field.

    Attributes:
        field: The main field.
    """

    field: str

    def expand(self, value: object) -> object:
        """The section that a value stands for; any other value as it is."""
        return {self.field: value} if isinstance(value, (str, list)) else value

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.expand, handler(source))
