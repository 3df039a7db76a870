"""Paths of the system's own files: the manifest, the actions, the sequences."""

from __future__ import annotations

from pathlib import Path

from whisktrain.errors import ConfigurationError

__all__ = ["manifest_path", "root"]


def root() -> Path:
    """The folder that holds `wskdeploy.yaml`: inside an installed wheel, else the source tree.

    Raises:
        ConfigurationError: There is neither.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "_system", package.parents[1]):
        if (folder / "wskdeploy.yaml").is_file():
            return folder
    raise ConfigurationError(
        "This installation of whisktrain lacks its manifest (wskdeploy.yaml).",
        hint="Install the wheel again.",
    )


def manifest_path() -> Path:
    """The path of the system's manifest."""
    return root() / "wskdeploy.yaml"
