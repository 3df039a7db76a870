"""The Python SDK.

Example:
    >>> import whisktrain
    >>> with whisktrain.connect() as connection:  # doctest: +SKIP
    ...     result = connection.train("digits", workers=4)
    ...     connection.predict("digits", rows)["message"]
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from whisktrain.sdk.connection import Connection
from whisktrain.sdk.training.following import Progress
from whisktrain.sdk.where import find_platform

__all__ = ["Connection", "Progress", "connect"]


def connect(
    apihost: str | None = None,
    auth: str | None = None,
    platform: str | None = None,
    store: str | None = None,
    home: str | Path | None = None,
    *,
    insecure: bool = False,
    narrate: Callable[[str], None] | None = None,
    share: bool = False,
) -> Connection:
    """Connect to a platform and a store: this machine's own, unless the arguments or `WSK_CONFIG_FILE` say otherwise.

    Nothing is started before it is needed. The embedded host lives as long as the connection, unless it is shared.

    Args:
        apihost: An OpenWhisk's address.
        auth: The key for it, `UUID:KEY`.
        platform: "embedded" or "openwhisk".
        store: `sqlite:PATH`, or `http(s)://…` of a CouchDB.
        home: Where embedded state is; the user's data directory by default.
        insecure: Whether to accept a self-signed certificate.
        narrate: Called with each line that tells what is going on; the first one names platform and store.
        share: Whether to use the embedded host that the commands of this home share: it is warm where one has run just
            before, and stays for some minutes after the last one.

    Raises:
        ConfigurationError: The arguments contradict each other, or something is missing.
    """
    where = find_platform(
        apihost=apihost, auth=auth, platform=platform, store=store, home=home, insecure=insecure
    )
    connection = Connection(where, narrate, share=share)
    connection.narrate(connection.describe())
    return connection
