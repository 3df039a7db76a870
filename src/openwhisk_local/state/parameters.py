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
        for entry in content if isinstance(content, list) else [None]:
            key = entry.get("key") if isinstance(entry, dict) else None
            if not isinstance(entry, dict) or not isinstance(key, str) or "value" not in entry:
                raise ValueError("parameters malformed!")
            entries[key] = Parameter(entry["value"], init=entry.get("init") is True)
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
        return Parameters({**self.entries, **other.entries}) if other.entries else self

    def without(self, *keys: str) -> Parameters:
        """These parameters less some keys."""
        return Parameters({key: entry for key, entry in self.entries.items() if key not in keys})

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
        return True if isinstance(value, dict | list) else bool(value)

    @property
    def defined_keys(self) -> frozenset[str]:
        """The keys whose values are not null."""
        return frozenset(key for key, entry in self.entries.items() if entry.value is not None)

    @property
    def init_keys(self) -> frozenset[str]:
        """The keys marked `init`: their values are set in a process's environment, also where the caller gives them."""
        return frozenset(key for key, entry in self.entries.items() if entry.init)

    def values(self) -> JsonObject:
        """The values by key."""
        return {key: entry.value for key, entry in self.entries.items()}

    def size(self) -> int:
        """Bytes that keys and values take as JSON."""
        texts = (f"{key}{to_compact_json(entry.value)}" for key, entry in self.entries.items())
        return sum(len(text.encode(errors="replace")) for text in texts)


def _entry_on_the_wire(key: str, parameter: Parameter) -> JsonObject:
    entry: JsonObject = {"key": key, "value": parameter.value}
    return {**entry, "init": True} if parameter.init else entry


def to_environment(values: Mapping[str, Json]) -> dict[str, str]:
    """Values as environment variables have them: texts as they are, nothing for null, anything else as JSON."""
    return {key: _variable_text(value) for key, value in values.items()}


def _variable_text(value: Json) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else to_compact_json(value)


def in_scala_order(entries: Mapping[str, _V]) -> dict[str, _V]:
    """Entries as an immutable map of Scala 2.12 holds them: up to four as they came, more by the hashes of their keys."""
    if len(entries) <= _ORDERED_AS_GIVEN:
        return dict(entries)
    return dict(sorted(entries.items(), key=lambda item: _scala_position(item[0])))


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
    return tuple(code >> shift & 31 for shift in range(0, 35, 5))
