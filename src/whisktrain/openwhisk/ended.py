"""The records of activations that have ended, as the rounds ask for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from whisktrain.openwhisk.client import failure_of

if TYPE_CHECKING:
    from whisktrain.openwhisk.client import Client
    from whisktrain.rounds.activations import Ended

__all__ = ["ended"]


def ended(client: Client, activation: str) -> Ended | None:
    """The record of an activation that has ended; None where the platform has none.

    Raises:
        PlatformError: The platform does not answer.
    """
    from whisktrain.rounds.activations import Ended

    record = client.activation(activation)
    if record is None:
        return None
    result = dict(record.result) if isinstance(record.result, Mapping) else {}
    return Ended(result, None if record.succeeded else failure_of(record).to_record())
