"""The process of a shared host; its job (`sharing.Job`) is a JSON object on standard input.

It says on standard output that it may be used (or why not), and ends when no command has used it and nothing has trained on
it for some minutes, when it is told to (SIGTERM), or when its folder is gone.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from whisktrain.errors import StoreError, WhisktrainError
from whisktrain.records.keys import RunKeys
from whisktrain.records.run_records import RunRecords
from whisktrain.sdk.hosting import Hosting
from whisktrain.sdk.training.recovery import carry_on_orphans

if TYPE_CHECKING:
    from whisktrain.sdk.sharing import Job
    from whisktrain.store.protocol import Store

__all__ = ["keep"]

_LOOK_S = 0.5
"""Seconds between two looks at who uses the host."""
_LOOK_RUNS_S = 5.0
"""Seconds between two looks at the runs that train on it."""


def keep(hosting: Hosting, store: Store, stays: float, ending: threading.Event) -> None:
    """Return when the host may end.

    Args:
        hosting: The host.
        store: Its store.
        stays: Seconds for which it stays where nothing needs it.
        ending: Set to end it at once.

    Raises:
        PlatformError: The host or its follower cannot go on.
    """
    needed, look_at_runs = time.monotonic(), 0.0
    while not ending.wait(min(_LOOK_S, stays)):
        now = time.monotonic()
        if not hosting.folder.is_dir():
            return
        hosting.check()
        if hosting.in_use():
            needed = now
        elif now >= look_at_runs:
            look_at_runs = now + _LOOK_RUNS_S
            if _trains(hosting, store):
                needed = now + _LOOK_RUNS_S
        if now - needed >= stays and hosting.withdraw():
            return
    hosting.publish()  # it is not to be used any more


def _trains(hosting: Hosting, store: Store) -> bool:
    """Whether a run trains there; what has ended is forgotten."""
    going_on = False
    for run in hosting.runs():
        try:
            id_ = RunKeys(store).find_run(run) or run
            if RunRecords(store, id_).exists():
                going_on = True
            else:
                hosting.forget_run(run)
        except StoreError:
            going_on = True  # it is asked again
    return going_on


def _work(job: Job, ending: threading.Event) -> None:
    from whisktrain.openwhisk.client import Client
    from whisktrain.store.opening import open_store

    store = open_store(job["store"])
    store.ensure()
    hosting = Hosting(Path(job["home"]), job["store"], kind="shared", narrate=_log)
    try:
        with hosting:
            hosting.publish(job["started_with"])
            _announce({"pid": os.getpid()})
            with Client(hosting.apihost, hosting.auth) as client:
                carry_on_orphans(hosting, store, client)
            keep(hosting, store, job["stays"], ending)
    finally:
        store.close()


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


def _announce(record: dict[str, object]) -> None:
    """Write the one line on standard output, and close it: who reads it waits for nothing more."""
    os.write(1, (json.dumps(record) + "\n").encode())
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def _main() -> int:
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: ending.set())
    try:
        _work(json.load(sys.stdin), ending)
    except WhisktrainError as error:
        _log(str(error))
        _announce({"error": error.to_record(), "kind": type(error).__name__})
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(_main())
