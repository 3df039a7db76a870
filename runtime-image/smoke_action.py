"""The action that smoke.py gives to the image: the real stages, one after the other, in one process over a store in /tmp.

An action image takes one action only, so that this one does what preprocess, train, worker, aggregate and predict do.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from whisktrain.openwhisk.action import Context, action

RUN = "smoke"


class Recorder:
    """Takes invocations down instead of making them: the steps are taken here, in turn."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def invoke(self, name: str, arguments: dict[str, Any]) -> str:
        """Take one down."""
        self.calls.append((name, arguments))
        return "0" * 32


@action
def main(arguments: dict[str, Any], context: Context) -> dict[str, Any]:
    """Take one step: "keras", "light", "train" or "memory"."""
    began = time.perf_counter()
    answer: dict[str, Any] = {"keras": keras, "light": light, "train": train, "memory": memory}[
        arguments["step"]
    ](context)
    return {**answer, "seconds": round(time.perf_counter() - began, 3)}


def keras(_: Context) -> dict[str, Any]:
    """Import Keras with TensorFlow, build a model and compute with it."""
    began = time.perf_counter()
    import numpy as np

    from whisktrain.learning import backend

    keras = backend.keras()  # as a worker does: with one thread

    imported = time.perf_counter() - began
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(3, kernel_initializer="ones", use_bias=False)]
    )
    found = np.asarray(model(np.array([[1.0, 2.0]], np.float32)))
    return {
        "backend": keras.backend.backend(),
        "import": round(imported, 3),
        "result": found.tolist(),
    }


def prepared(context: Context) -> dict[str, Any]:
    """Stage 1 on iris: the request for stage 2."""
    from whisktrain.request import Request, parse
    from whisktrain.stages.preprocess import preprocess

    context.store.ensure()
    settings = {"key": RUN, "workers": 2, "rounds": 3, "batch": "full", "lease": 0, "name": RUN}
    request = parse(
        Request,
        {
            "data": "iris",
            "model": "linear",
            "train": settings,
            "predict": {"rows": [[5.1, 3.5, 1.4, 0.2]]},
        },
    )
    return preprocess(request, context.store, workers=2)


def opened(context: Context) -> tuple[dict[str, Any], Recorder]:
    """Stage 2 opens the run: its answer, and what it wanted to be invoked."""
    from whisktrain.openwhisk.limits import Limits
    from whisktrain.stages.train import train as stage

    recorder = Recorder()
    common = {"store": context.store, "invoker": recorder, "execution": "smoke-train"}
    answer = stage(
        prepared(context), **common, deadline=context.deadline, limits=Limits(), wait=False
    )
    return answer, recorder


def light(context: Context) -> dict[str, Any]:
    """What needs no TensorFlow: preprocess, train, and one look of the aggregate."""
    from whisktrain.rounds.aggregate import serve as aggregate

    answer, recorder = opened(context)
    common = {"store": context.store, "invoker": recorder, "execution": "smoke-aggregate"}
    closed = aggregate(RUN, **common, deadline=context.deadline)
    return {
        "status": answer["status"],
        "invoked": [name for name, _ in recorder.calls],
        "aggregate": closed["left"],
    }


def train(context: Context) -> dict[str, Any]:
    """A whole run: every invocation that the stages ask for is made here, in turn, until the run has ended."""
    from whisktrain.learning import KerasLearner
    from whisktrain.rounds.aggregate import serve as aggregate
    from whisktrain.rounds.worker import serve as worker
    from whisktrain.stages.predict import predict

    began = time.perf_counter()
    answer, recorder = opened(context)
    learner, first = KerasLearner(), 0.0
    while (
        summary := context.store.library.get(f"summary:{RUN}")
    ) is None and time.time() < context.deadline - 5:
        # As many activations as the stages asked for; the follower's fire, which comes after each round, last.
        for name, given in [*recorder.calls, ("aggregate", {"run": RUN})]:
            where = {
                "store": context.store,
                "invoker": recorder,
                "execution": f"smoke-{time.time_ns()}",
            }
            recorder.calls = []
            if name == "worker":
                worker(
                    given["run"], given["slot"], **where, learner=learner, deadline=context.deadline
                )
                first = first or time.perf_counter() - began
            else:
                aggregate(given["run"], **where, deadline=context.deadline)
    if summary is None:
        return {"status": "not ended", "first": answer}
    if summary.body["status"] != "completed":
        return {key: summary.body.get(key) for key in ("status", "reason", "error", "workers_log")}
    decided = predict({"model": RUN, "rows": [[5.1, 3.5, 1.4, 0.2]]}, store=context.store)
    return {
        "status": summary.body["status"],
        "first": round(first, 3),
        "decisions": decided["decisions"],
        "reason": summary.body.get("reason"),
    }


def memory(_: Context) -> dict[str, Any]:
    """Peak memory in MB: of the container with its page cache, where its cgroup can be read; of this process alone."""
    import resource

    found: dict[str, Any] = {
        "process_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "container_mb": None,
    }
    for name in ("memory.peak", "memory/memory.max_usage_in_bytes"):
        file = Path("/sys/fs/cgroup") / name
        if file.is_file():
            found["container_mb"] = int(file.read_text()) // 2**20
    return found
