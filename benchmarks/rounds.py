"""How long a round takes on the embedded store, and where the time goes: `python benchmarks/rounds.py [--rounds 300]`.

A NumPy model of the size that is asked for stands in for Keras, and its gradient is made up: what is measured is the protocol.
Activations are threads of this process (the interpreter's lock makes that the slower way), or processes with `--processes`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np

from whisktrain import tensors
from whisktrain.rounds import aggregate, steps, worker
from whisktrain.rounds.opening import create
from whisktrain.spec import Blueprint, Built, Contribution, Rows, Spec, Work
from whisktrain.store.sqlite import SqliteStore
from whisktrain.tensors import Tensors


class Learner:
    """A model with one weight tensor, whose gradient costs nothing."""

    def __init__(self, weights: int) -> None:
        self.weights = weights

    def build(self, spec: Spec, files: Mapping[str, bytes]) -> Built:
        """One tensor of ones."""
        layout = {"tensors": [{"name": "w", "role": "trainable"}]}
        return Built(Blueprint(layout, b"-"), {"w": np.ones(self.weights, np.float32)})

    def open(self, spec: Spec, blueprint: Blueprint) -> Learner:
        """Nothing to prepare."""
        return self

    def contribute(self, params: Tensors, work: Work, rows: Rows, validation: Rows) -> Contribution:
        """A made-up gradient."""
        part = {"rows": 1, "loss": 0.5, "divisor": 1.0, "penalty": 0.0, "state": {"accuracy": [1.0, 1.0]}}
        phase = "train" if work.phase == "train" else "training"
        numbers = {"rows": 1, "divisor": 1.0, "train": None, "validation": None, "training": None, phase: part}
        return Contribution({"w": np.full(self.weights, 1e-3, np.float32)} if work.phase == "train" else {}, numbers)


class Threads:
    """Activations as threads."""

    def __init__(self, store: SqliteStore, weights: int) -> None:
        self.store, self.learner = store, Learner(weights)

    def invoke(self, action: str, arguments: dict[str, Any]) -> str:
        """Start one."""
        activation = uuid.uuid4().hex
        threading.Thread(
            target=serve, args=(self.store, self, self.learner, (action, arguments), activation), daemon=True
        ).start()
        return activation


class Processes:
    """Activations as processes."""

    def __init__(self, store: SqliteStore, weights: int) -> None:
        self.path, self.weights = store.url.removeprefix("sqlite:"), weights

    def invoke(self, action: str, arguments: dict[str, Any]) -> str:
        """Start one."""
        activation = uuid.uuid4().hex
        child = [sys.executable, __file__, "--child", self.path, str(self.weights), action, json.dumps(arguments), activation]
        subprocess.Popen(child)
        return activation


def serve(store: SqliteStore, invoker: Any, learner: Learner, call: tuple[str, dict[str, Any]], activation: str) -> None:
    action, arguments = call
    common: dict[str, Any] = {"store": store, "invoker": invoker, "execution": activation, "deadline": time.time() + 290}
    if action == "worker":
        worker.serve(arguments["run"], arguments["slot"], learner=learner, **common)
    else:
        aggregate.serve(arguments["run"], **common)


def child(path: str, weights: str, action: str, arguments: str, activation: str) -> None:
    store = SqliteStore(path)
    serve(store, Processes(store, int(weights)), Learner(int(weights)), (action, json.loads(arguments)), activation)


class Clock:
    """Adds up the time from each step to the next one of the same thread."""

    def __init__(self) -> None:
        self.last = threading.local()
        self.spent: dict[str, list[float]] = defaultdict(list)

    def __call__(self, step: str) -> None:
        """Take the time at a step."""
        now = time.perf_counter()
        before = getattr(self.last, "step", None)
        if before is not None:
            self.spent[before[0]].append(now - before[1])
        self.last.step = (step, now)


def measure(workers: int, weights: int, rounds: int, processes: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(folder)
        store.ensure()
        data = tensors.encode({"x": np.zeros((4, 1), np.float32), "y": np.zeros(4, np.int64), "row": np.arange(4)})
        for k in range(workers):
            for kind in ("shard", "validation"):
                store.library.put(f"{kind}:d:{k}", {"schema": 1, "rows": 4}, attachment=data)
        store.library.put("dataset:d", {"schema": 1, "classes": ["a", "b"]}, attachment=b"-")
        spec = Spec(
            dataset="d",
            name="m",
            task="classification",
            classes=2,
            x_shape=(1,),
            shard_rows=(4,) * workers,
            validation_rows=(0,) * workers,
            model={},
            loss={"name": "sparse_categorical_crossentropy"},
            metrics=("accuracy",),
            optimizer={"name": "adam", "learning_rate": 1e-3},
            rounds=rounds,
            lease=240.0,
            slots=workers,
        )
        invoker = (Processes if processes else Threads)(store, weights)
        clock = Clock()
        with steps.watched(clock):
            create(store, invoker, "r", spec)
            while store.rounds.get("params:r:1") is None:
                time.sleep(0.01)
            invoker.invoke("aggregate", {"run": "r"})
            while (summary := store.library.get("summary:r")) is None:
                time.sleep(0.05)
        found = summary.body
        name = f"{workers} workers, {weights * 4 / 1e6:.2f} MB, {'processes' if processes else 'threads'}"
        print(f"{name:40} p50 {found['round_ms']['p50']:7.2f} ms   p95 {found['round_ms']['p95']:7.2f} ms")
        for step in ("A2", "A3", "A4", "A5", "A6", "A6.swapped", "A7", "A8", "A9", "W1", "W2", "W3", "W4", "W4.written"):
            if clock.spent[step] and not processes:
                print(f"    from {step:12} {1000 * float(np.median(clock.spent[step])):7.2f} ms")
        while threading.active_count() > 1 or store.rounds.list("", bodies=False, limit=1):
            time.sleep(0.05)
        store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--processes", action="store_true")
    parser.add_argument("--weights", type=int, nargs="+", default=[1_000, 200_000])
    options = parser.parse_args()
    for weights in options.weights:
        for workers in (2, 4):
            measure(workers, weights, options.rounds, options.processes)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main()
