"""The manifest, `wskdeploy.yaml`: its entries, and reading them as wskdeploy does."""

from whisktrain.openwhisk.manifest.entries import (
    ActionEntry,
    Manifest,
    Package,
    Rule,
    SequenceEntry,
    Trigger,
)
from whisktrain.openwhisk.manifest.reading import read, render

__all__ = [
    "ActionEntry",
    "Manifest",
    "Package",
    "Rule",
    "SequenceEntry",
    "Trigger",
    "read",
    "render",
]
