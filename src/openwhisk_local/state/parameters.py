"""Parameters and annotations: `[{"key", "value", "init"?}]` on the wire, merged by key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

from openwhisk_local.json_text import to_compact_json
from openwhisk_local.jsontypes import Json, JsonObject

_V = TypeVar("_V")
_ORDERED_AS_GIVEN = 4
_UINT32 = 0xFFFFFFFF
_MALFORMED = "parameters malformed!"


@dataclass(frozen=True)
class Parameter:
    """One parameter or annotation.

    Args:
        value: Its value.
        init: Whether it is set in the process's environment at its start instead of passed as an argument.
    """

    value: Json = field(repr=False)  # users bind passwords
    init: bool = False


@dataclass(frozen=True)
class Parameters:
    """Parameters by key: up to four in the order in which they were given, more in the platform's.

    Args:
        entries: The parameters.
    """

    entries: Mapping[str, Parameter] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if len(self.entries) > _ORDERED_AS_GIVEN:
            object.__setattr__(self, "entries", in_scala_order(self.entries))

    @classmethod
    def from_wire(cls, content: Json) -> Parameters:
        """Read `[{"key", "value", "init"?}]`.

        Raises:
            ValueError: The content has another shape.
        """
        entries: dict[str, Parameter] = {}
        if not isinstance(content, list):
            raise ValueError(_MALFORMED)  # noqa: TRY004 - one kind of error for every other shape
        for entry in content:
            match entry:
                case {"key": str(key), "value": value, **others}:
                    entries[key] = Parameter(value, init=others.get("init") is True)
                case _:
                    raise ValueError(_MALFORMED)
        return cls(entries)

    @classmethod
    def of(cls, values: Mapping[str, Json]) -> Parameters:
        """Make parameters from values."""
        return cls({key: Parameter(value) for key, value in values.items()})

    def to_wire(self) -> list[Json]:
        """The parameters as the API shows them."""
        return [_entry_on_the_wire(key, parameter) for key, parameter in self.entries.items()]

    def merged(self, other: Parameters) -> Parameters:
        """These parameters and the other's, whose values win."""
        if not other.entries:
            return self
        return Parameters({**self.entries, **other.entries})

    def without(self, *keys: str) -> Parameters:
        """These parameters less some keys."""
        kept = {key: entry for key, entry in self.entries.items() if key not in keys}
        return Parameters(kept)

    def __contains__(self, key: str) -> bool:
        return key in self.entries

    def get(self, key: str) -> Json:
        """The value of a key; None when it is absent."""
        entry = self.entries.get(key)
        return None if entry is None else entry.value

    def is_truthy(self, key: str, *, absent: bool = False) -> bool:
        """Whether a value counts as true: true, a number but 0, a text but the empty one, any object or array."""
        if key not in self.entries:
            return absent
        value = self.get(key)
        if isinstance(value, dict | list):
            return True
        return bool(value)

    @property
    def defined_keys(self) -> frozenset[str]:
        """The keys whose values are not null."""
        defined = [key for key, entry in self.entries.items() if entry.value is not None]
        return frozenset(defined)

    @property
    def init_keys(self) -> frozenset[str]:
        """The keys marked `init`: their values are set in a process's environment, also where the caller gives them."""
        marked = [key for key, entry in self.entries.items() if entry.init]
        return frozenset(marked)

    def values(self) -> JsonObject:
        """The values by key."""
        return {key: entry.value for key, entry in self.entries.items()}

    def size(self) -> int:
        """Bytes that keys and values take as JSON."""
        size = 0
        for key, entry in self.entries.items():
            text = f"{key}{to_compact_json(entry.value)}"
            size += len(text.encode(errors="replace"))
        return size


def _entry_on_the_wire(key: str, parameter: Parameter) -> JsonObject:
    entry: JsonObject = {"key": key, "value": parameter.value}
    if parameter.init:
        entry["init"] = True
    return entry


def to_environment(values: Mapping[str, Json]) -> dict[str, str]:
    """Values as environment variables have them: texts as they are, nothing for null, anything else as JSON."""
    return {key: _variable_text(value) for key, value in values.items()}


def _variable_text(value: Json) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return to_compact_json(value)


def in_scala_order(entries: Mapping[str, _V]) -> dict[str, _V]:
    """Entries as an immutable map of Scala 2.12 holds them: up to four as they came, more by the hashes of their keys."""
    if len(entries) <= _ORDERED_AS_GIVEN:
        return dict(entries)
    keys = sorted(entries, key=_scala_position)
    return {key: entries[key] for key in keys}


@lru_cache(maxsize=4096)
def _scala_position(key: str) -> tuple[int, ...]:
    """Where a key stands in an immutable map of Scala 2.12 with more than four keys.

    Java's hash of the text, improved (scala.collection.immutable.HashMap.improve), five bits after five, the lowest first.
    """
    code = 0
    units = key.encode("utf-16-be", errors="surrogatepass")
    for high, low in zip(units[::2], units[1::2], strict=True):
        code = (31 * code + (high << 8 | low)) & _UINT32
    code = (code + ~(code << 9)) & _UINT32
    code ^= code >> 14
    code = (code + (code << 4)) & _UINT32
    code ^= code >> 10
    shifts = range(0, 35, 5)
    return tuple(code >> shift & 31 for shift in shifts)
