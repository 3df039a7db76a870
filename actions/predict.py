"""Stage 3: answers with decisions of a cached model and a plain message; also a web action."""

from __future__ import annotations

from typing import Any

from whisktrain.openwhisk.action import Context, action


@action
def main(arguments: dict[str, Any], context: Context) -> object:
    from whisktrain.stages.predict import predict

    return predict(arguments, store=context.store)
