"""The `.wskprops` file and the variables that wsk reads: which platform, with which key.

A file in the home folder is never read: only what `WSK_CONFIG_FILE` or `WHISK_APIHOST` names is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from whisktrain.errors import ConfigurationError

__all__ = ["Properties", "of_environment", "parse", "read"]


@dataclass(frozen=True, slots=True)
class Properties:
    """A platform and its key.

    Attributes:
        apihost: The API host.
        auth: The key; not part of the repr.
    """

    apihost: str
    auth: str = field(repr=False)


def parse(text: str) -> dict[str, str]:
    """The entries of a `.wskprops`: KEY=VALUE lines; a line with more than one `=` is dropped, as wsk does."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        parts = line.split("=")
        if len(parts) == 2 and not line.lstrip().startswith("#"):
            found[parts[0].strip()] = parts[1].strip()
    return found


def read(path: Path) -> dict[str, str]:
    """Read a file.

    Raises:
        ConfigurationError: It cannot be read.
    """
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"The wskprops file {path} cannot be read: {getattr(error, 'strerror', None) or 'it is not text'}.",
            hint="Correct WSK_CONFIG_FILE, or unset it.",
        ) from None


def of_environment(environment: Mapping[str, str]) -> Properties:
    """The platform that a process' variables name: WHISK_APIHOST and WHISK_AUTH, else the file of WSK_CONFIG_FILE.

    The file's key is used for the file's own host only, or where the file names none.

    Raises:
        ConfigurationError: The file cannot be read, or host or key is missing.
    """
    file = environment.get("WSK_CONFIG_FILE", "").strip()
    entries = read(Path(file).expanduser()) if file else {}
    host = environment.get("WHISK_APIHOST", "").strip() or entries.get("APIHOST", "")
    if not host:
        raise ConfigurationError(
            "No platform is named.",
            hint="Set WHISK_APIHOST and WHISK_AUTH, or WSK_CONFIG_FILE to a file with APIHOST and AUTH.",
        )
    file_key = entries.get("AUTH", "") if entries.get("APIHOST", host) == host else ""
    key = environment.get("WHISK_AUTH", "").strip() or file_key
    if ":" not in key:
        raise ConfigurationError(
            f"There is no key for {host}: expected UUID:KEY.",
            hint="Set WHISK_AUTH, or AUTH=UUID:KEY in the wskprops file.",
        )
    return Properties(host, key)
