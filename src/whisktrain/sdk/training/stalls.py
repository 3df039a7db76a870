"""Bounds of a wait: for a run that nothing serves, and for a platform or store that does not answer.

A person is informed first; then the wait ends with an error that names the run.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from whisktrain.errors import DeadlineExceeded, NotFound, PlatformError, StoreRefused
from whisktrain.store.trial import try_to_write

if TYPE_CHECKING:
    from whisktrain.errors import WhisktrainError
    from whisktrain.sdk.session import Session
    from whisktrain.sdk.training.following import Snapshots

__all__ = ["INFORM_S", "Outage", "Stall", "no_such_run"]

INFORM_S = 30.0
"""Seconds without any change of a run after which a person is informed; longer than a cold start of everything."""
GIVE_UP_S = 900.0
"""Seconds without any change, and without a living lease, after which a run is not waited for any longer."""
GIVE_UP_STOPPING_S = 60.0
"""The same for a run that was asked to stop, or three rounds, where they are longer."""
OUTAGE_S = 120.0
"""Seconds for which a platform or store that does not answer is asked again."""


class Stall:
    """Whether a run still moves.

    Args:
        session: The platform and store.
        snapshots: The run.
        stopping: Whether the wait is for a stop that was asked for.
    """

    def __init__(self, session: Session, snapshots: Snapshots, *, stopping: bool = False) -> None:
        self._session = session
        self._snapshots = snapshots
        self._stopping = stopping
        self._informed = False

    def check(self) -> None:
        """Say so once when nothing has moved for a while.

        Raises:
            DeadlineExceeded: Nothing has moved for so long that nothing seems to serve the run.
            PlatformError: This machine's host or follower has ended for good.
            StoreRefused: The store takes no write, so that nothing can move.
        """
        self._check_children()
        idle = self._snapshots.idle()
        if idle > INFORM_S and not self._informed:
            self._check_store()
            self._session.narrate(
                f"nothing has moved for {INFORM_S:.0f} s; unless a round takes that long, `whisktrain doctor` says why"
            )
        self._informed = idle > INFORM_S
        if idle > self._limit() and not self._snapshots.leased():
            raise self._given_up(idle)

    def _check_children(self) -> None:
        try:
            self._session.check()
        except PlatformError as error:
            error.run = self._snapshots.run
            raise

    def _check_store(self) -> None:
        try:
            try_to_write(self._session.store)
        except StoreRefused as error:
            error.run = self._snapshots.run
            error.hint = f"{error.hint} Run {error.run} goes on once the store takes it.".strip()
            raise

    def _limit(self) -> float:
        if not self._stopping:
            return GIVE_UP_S
        return max(GIVE_UP_STOPPING_S, 3 * (self._snapshots.round_ms or 0.0) / 1000)

    def _given_up(self, idle: float) -> DeadlineExceeded:
        run = self._snapshots.run
        if self._stopping:
            error = DeadlineExceeded(
                f"Run {run!r} was asked to stop, but nothing of it has moved for {idle:.0f} s.",
                code="not_served",
                hint="It stops as soon as a follower serves it; `whisktrain doctor` says what is missing.",
            )
        else:
            error = DeadlineExceeded(
                f"Nothing of run {run!r} has moved for {idle:.0f} s: no follower or worker serves it.",
                code="not_served",
                hint=f"`whisktrain doctor` says what is missing; `whisktrain runs watch {run}` follows the run again.",
            )
        error.run = run
        return error


class Outage:
    """How long a platform or store has not answered.

    Args:
        session: Where it is said.
        run: The run that is waited for.
    """

    def __init__(self, session: Session, run: str) -> None:
        self._session = session
        self._run = run
        self._since: float | None = None
        self.seen = False
        """Whether there was a time at which it did not answer."""

    def note(self, error: WhisktrainError, *, bounded: bool = True) -> None:
        """Note that it did not answer.

        Args:
            error: Why.
            bounded: Whether the wait ends some time; not while the run moves on in the store.

        Raises:
            WhisktrainError: The same error, once it cannot pass, or has lasted too long.
        """
        now = time.monotonic()
        if bounded and not error.retryable:
            raise error
        if self._since is None:
            self._since, self.seen = now, True
            self._session.narrate(
                f"{error.message} Asking again; run {self._run} goes on meanwhile"
            )
        if bounded and now - self._since > OUTAGE_S:
            raise error

    def answered(self) -> None:
        """Note that it answers."""
        self._since = None


def no_such_run(run: str, hint: str = "") -> NotFound:
    """The error for a run that the store does not know."""
    error = NotFound(
        f"There is no run {run!r} in the store.",
        code="no_such_run",
        hint=hint
        or "A run is there once its data is prepared; `whisktrain runs list` shows what there is.",
    )
    error.run = run
    return error
