"""The loop of one activation: pass after pass over the steps, with a backoff where the store does not answer."""

from __future__ import annotations

import time
from collections.abc import Callable

from whisktrain.errors import StoreUnreachable
from whisktrain.rounds.lease_clock import LeaseClock

__all__ = ["run_passes"]


def run_passes(
    one_pass: Callable[[], str | None], forget: Callable[[], None], clock: LeaseClock
) -> str:
    """Repeat passes until one says why to leave.

    Args:
        one_pass: One pass over the steps; None to continue. It starts from the store's state, so that starting it again is
            always correct.
        forget: Forgets what was read of the run, after the store did not answer.
        clock: The activation's time.

    Returns:
        Why the activation leaves.

    Raises:
        StoreUnreachable: The store did not answer until the activation's time was over.
    """
    pause = clock.timeouts.retry
    while True:
        try:
            left = one_pass()
        except StoreUnreachable:
            forget()
            if clock.out_of_time:
                raise
            time.sleep(pause)
            pause = min(2 * pause, clock.timeouts.retry_most)
            continue
        if left is not None:
            return left
        pause = clock.timeouts.retry
