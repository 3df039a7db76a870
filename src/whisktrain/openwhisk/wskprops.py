"""The `.wskprops` file and the variables that wsk reads: which platform, with which key.

A file in the home folder is never read: only a platform that the caller names, or `WSK_CONFIG_FILE`, is used. Otherwise data
could be sent away unasked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from whisktrain.errors import ConfigurationError

__all__ = ["Properties", "choose", "parse", "read", "write"]


@dataclass(frozen=True, slots=True)
class Properties:
    """A platform and its key.

    Attributes:
        apihost: The API host.
        auth: The key; not part of the repr.
        source: Where it was found, for people.
    """

    apihost: str
    auth: str = field(repr=False)
    source: str = ""


def parse(text: str) -> dict[str, str]:
    """The entries of a `.wskprops`: KEY=VALUE lines; a line with more than one `=` is dropped, as wsk does."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        parts = line.split("=")
        if len(parts) == 2 and not line.lstrip().startswith("#"):
            found[parts[0].strip().upper()] = parts[1].strip()
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
            hint="Correct WSK_CONFIG_FILE, or unset it to use this machine.",
        ) from None


def choose(
    environment: Mapping[str, str], *, apihost: str | None = None, auth: str | None = None, service: bool = False
) -> Properties | None:
    """Which platform the caller named: by an option, or by the file of `WSK_CONFIG_FILE`.

    Args:
        environment: Variables: WSK_CONFIG_FILE, WHISK_AUTH, and for a service WHISK_APIHOST.
        apihost: `--apihost`.
        auth: `--auth`.
        service: Whether WHISK_APIHOST names a platform too: for a process that is set up by its environment.

    Returns:
        The platform; None where none was named (a key alone names none).

    Raises:
        ConfigurationError: The file cannot be read, or host or key is missing.
    """
    file = environment.get("WSK_CONFIG_FILE", "").strip()
    entries = read(Path(file).expanduser()) if file else {}
    host, source = apihost or "", "--apihost"
    if not host and service and environment.get("WHISK_APIHOST"):
        host, source = environment["WHISK_APIHOST"], "WHISK_APIHOST"
    if not host and file:
        host, source = entries.get("APIHOST", ""), file
        if not host:
            raise ConfigurationError(
                f"The wskprops file {file} has no APIHOST.", hint="Add a line APIHOST=http(s)://HOST:PORT."
            )
    if not host:
        return None
    # A file's key belongs to the file's host: it is not sent to another one.
    file_key = entries.get("AUTH", "") if entries.get("APIHOST", host) == host else ""
    key = auth or environment.get("WHISK_AUTH", "") or file_key
    if ":" not in key:
        raise ConfigurationError(
            f"There is no key for {host}: expected UUID:KEY.",
            hint="Pass --auth, set WHISK_AUTH, or add AUTH=UUID:KEY to the wskprops file.",
        )
    return Properties(host, key, source)


def write(path: Path, apihost: str, auth: str) -> None:
    """Write a file that only its owner may read, for `wsk`: WSK_CONFIG_FILE=path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600, exist_ok=True)
    path.chmod(0o600)
    path.write_text(f"APIHOST={apihost}\nAUTH={auth}\nNAMESPACE=_\n", encoding="utf-8")
