"""Where a connection works: platform, key, store and home. Data only goes to a platform that was named."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from whisktrain.errors import ConfigurationError
from whisktrain.openwhisk import wskprops

__all__ = ["Where", "default_home", "find_platform"]


@dataclass(frozen=True)
class Where:
    """A platform and a store, as found from arguments and environment.

    Attributes:
        platform: "embedded" (a host of this machine's own) or "openwhisk".
        home: Where embedded state is.
        store: The store's address, with its password; None on OpenWhisk where none was named.
        apihost: OpenWhisk's address; None on the embedded platform, whose host has none before it starts.
        auth: The key for it; never shown.
        insecure: Whether a self-signed certificate is accepted.
    """

    platform: Literal["embedded", "openwhisk"]
    home: Path
    store: str | None = field(default=None, repr=False)
    apihost: str | None = None
    auth: str | None = field(default=None, repr=False)
    insecure: bool = False


def default_home(environment: Mapping[str, str] = os.environ) -> Path:
    """`WHISKTRAIN_HOME`, else the user's data directory for whisktrain."""
    given = environment.get("WHISKTRAIN_HOME", "").strip()
    if given:
        return Path(given).expanduser()
    import platformdirs

    return Path(platformdirs.user_data_dir("whisktrain", appauthor=False))


def find_platform(
    *,
    apihost: str | None = None,
    auth: str | None = None,
    platform: str | None = None,
    store: str | None = None,
    home: str | Path | None = None,
    insecure: bool = False,
    environment: Mapping[str, str] = os.environ,
) -> Where:
    """Decide where to work.

    OpenWhisk only where it is asked for: by an `apihost`, `platform="openwhisk"`, or `WSK_CONFIG_FILE`. A `.wskprops` in the
    home directory alone changes nothing.

    Args:
        apihost: OpenWhisk's address.
        auth: The key for it. Without one: `WHISK_AUTH`, or the one that the file of `WSK_CONFIG_FILE` (or `~/.wskprops`) holds
            for exactly this address.
        platform: "embedded" or "openwhisk".
        store: The store's address; `WHISKTRAIN_STORE`, or on the embedded platform `sqlite:HOME/store`, by default.
        home: Where embedded state is.
        insecure: Whether to accept a self-signed certificate.
        environment: The process' variables.

    Raises:
        ConfigurationError: The answers contradict each other, or something is missing.
    """
    _check_platform(platform, apihost)
    if isinstance(home, str) and not home.strip():
        raise ConfigurationError(
            "The home was an empty text; expected a directory.",
            hint="Leave it out for the user's data directory, or name one.",
        )
    place = (Path(home).expanduser() if home is not None else default_home(environment)).absolute()
    address = store or environment.get("WHISKTRAIN_STORE") or None
    openwhisk = (
        platform == "openwhisk" or apihost is not None or bool(environment.get("WSK_CONFIG_FILE"))
    )
    if platform == "embedded" or not openwhisk:
        return Where("embedded", place, address or f"sqlite:{place / 'store'}")
    entries = _wskprops(environment, apihost)
    host = _api_host(apihost, environment, entries)
    return Where(
        "openwhisk", place, address, host, _key(auth, host, environment, entries), insecure
    )


def _check_platform(platform: str | None, apihost: str | None) -> None:
    """Refuse an unknown platform, and one that contradicts the API host."""
    if platform not in (None, "embedded", "openwhisk"):
        raise ConfigurationError(
            f"The platform was {platform!r}; expected 'embedded' or 'openwhisk'."
        )
    if platform == "embedded" and apihost is not None:
        raise ConfigurationError(
            "The platform 'embedded' starts a host of its own, but an API host was given.",
            hint="Leave out --apihost, or say --platform openwhisk.",
        )


def _wskprops(environment: Mapping[str, str], apihost: str | None) -> Mapping[str, str]:
    """The entries of the file that `WSK_CONFIG_FILE` names; else of `~/.wskprops`, where no API host was given."""
    configured = environment.get("WSK_CONFIG_FILE")
    if configured:
        return wskprops.read(Path(configured).expanduser())
    file = Path(environment.get("HOME", "~"), ".wskprops").expanduser()
    return wskprops.read(file) if apihost is None and file.is_file() else {}


def _api_host(
    apihost: str | None, environment: Mapping[str, str], entries: Mapping[str, str]
) -> str:
    host = apihost or environment.get("WHISK_APIHOST") or entries.get("APIHOST")
    if not host:
        raise ConfigurationError(
            "OpenWhisk was asked for, but no API host is known.",
            hint="Give --apihost URL, or a .wskprops file with APIHOST=.",
        )
    return host


def _key(
    auth: str | None, host: str, environment: Mapping[str, str], entries: Mapping[str, str]
) -> str:
    """The key for a host. A file's key is not sent to another host than the one that the file names."""
    key = auth or environment.get("WHISK_AUTH")
    if not key and _normalized(entries.get("APIHOST", host)) == _normalized(host):
        key = entries.get("AUTH")
    if not key or ":" not in key:
        raise ConfigurationError(
            f"There is no key for {host}: expected UUID:KEY.",
            hint="Give --auth, set WHISK_AUTH, or add AUTH=UUID:KEY to the file that WSK_CONFIG_FILE names.",
        )
    return key


def _normalized(host: str) -> str:
    """A host for comparison: with a scheme (https where there is none), without a final slash."""
    text = host.strip().rstrip("/").lower()
    return text if "://" in text else f"https://{text}"
