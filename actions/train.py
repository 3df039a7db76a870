"""Stage 2: opens a run, fans out to the workers, and waits for the model."""

from __future__ import annotations

from typing import Any

from whisktrain.openwhisk.action import Context, action


@action
def main(arguments: dict[str, Any], context: Context) -> object:
    from whisktrain.stages.train import train

    return train(
        arguments,
        store=context.store,
        invoker=context.invoker,
        execution=context.activation,
        deadline=context.deadline,
        limits=context.limits,
    )
