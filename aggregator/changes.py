"""The feed action: registers the triggers that the follower fires, through their life cycle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from whisktrain.openwhisk.action import Context, action


@action
def main(arguments: dict[str, Any], context: Context) -> Mapping[str, object]:
    from whisktrain.openwhisk.feed import handle

    return handle(arguments, context.store, namespace=context.namespace)
