"""Starts the process that carries a run on in the background: `python -m whisktrain.sdk.training.background`."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, NotRequired, TypedDict, cast

from whisktrain.errors import ErrorRecord, PlatformError, from_record
from whisktrain.store.private import make_directory

if TYPE_CHECKING:
    from whisktrain.sdk.requests import RequestObject
    from whisktrain.sdk.where import Where

__all__ = ["Job", "Started", "start"]


class Job(TypedDict):
    """What the process is to do: a request, or a run to resume.

    Attributes:
        key: The run's key.
        request: The request.
        resume: The id of the run to resume.
        learning_rate: The learning rate with which it is resumed; None: its own.
    """

    key: str
    request: NotRequired[RequestObject]
    resume: NotRequired[str]
    learning_rate: NotRequired[float | None]


class Started(TypedDict):
    """The line with which the process says that the run has begun."""

    pid: int
    model: str


class NotStarted(TypedDict):
    """The line with which the process says why the run has not begun."""

    error: ErrorRecord
    kind: str


def start(where: Where, job: Job) -> Started:
    """Start the process and wait until the run has begun. Its log is `HOME/logs/RUN.log`.

    Args:
        where: Where it works.
        job: What it is to do.

    Raises:
        WhisktrainError: The run did not begin.
    """
    logs = where.home / "logs"
    make_directory(logs)
    file = logs / f"{job['key']}.log"
    with file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "whisktrain.sdk.training.background"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(
        json.dumps({**job, "where": {**asdict(where), "home": str(where.home)}}).encode()
    )
    process.stdin.close()
    line = process.stdout.readline()
    process.stdout.close()
    if not line:
        raise PlatformError(
            f"The background process ended before the run began; its log is {file}.",
            code="not_started",
            hint="The last lines of the log say why.",
        )
    answer: Started | NotStarted = json.loads(line)
    if "error" in answer:
        process.wait()
        failed = cast(NotStarted, answer)
        raise from_record(failed["error"], failed["kind"])
    return answer
