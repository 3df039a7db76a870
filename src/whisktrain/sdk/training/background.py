"""The process that carries a run on in the background; its job is a JSON object on standard input.

It has a host of its own like any other connection, says on standard output that the run has begun (or why it has not), and
ends with the run. Everything later is in the store, and in its log.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from whisktrain.errors import WhisktrainError
from whisktrain.sdk.session import Session
from whisktrain.sdk.training import lifecycle
from whisktrain.sdk.training.following import Progress
from whisktrain.sdk.where import Where

__all__: list[str] = []


class _Announcement:
    """The one line on standard output; the parent reads no other."""

    def __init__(self) -> None:
        self._open = True

    def make(self, record: Mapping[str, object]) -> None:
        """Write the line, once."""
        if self._open:
            self._open = False
            sys.stdout.write(json.dumps(record) + "\n")
            sys.stdout.flush()


def _work(job: dict[str, Any], announcement: _Announcement) -> None:
    where = Where(**{**job["where"], "home": Path(job["where"]["home"])})

    def narrate(line: str) -> None:
        print(line, file=sys.stderr, flush=True)  # noqa: T201

    def announce(shown: Progress) -> None:
        announcement.make({"pid": os.getpid(), "model": shown.model})

    with Session(where, narrate) as session:
        if "resume" in job:
            lifecycle.resume(
                session,
                job["resume"],
                key=job["key"],
                progress=announce,
                learning_rate=job.get("learning_rate"),
            )
        else:
            lifecycle.train(session, job["request"], progress=announce)


def _main() -> int:
    announcement = _Announcement()
    try:
        _work(json.load(sys.stdin), announcement)
    except WhisktrainError as error:
        print(error, file=sys.stderr)  # noqa: T201
        announcement.make({"error": error.to_record(), "kind": type(error).__name__})
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(_main())
