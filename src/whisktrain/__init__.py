"""Train deep-learning models as serverless functions on Apache OpenWhisk.

Example:
    >>> import whisktrain
    >>> with whisktrain.connect() as connection:  # doctest: +SKIP
    ...     connection.train("digits", workers=4)["metrics"]["val_accuracy"]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from whisktrain.version import __version__

if TYPE_CHECKING:
    from whisktrain.sdk import Connection as Connection
    from whisktrain.sdk import Progress as Progress
    from whisktrain.sdk import connect as connect

__all__ = ["Connection", "Progress", "__version__", "connect"]


def __getattr__(name: str) -> Any:
    """Import the SDK only when it is asked for: actions and the follower do without it."""
    if name in ("Connection", "Progress", "connect"):
        from whisktrain import sdk

        return getattr(sdk, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
