"""The catalogue of trained models: names, versions, and which one a reference means."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from whisktrain.errors import NotFound, RequestError
from whisktrain.records.models import ModelRecords
from whisktrain.store.protocol import Store

__all__ = ["Reference", "missing", "parse_reference", "resolve"]

_REFERENCE = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]{0,63})(?::(?P<version>[1-9][0-9]{0,8}))?"
)


_LISTED_VERSIONS = 5


@dataclass(frozen=True, slots=True)
class Reference:
    """A model as a caller names it; version None is the newest."""

    name: str
    version: int | None = None

    def __str__(self) -> str:
        return self.name if self.version is None else f"{self.name}:{self.version}"


def parse_reference(text: str) -> Reference:
    """Read "NAME" or "NAME:VERSION".

    Raises:
        RequestError: It is neither.
    """
    found = _REFERENCE.fullmatch(text)
    if found is None:
        raise RequestError(
            f"The model was given as {text[:80]!r}; expected NAME or NAME:VERSION, the version a whole number from 1.",
            code="bad_model_name",
            hint="`whisktrain models list` shows what there is.",
        )
    version = found["version"]
    return Reference(found["name"], None if version is None else int(version))


def resolve(store: Store, text: str) -> tuple[str, int]:
    """Resolve a reference to the name and version that it means now.

    Args:
        store: The store.
        text: "NAME" (the newest version) or "NAME:VERSION".

    Raises:
        NotFound: There is no model of that name; the nearest one is named.
        RequestError: `text` is no reference.
    """
    reference = parse_reference(text)
    if reference.version is not None:
        return reference.name, reference.version
    version = ModelRecords(store).newest(reference.name)
    if version is not None:
        return reference.name, version
    raise missing(store, reference)


def missing(store: Store, reference: Reference) -> NotFound:
    """Make the failure that names the nearest model, or the versions that exist."""
    models = ModelRecords(store)
    existing = models.versions(reference.name)
    if reference.version in existing or (existing and reference.version is None):
        return NotFound(
            f"The model {str(reference)!r} is being published just now.",
            code="no_such_model",
            hint="Ask again in a moment.",
            retryable=True,
        )
    if existing:
        listed = ", ".join(str(version) for version in existing[-_LISTED_VERSIONS:])
        word = "version" if len(existing) == 1 else "versions"
        return NotFound(
            f"There is no model {str(reference)!r}; {reference.name!r} has {word} {listed}.",
            code="no_such_model",
            hint=f"Ask for {reference.name}:{existing[-1]}.",
        )
    near = difflib.get_close_matches(reference.name, models.names(), n=1)
    hint = "`whisktrain models list` shows what there is; `whisktrain train` makes one."
    return NotFound(
        f"There is no model {str(reference)!r} in the store.",
        code="no_such_model",
        hint=f"Did you mean {near[0]!r}?" if near else hint,
    )
