"""Fuzz every reader and the check of requests: `make fuzz N=100000`, `make fuzz REPLAY=csv:17`.

Inputs run in child processes. A child that needs more than `CPU_SECONDS` for one input is ended by its own timer and a child
that dies names the input that it was at; one that grows by more than `GROWTH` bytes has found a fault, too. All of it is
counted in processor time and bytes, so that a busy machine changes nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import importlib
import multiprocessing
import os
import resource
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

CPU_SECONDS = 10.0
"""Processor time that one input may take; the slowest of those found take a tenth of it."""

GROWTH = 256 * 1024 * 1024
"""Bytes by which a child may grow, with data of at most `DATA_MB`."""

ADDRESS_SPACE = 4 * 1024 * 1024 * 1024
"""Bytes beyond which a child gets no memory, so that the machine survives what is found."""

DATA_MB = "4"

_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes in a unit of `ru_maxrss`."""


@dataclass(frozen=True)
class Fault:
    """An input that was not handled properly.

    Attributes:
        target: The target's name.
        index: The input's number.
        what: What happened.
    """

    target: str
    index: int
    what: str

    def __str__(self) -> str:
        return f"{self.what.strip()}\n    replay it: make fuzz REPLAY={self.target}:{self.index}"


Work = tuple[str, int]
"""A target's name and an input's number."""


class _Setting(NamedTuple):
    """What a child has to know, beside its work."""

    seed: int
    most: int
    module: str
    seconds: float


def plan(inputs: int, only: Sequence[str] = (), module: str = "targets") -> list[Work]:
    """The inputs of a campaign: the targets of a module by their shares, one after another."""
    known = importlib.import_module(module).TARGETS
    chosen = [target for name, target in known.items() if not only or name in only]
    whole = sum(target.share for target in chosen)
    return [
        (target.name, index)
        for target in chosen
        for index in range(max(1, round(inputs * target.share / whole)))
    ]


def run(
    work: Sequence[Work],
    seed: int,
    jobs: int,
    *,
    most: int = 20,
    module: str = "targets",
    seconds: float = CPU_SECONDS,
) -> list[Fault]:
    """Run inputs in child processes.

    Args:
        work: The inputs.
        seed: The campaign's seed.
        jobs: How many children at a time.
        most: Faults at which a child's share of the work ends.
        module: Where the targets are.
        seconds: Processor time that one input may take.
    """
    setting = _Setting(seed, most, module, seconds)
    with ThreadPoolExecutor(jobs) as pool:
        parts = [work[at::jobs] for at in range(jobs)]
        found = pool.map(lambda part: _run_part(part, setting), parts)
        return [fault for faults in found for fault in faults]


def _run_part(work: Sequence[Work], setting: _Setting) -> list[Fault]:
    """Run inputs one after another; a new child goes on behind an input that ended the last one."""
    context = multiprocessing.get_context("spawn")
    faults: list[Fault] = []
    start = 0
    while start < len(work) and len(faults) < setting.most:
        receiver, sender = context.Pipe(duplex=False)
        child = context.Process(target=_child, args=(work[start:], setting, sender), daemon=True)
        child.start()
        sender.close()
        at = -1
        try:
            while True:
                message = receiver.recv()
                if isinstance(message, int):
                    at = message
                else:
                    faults.append(Fault(*work[start + at], message))
        except EOFError:
            child.join()
        if child.exitcode == 0:
            break
        if at < 0:
            raise RuntimeError(
                f"a child ended with exit code {child.exitcode} before its first input"
            )
        if child.exitcode is not None and child.exitcode < 0:
            faults.append(Fault(*work[start + at], _ending(-child.exitcode, setting.seconds)))
        start += at + 1
    return faults


def _ending(number: int, seconds: float) -> str:
    if number == signal.SIGPROF:
        return f"It took more than {seconds:g} s of processor time."
    return f"The process ended by {signal.Signals(number).name}."


def _child(work: Sequence[Work], setting: _Setting, sender: Any) -> None:
    """Run inputs, and report each one before it starts, and its fault."""
    targets = _prepare(setting.module)
    largest = _peak() + GROWTH
    for at, (name, index) in enumerate(work):
        target = targets[name]
        value = target.input(setting.seed, index)
        sender.send(at)
        signal.setitimer(signal.ITIMER_PROF, setting.seconds)
        try:
            target.check(value)
        except Exception:
            sender.send(traceback.format_exc().encode("utf-8", "backslashreplace").decode())
        signal.setitimer(signal.ITIMER_PROF, 0)
        if _peak() > largest:
            sender.send(f"The process grew by more than {GROWTH >> 20} MB.")
            sys.exit(1)


def _prepare(module: str) -> dict[str, Any]:
    """Load everything and use every target once, so that later inputs are measured alone."""
    os.environ["WHISKTRAIN_MAX_DATA_MB"] = DATA_MB
    warnings.simplefilter("ignore")
    targets: dict[str, Any] = importlib.import_module(module).TARGETS
    for target in targets.values():
        for index in range(3):
            with contextlib.suppress(Exception):  # its own turn tells it
                target.check(target.input(-1, index))
    used = (
        int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGESIZE")
        if sys.platform == "linux"
        else 0
    )
    if used:
        resource.setrlimit(resource.RLIMIT_AS, (used + ADDRESS_SPACE, used + ADDRESS_SPACE))
    faulthandler.register(signal.SIGPROF, chain=True)  # says where it was, then ends as without it
    return targets


def _peak() -> int:
    """The most memory that this program has had; on Linux `ru_maxrss` also counts what the parent had when it forked."""
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT


def replay(name: str, index: int, seed: int) -> None:
    """Run one input in this process and say what it is."""
    targets = _prepare("targets")
    value = targets[name].input(seed, index)
    print(f"{name}:{index} of seed {seed}: {value!r}"[:4000])
    try:
        targets[name].run(value)
        print("It was accepted.")
    except targets[name].expected as error:
        targets[name].check(value)
        print(f"It was refused, {error.code}: {error}")


def main() -> int:
    """Run a campaign or one input, by the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="targets, separated by commas")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--replay", default="", metavar="TARGET:NUMBER")
    given = parser.parse_args()
    if given.replay:
        name, _, index = given.replay.rpartition(":")
        replay(name, int(index), given.seed)
        return 0
    work = plan(given.inputs, given.only.split(",") if given.only else ())
    faults = run(work, given.seed, given.jobs)
    for fault in faults:
        print(f"\n{fault}{f' SEED={given.seed}' if given.seed else ''}")
    print(f"{len(work)} inputs, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
