"""Parameters and annotations: `[{"key", "value", "init"?}]` on the wire, merged by key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeVar

_V = TypeVar("_V")
_AS_GIVEN = 4
_WORD = 0xFFFFFFFF


@dataclass(frozen=True)
class Parameters:
    """Values by key: up to four in the order in which they were given, more in the platform's.

    Args:
        entries: The wire entries by key.
    """

    entries: Mapping[str, dict[str, Any]] = field(default_factory=dict, repr=False)  # people bind passwords

    def __post_init__(self) -> None:
        if len(self.entries) > _AS_GIVEN:
            object.__setattr__(self, "entries", in_order(self.entries))

    @classmethod
    def from_wire(cls, content: object) -> Parameters:
        """Read `[{"key", "value", "init"?}]`.

        Raises:
            ValueError: The content has another shape.
        """
        entries: dict[str, dict[str, Any]] = {}
        for entry in content if isinstance(content, list) else [None]:
            if not isinstance(entry, dict) or not isinstance(entry.get("key"), str) or "value" not in entry:
                raise ValueError("parameters malformed!")
            read = {"key": entry["key"], "value": entry["value"]}
            if entry.get("init") is True:
                read["init"] = True
            entries[entry["key"]] = read
        return cls(entries)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Parameters:
        """Make parameters from values."""
        return cls({key: {"key": key, "value": value} for key, value in values.items()})

    def to_wire(self) -> list[dict[str, Any]]:
        """The entries as the API shows them."""
        return list(self.entries.values())

    def merged(self, other: Parameters) -> Parameters:
        """These parameters and the other's, whose values win."""
        return Parameters({**self.entries, **other.entries}) if other.entries else self

    def without(self, *keys: str) -> Parameters:
        """These parameters less some keys."""
        return Parameters({key: entry for key, entry in self.entries.items() if key not in keys})

    def __contains__(self, key: str) -> bool:
        return key in self.entries

    def get(self, key: str) -> Any:
        """The value of a key; None when it is absent."""
        entry = self.entries.get(key)
        return None if entry is None else entry["value"]

    def is_truthy(self, key: str, *, absent: bool = False) -> bool:
        """Whether a value counts as true: true, a number but 0, a text but the empty one, any object or array."""
        if key not in self.entries:
            return absent
        value = self.get(key)
        return True if isinstance(value, dict | list) else bool(value)

    def defined(self) -> frozenset[str]:
        """The keys whose values are not null."""
        return frozenset(key for key, entry in self.entries.items() if entry["value"] is not None)

    def values(self) -> dict[str, Any]:
        """The values by key."""
        return {key: entry["value"] for key, entry in self.entries.items()}

    @property
    def of_processes(self) -> frozenset[str]:
        """The keys marked `init`: their values, whoever gives them, are for a process's environment at its start."""
        return frozenset(key for key, entry in self.entries.items() if "init" in entry)

    def size(self) -> int:
        """Bytes that keys and values take as JSON."""
        return sum(len(f"{key}{_compact(entry['value'])}".encode(errors="replace")) for key, entry in self.entries.items())


def as_texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Values as environment variables have them: texts as they are, nothing for null, anything else as JSON."""
    return {key: value if isinstance(value, str) else "" if value is None else _compact(value) for key, value in values.items()}


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def in_order(entries: Mapping[str, _V]) -> dict[str, _V]:
    """Entries as an immutable map of Scala 2.12 holds them: up to four as they came, more by the hashes of their keys."""
    if len(entries) <= _AS_GIVEN:
        return dict(entries)
    return dict(sorted(entries.items(), key=lambda item: _place(item[0])))


@lru_cache(maxsize=4096)
def _place(key: str) -> tuple[int, ...]:
    """Where a key stands in an immutable map of Scala 2.12 with more than four keys.

    Java's hash of the text, improved (scala.collection.immutable.HashMap.improve), five bits after five, the lowest first.
    """
    code = 0
    units = key.encode("utf-16-be", errors="surrogatepass")
    for high, low in zip(units[::2], units[1::2], strict=True):
        code = (31 * code + (high << 8 | low)) & _WORD
    code = (code + ~(code << 9)) & _WORD
    code ^= code >> 14
    code = (code + (code << 4)) & _WORD
    code ^= code >> 10
    return tuple(code >> shift & 31 for shift in range(0, 35, 5))
