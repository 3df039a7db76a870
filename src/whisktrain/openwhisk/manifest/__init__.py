"""The manifest, `wskdeploy.yaml`: its entries, and reading them as wskdeploy does."""

from whisktrain.openwhisk.manifest.reading import ActionEntry, Manifest, Package, Rule, SequenceEntry, Trigger, read, render

__all__ = ["ActionEntry", "Manifest", "Package", "Rule", "SequenceEntry", "Trigger", "read", "render"]
