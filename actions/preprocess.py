"""Stage 1: loads and transforms the data, splits it into N shards, stores the fitted preprocessing."""

from __future__ import annotations

from typing import Any

from whisktrain.openwhisk.action import Context, action


@action
def main(arguments: dict[str, Any], context: Context) -> dict[str, Any]:
    from whisktrain.request import Request, parse
    from whisktrain.rules.capacity import plan_workers
    from whisktrain.stages.preprocess import preprocess

    request = parse(Request, arguments)
    workers = (
        plan_workers(context.limits) if request.train.workers == "auto" else request.train.workers
    )
    return dict(preprocess(request, context.store, workers=workers))
