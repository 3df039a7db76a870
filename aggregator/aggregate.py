"""The parameter server: merges a complete round, updates the parameters, opens the next round."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from whisktrain.openwhisk.action import Context, action, required


@action
def main(arguments: dict[str, Any], context: Context) -> Mapping[str, object]:
    from whisktrain.rounds.aggregate import serve

    return serve(
        required(arguments, "run", str),
        store=context.store,
        invoker=context.invoker,
        execution=context.activation,
        deadline=context.deadline,
        after=str(arguments.get("after", "")),
    )
