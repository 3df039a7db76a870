"""The process that is left behind to carry a run on: `python -m whisktrain.sdk.background`, its job as JSON on standard input.

It has a host of its own like any other connection, says on standard output when the run has begun (or why it did not), and
ends with the run. Whatever happens later is in the store, and in `HOME/logs/RUN.log`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from whisktrain.errors import PlatformError, WhisktrainError, from_record
from whisktrain.sdk.where import Where

__all__ = ["start"]


def start(where: Where, job: Mapping[str, Any]) -> dict[str, Any]:
    """Start the process and wait until the run has begun.

    Args:
        where: Where it works.
        job: `{"key": RUN}` with "request" or "resume".

    Returns:
        `{"pid", "model"}`.

    Raises:
        WhisktrainError: The run did not begin.
    """
    logs = where.home / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    file = logs / f"{job['key']}.log"
    with file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "whisktrain.sdk.background"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(json.dumps({**job, "where": {**asdict(where), "home": str(where.home)}}).encode())
    process.stdin.close()
    line = process.stdout.readline()
    process.stdout.close()
    if not line:
        raise PlatformError(f"The background process ended before the run began; its log is {file}.", code="not_started")
    answer: dict[str, Any] = json.loads(line)
    if "error" in answer:
        process.wait()
        raise from_record(answer["error"], answer["kind"])
    return answer


class _Announcement:
    """The one line on standard output; after it nobody listens any more."""

    def __init__(self) -> None:
        self._open = True

    def make(self, record: Mapping[str, Any]) -> None:
        """Say it, once."""
        if self._open:
            self._open = False
            sys.stdout.write(json.dumps(record) + "\n")
            sys.stdout.flush()


def _work(job: dict[str, Any], said: _Announcement) -> None:
    import os

    from whisktrain.sdk import training
    from whisktrain.sdk.connection import Connection

    where = Where(**{**job["where"], "home": Path(job["where"]["home"])})
    with Connection(where, lambda line: print(line, file=sys.stderr, flush=True)) as connection:  # noqa: T201

        def report(shown: Any) -> None:
            said.make({"pid": os.getpid(), "model": shown.model})

        if "resume" in job:
            training.resume(connection, job["resume"], key=job["key"], progress=report)
        else:
            training.train(connection, job["request"], progress=report)


def _main() -> int:
    said = _Announcement()
    try:
        _work(json.load(sys.stdin), said)
    except WhisktrainError as error:
        print(error, file=sys.stderr)  # noqa: T201
        said.make({"error": error.to_record(), "kind": type(error).__name__})
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(_main())
