"""The fan-out of stage 2: computes one slot's shards, round after round, until its lease ends."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from whisktrain.openwhisk.action import Context, action, required
from whisktrain.spec import Learner


@functools.cache
def learner() -> Learner:
    """One for the process: warm activations go on with the models that it has prepared."""
    from whisktrain.learning import KerasLearner

    return KerasLearner()


@action
def main(arguments: dict[str, Any], context: Context) -> Mapping[str, object]:
    from whisktrain.rounds.worker import serve

    return serve(
        required(arguments, "run", str),
        required(arguments, "slot", int),
        store=context.store,
        invoker=context.invoker,
        learner=learner(),
        execution=context.activation,
        deadline=context.deadline,
        successor=bool(arguments.get("successor", False)),
    )
