"""Fault-injection points: each step of the protocol is one, at which a test can kill an activation.

Without an observer a failpoint costs one comparison. `docs/protocol.md` explains every step.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from enum import StrEnum

__all__ = ["Step", "failpoint", "observed"]


class Step(StrEnum):
    """The steps of the protocol, in the order of `docs/protocol.md`; the value is the step's name there."""

    CLAIM_KEY = "C1.key"
    READ_SUMMARY = "C1"
    RESERVE_VERSION = "C2.version"
    CREATE_RUN = "C2.run"
    CHECK_KEY = "C2.key"
    INVOKE_BUILDER = "C3"

    READ_RUN = "W1"
    READ_PARAMS = "W2"
    COMPUTE = "W3"
    PUT_BLUEPRINT = "W3.blueprint"
    PUT_RESUMED_STATE = "W3.state"
    PUT_FIRST_PARAMS = "W3.params"
    PUT_FAILURE = "W3.failure"
    PUT_UPDATE = "W4"
    UPDATE_WRITTEN = "W4.written"
    BACKUP = "W5"
    HAND_OVER = "W6"

    LOOK = "A1"
    COLLECT = "A2"
    RECORD_LOST = "A2.lost"
    REPAIR_PARAMS = "A2.repair"
    CLAIM = "A2.claim"
    INVOKE_AGAIN = "A2.again"
    RESTORE_STATE = "A3"
    MERGE = "A4"
    PUT_PARAMS = "A5"
    SWAP = "A6"
    SWAPPED = "A6.swapped"
    INVOKE_WORKERS = "A7"
    PUT_STATE = "A8"
    DELETE_ROUND = "A9"
    ROUND_DELETED = "A9.deleted"

    SWAP_FINAL = "F1"
    FINAL = "F1.swapped"
    PUBLISH = "F2"
    RAISE_ALIAS = "F2.alias"
    PUT_CHECKPOINT = "F2.checkpoint"
    PUT_SUMMARY = "F3"
    DELETE_DOCUMENTS = "F4"
    DELETE_RUN = "F5"

    SWEEP = "SWEEP"


_observer: Callable[[Step], None] | None = None


def failpoint(step: Step) -> None:
    """Fault-injection point before `step`; no-op in production."""
    if _observer is not None:
        _observer(step)


@contextlib.contextmanager
def observed(observer: Callable[[Step], None]) -> Iterator[None]:
    """Call `observer` with every step that any thread of this process reaches; what it raises ends that activation."""
    global _observer
    before, _observer = _observer, observer
    try:
        yield
    finally:
        _observer = before
