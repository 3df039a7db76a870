"""How long the store's operations take: `python benchmarks/store.py [ADDRESS] [--writers 8] [--bytes 800000]`.

Prints milliseconds, and ratios to a plain small put, because only those compare between machines. Nothing is asserted.
The store at ADDRESS (a new embedded one by default) must be empty; databases named by it are created.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial

from whisktrain.store import Store, open_store


def main() -> None:
    arguments = argparse.ArgumentParser(description="Measure a store.")
    arguments.add_argument(
        "address",
        nargs="?",
        help="sqlite:PATH or http(s)://…; a temporary embedded store by default",
    )
    arguments.add_argument("--writers", type=int, default=8)
    arguments.add_argument("--bytes", type=int, default=800_000)
    arguments.add_argument("--repeat", type=int, default=100)
    given = arguments.parse_args()
    with (
        tempfile.TemporaryDirectory() as home,
        contextlib.closing(open_store(given.address or f"sqlite:{home}")) as store,
    ):
        store.ensure()
        address = given.address or f"sqlite:{home}"
        small = report("small put", puts(store, "small", None, given.repeat))
        report("small get", timed(lambda _: store.rounds.get("small:0"), given.repeat), small)
        data = os.urandom(given.bytes)
        report(f"put of {given.bytes} bytes", puts(store, "large", data, given.repeat), small)
        report("… durable", puts(store, "durable", data, given.repeat, durable=True), small)
        report(
            "get of them",
            timed(lambda k: store.rounds.get(f"large:{k}", attachment=True), given.repeat),
            small,
        )
        report("wake-up of a waiting reader", list(wakes(store, given.repeat)), small)
        begun = time.perf_counter()
        took = race(address, given.writers, given.bytes, given.repeat)
        report(f"put by {given.writers} processes at once", took, small)
        rate = len(took) * given.bytes / (time.perf_counter() - begun) / 1e6
        print(f"{'… together at least':34} {rate:9.0f} MB/s")
        everything = [document.id for document in store.rounds.list("", bodies=False)]
        report(
            "deletion of a document, of many",
            [_seconds(lambda: store.rounds.delete_many(everything)) / len(everything)],
            small,
        )


def report(name: str, took: list[float], unit: float | None = None) -> float:
    """Print one line; returns the median in seconds."""
    ordered = sorted(took)
    median, p99 = (
        statistics.median(ordered),
        ordered[min(len(ordered) - 1, round(0.99 * len(ordered)))],
    )
    ratio = "" if unit is None else f"{median / unit:8.1f} x a small put"
    print(
        f"{name:34} {median * 1e3:9.2f} ms p50 {p99 * 1e3:9.2f} ms p99 {ordered[-1] * 1e3:9.2f} ms at most {ratio}"
    )
    return median


def timed(work: Callable[[int], object], repeat: int) -> list[float]:
    """Seconds of each of so many calls."""
    return [_seconds(partial(work, k)) for k in range(repeat)]


def puts(
    store: Store, name: str, data: bytes | None, repeat: int, *, durable: bool = False
) -> list[float]:
    """Seconds of each of so many puts."""
    return timed(
        lambda k: store.rounds.put(f"{name}:{k}", {"k": k}, attachment=data, durable=durable),
        repeat,
    )


def wakes(store: Store, repeat: int) -> Iterator[float]:
    """Seconds from the end of a put to the answer of a reader that waited for it."""
    position = store.rounds.changes(None).position
    with ThreadPoolExecutor(1) as pool:
        for k in range(repeat):
            waiting: Future[tuple[float, str]] = pool.submit(_woken, store, position)
            time.sleep(0.01)
            store.rounds.put(f"wake:{k}", {})
            written = time.perf_counter()
            woken, position = waiting.result()
            yield max(0.0, woken - written)


def race(address: str, writers: int, size: int, repeat: int) -> list[float]:
    """Seconds of each put of several processes that write at once."""
    with ProcessPoolExecutor(writers, mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(_ready, range(writers)))
        took = [pool.submit(_race, address, who, size, repeat) for who in range(writers)]
        return [seconds for one in took for seconds in one.result()]


def _ready(who: int) -> int:
    time.sleep(0.2)
    return who


def _race(address: str, who: int, size: int, repeat: int) -> list[float]:
    with contextlib.closing(open_store(address)) as store:
        store.rounds.get("warm")
        return puts(store, f"race{who}", os.urandom(size), repeat)


def _woken(store: Store, position: str) -> tuple[float, str]:
    found = store.rounds.changes(position, timeout=10)
    return time.perf_counter(), found.position


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
