"""How a failure looks: two lines on stderr, or the one JSON object on stdout. Never a traceback, unless asked for."""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Literal, NotRequired, TypedDict

from whisktrain.errors import ErrorRecord, WhisktrainError

__all__ = ["as_expected", "record", "report"]

DEBUG = "WHISKTRAIN_DEBUG"
LOG_LINES = 10


class FailureAnswer(TypedDict):
    """The result of a command that failed; `run` where it is about one."""

    status: Literal["failed"]
    run: NotRequired[str]
    error: ErrorRecord


def record(error: WhisktrainError) -> FailureAnswer:
    """A failure as the result of a command."""
    if error.run is None:
        return {"status": "failed", "error": error.to_record()}
    return {"status": "failed", "run": error.run, "error": error.to_record()}


def as_expected(error: Exception) -> WhisktrainError:
    """Any exception as a `WhisktrainError`; an unexpected one asks for a report."""
    if isinstance(error, WhisktrainError):
        return error
    text = f"{type(error).__name__}: {error}".splitlines()[0]
    return WhisktrainError(
        f"Something that should not happen: {text}",
        code="unexpected",
        hint=f"Run it again with {DEBUG}=1 to see where, and report it with that text.",
    )


def _log(error: Exception) -> list[str]:
    """The last log lines of a worker or action that failed in an unexpected way; a `WhisktrainError` says all itself."""
    lines = getattr(error, "workers_log", None)
    if not lines and getattr(error, "code", "") in ("internal", "action_failed", "timed_out"):
        lines = getattr(getattr(error, "activation", None), "logs", None)
    found = [str(line).rstrip() for line in (lines or [])][-LOG_LINES:]
    return [] if found and found[-1].startswith("whisktrain.errors.") else found


def report(error: Exception, *, as_json: bool) -> int:
    """Show a failure and return its exit code."""
    expected = as_expected(error)
    if os.environ.get(DEBUG):
        traceback.print_exception(error, file=sys.stderr)
    if as_json:
        print(json.dumps(record(expected), ensure_ascii=False))  # noqa: T201
    else:
        print(f"error: {expected.message}", file=sys.stderr)  # noqa: T201
        for line in _log(error):
            print(f"log: {line}", file=sys.stderr)  # noqa: T201
        if expected.hint:
            print(f"hint: {expected.hint}", file=sys.stderr)  # noqa: T201
    return expected.exit_code
