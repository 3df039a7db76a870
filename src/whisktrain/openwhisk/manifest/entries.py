"""The entries of a manifest: packages with their actions, sequences, triggers and rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from whisktrain.jsontypes import JsonObject
from whisktrain.openwhisk.client.records import ActionLimits

__all__ = ["ActionEntry", "Manifest", "Package", "Rule", "SequenceEntry", "Trigger"]


@dataclass(frozen=True, slots=True)
class ActionEntry:
    """An action to deploy.

    Attributes:
        name: Its name within the package.
        file: Its source file; None where the code is in the manifest.
        code: Its source.
        kind: The runtime's kind; "blackbox" where an image is named.
        image: The image; empty for a kind.
        main: The function to call; empty for `main`.
        limits: `timeout` (ms), `memory` and `logs` (MB), where given.
        inputs: Bound parameters.
        annotations: Annotations.
    """

    name: str
    file: Path | None
    code: str
    kind: str
    image: str
    main: str
    limits: ActionLimits
    inputs: JsonObject = field(repr=False)
    annotations: JsonObject = field(repr=False)


@dataclass(frozen=True, slots=True)
class SequenceEntry:
    """A sequence: actions of the same package (or with a path), one after the other."""

    name: str
    actions: tuple[str, ...]
    annotations: JsonObject


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger, and the feed that drives it (an action's path, or empty)."""

    name: str
    feed: str
    inputs: JsonObject = field(repr=False)
    annotations: JsonObject


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: which action a trigger starts."""

    name: str
    trigger: str
    action: str
    annotations: JsonObject


@dataclass(frozen=True, slots=True)
class Package:
    """A package and its entries, in the file's order."""

    name: str
    version: str
    public: bool
    inputs: JsonObject = field(repr=False)
    annotations: JsonObject
    actions: tuple[ActionEntry, ...]
    sequences: tuple[SequenceEntry, ...]
    triggers: tuple[Trigger, ...]
    rules: tuple[Rule, ...]

    def action(self, name: str) -> ActionEntry | None:
        """The action of that name within the package; None where there is none."""
        return next((entry for entry in self.actions if entry.name == name), None)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest, and the file it was read from."""

    path: Path
    packages: tuple[Package, ...]
