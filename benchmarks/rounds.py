"""How long a round takes, and where the time goes: `python benchmarks/rounds.py [--rounds 300] [--store ADDRESS]`.

A NumPy model of the size that is asked for stands in for Keras, and its gradient is made up: what is measured is the protocol.
Activations are threads of this process (the interpreter's lock makes that the slower way), or processes with `--processes`.
With `--store http://ADMIN:PASSWORD@HOST:PORT` they are processes on that CouchDB, a follower runs beside them, and the requests
of a round are counted; its databases `bench-rounds-…` are dropped again.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from whisktrain import tensors
from whisktrain.openwhisk import feed
from whisktrain.rounds import aggregate, failpoints, worker
from whisktrain.rounds.follower import Follower
from whisktrain.rounds.opening import create
from whisktrain.spec import Blueprint, Built, Contribution, Rows, Spec, Work
from whisktrain.store import Store, open_store
from whisktrain.store.couch import CouchStore
from whisktrain.store.couch.session import HttpSession
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
        part = {
            "rows": 1,
            "loss": 0.5,
            "divisor": 1.0,
            "penalty": 0.0,
            "state": {"accuracy": [1.0, 1.0]},
        }
        phase = "train" if work.phase == "train" else "training"
        numbers = {
            "rows": 1,
            "divisor": 1.0,
            "train": None,
            "validation": None,
            "training": None,
            phase: part,
        }
        return Contribution(
            {"w": np.full(self.weights, 1e-3, np.float32)} if work.phase == "train" else {}, numbers
        )


class Threads:
    """Activations as threads."""

    def __init__(self, store: Store, weights: int) -> None:
        self.store, self.learner = store, Learner(weights)

    def invoke(self, action: str, arguments: dict[str, Any]) -> str:
        """Start one."""
        activation = uuid.uuid4().hex
        threading.Thread(
            target=serve,
            args=(self.store, self, self.learner, (action, arguments), activation),
            daemon=True,
        ).start()
        return activation


class Processes:
    """Activations as processes, which leave what they counted in a folder."""

    def __init__(self, address: str, weights: int, folder: str) -> None:
        self.address, self.weights, self.folder = address, weights, folder

    def invoke(self, action: str, arguments: dict[str, Any]) -> str:
        """Start one."""
        activation = uuid.uuid4().hex
        given = json.dumps(
            [self.address, self.weights, self.folder, [action, arguments], activation]
        )
        subprocess.Popen([sys.executable, __file__, "--child", given])
        return activation


def serve(
    store: Store, invoker: Any, learner: Learner, call: tuple[str, dict[str, Any]], activation: str
) -> None:
    action, arguments = call
    common: dict[str, Any] = {
        "store": store,
        "invoker": invoker,
        "execution": activation,
        "deadline": time.time() + 290,
    }
    if action == "worker":
        worker.serve(arguments["run"], arguments["slot"], learner=learner, **common)
    elif action == "aggregate":
        aggregate.serve(arguments["run"], after=arguments.get("after", ""), **common)
    else:
        stop = threading.Event()
        threading.Thread(
            target=_when_gone, args=(Path(arguments["until"]), stop), daemon=True
        ).start()
        Follower(
            store,
            lambda _, given: invoker.invoke("aggregate", given) and None,
            fires_per_minute=600,
        ).run(stop)


def _when_gone(path: Path, stop: threading.Event) -> None:
    while path.exists():
        time.sleep(0.1)
    stop.set()


def child(
    address: str, weights: int, folder: str, call: tuple[str, dict[str, Any]], activation: str
) -> None:
    counted: Counter[str] = Counter()
    attempt = HttpSession._attempt

    def counting(self: HttpSession, request: Any, *rest: Any) -> Any:
        counted[_kind(request.method, request.url)] += 1
        return attempt(self, request, *rest)

    HttpSession._attempt = counting  # type: ignore[method-assign]
    store = open_store(address)
    serve(store, Processes(address, weights, folder), Learner(weights), call, activation)
    found = {"action": call[0], "requests": counted, "cpu": time.process_time()}
    part = Path(folder, f"{activation}.part")
    part.write_text(json.dumps(found))
    part.rename(part.with_suffix(".json"))


def _kind(method: str, url: str) -> str:
    """What a request asks for: its method, and the kind of the document or the special address."""
    address = re.sub(r"%3A", ":", url.partition("?")[0].rpartition("/")[2])
    kind, _, rest = address.partition(":")
    return f"{method} {'update' if rest.count(':') == 1 and kind == 'r' else kind}"


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


@contextlib.contextmanager
def opened(address: str | None, folder: str) -> Iterator[tuple[str, Store]]:
    """An empty store: at the address given, or in the folder."""
    if address is not None:
        address = f"{address}?prefix=bench-rounds-{secrets.token_hex(4)}"
    address = address or f"sqlite:{folder}/store"
    store = open_store(address)
    store.ensure()
    with contextlib.closing(store):
        yield address, store
        if isinstance(store, CouchStore):
            store.drop()


def measure(
    workers: int, weights: int, rounds: int, *, processes: bool, address: str | None
) -> None:
    with tempfile.TemporaryDirectory() as folder, opened(address, folder) as (place, store):
        data = tensors.encode(
            {"x": np.zeros((4, 1), np.float32), "y": np.zeros(4, np.int64), "row": np.arange(4)}
        )
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
        invoker = Processes(place, weights, folder) if processes else Threads(store, weights)
        clock = Clock()
        following = Path(folder, "following")
        following.touch()
        if address is not None:
            feed.handle({"lifecycleEvent": "CREATE", "triggerName": "/_/rounds"}, store)
            invoker.invoke("follower", {"until": str(following)})
        with failpoints.observed(clock):
            create(store, invoker, "r", spec)
            while store.rounds.get("params:r:1") is None:
                time.sleep(0.01)
            if address is None:
                invoker.invoke("aggregate", {"run": "r"})
            while (summary := store.library.get("summary:r")) is None:
                time.sleep(0.2)
        found = summary.body
        name = f"{workers} workers, {weights * 4 / 1e6:.2f} MB, {'processes' if processes else 'threads'}"
        print(
            f"{name:40} p50 {found['round_ms']['p50']:7.2f} ms   p95 {found['round_ms']['p95']:7.2f} ms",
            flush=True,
        )
        for step in (
            "A2",
            "A3",
            "A4",
            "A5",
            "A6",
            "A6.swapped",
            "A7",
            "A8",
            "A9",
            "W1",
            "W2",
            "W3",
            "W4",
            "W4.written",
        ):
            if clock.spent[step] and not processes:
                print(f"    from {step:12} {1000 * float(np.median(clock.spent[step])):7.2f} ms")
        while threading.active_count() > 1 or [
            d for d in store.rounds.list("", bodies=False) if d.id[:4] != "regi"
        ]:
            time.sleep(0.05)
        following.unlink()
        if address is not None:
            report(Path(folder), workers + 2, rounds)


def report(folder: Path, activations: int, rounds: int) -> None:
    """Say what the requests of a round were, and the processors' time of our own processes."""
    until = time.monotonic() + 10
    while len(found := list(folder.glob("*.json"))) < activations and time.monotonic() < until:
        time.sleep(0.1)
    requests: Counter[str] = Counter()
    cpu: Counter[str] = Counter()
    for left in map(json.loads, (path.read_text() for path in found)):
        requests.update({f"{left['action']:9} {kind}": n for kind, n in left["requests"].items()})
        cpu[left["action"]] += left["cpu"]
    print(
        f"    {sum(requests.values()) / rounds:.1f} requests a round, by {len(found)} activations",
        end="",
    )
    print(
        "; ms of processor:",
        ", ".join(f"{action} {1000 * s / rounds:.1f}" for action, s in sorted(cpu.items())),
    )
    for kind, n in sorted(requests.items()):
        if n >= rounds / 20:
            print(f"        {n / rounds:6.2f}  {kind}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--processes", action="store_true")
    parser.add_argument("--weights", type=int, nargs="+", default=[1_000, 200_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 4])
    parser.add_argument(
        "--store",
        default=os.environ.get("WHISKTRAIN_BENCH_STORE"),
        help="a CouchDB, with its administrator",
    )
    options = parser.parse_args()
    processes = options.processes or options.store is not None
    for weights in options.weights:
        for workers in options.workers:
            measure(workers, weights, options.rounds, processes=processes, address=options.store)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*json.loads(sys.argv[2]))
    else:
        main()
