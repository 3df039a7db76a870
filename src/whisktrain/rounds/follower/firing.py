"""Firing the registered triggers within the platform's rate, with a backoff after refusals."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from whisktrain.errors import PlatformError
from whisktrain.records.registrations import Registrations

__all__ = ["Fire", "TriggerFirer"]

Fire: TypeAlias = Callable[[str, dict[str, str]], None]
"""Fires a trigger, by its full name, with a payload. Raises `PlatformError` where the platform refuses it."""

_RATE_SHARE = 0.9
"""Share of the platform's rate that is used."""
_FIRST_PAUSE = 0.5
_MOST_PAUSE = 15.0
_MINUTE = 60.0


class TriggerFirer:
    """Fires every registered trigger that is not paused.

    Args:
        registrations: The triggers.
        fire: Fires one.
        fires_per_minute: What the platform allows.
    """

    def __init__(self, registrations: Registrations, fire: Fire, fires_per_minute: int) -> None:
        self._registrations, self._fire = registrations, fire
        self._most = max(int(fires_per_minute * _RATE_SHARE), 1)
        self._recent: deque[float] = deque()
        self._known: dict[str, bool] | None = None
        self._refused_in_a_row = 0
        self.blocked_until = 0.0
        """When the platform may be asked again after a refusal, on the monotonic clock."""
        self.fires = 0
        self.refused = 0
        self.error: PlatformError | None = None
        """The newest refusal."""

    @property
    def active(self) -> int:
        """Number of triggers that are fired, as far as is known."""
        return sum((self._known or {}).values())

    def forget_triggers(self) -> None:
        """Read the registrations again before the next fire."""
        self._known = None

    def allowed_at(self, now: float) -> float:
        """When the next fire keeps within the rate, on the monotonic clock."""
        while self._recent and self._recent[0] <= now - _MINUTE:
            self._recent.popleft()
        free = self._recent[0] + _MINUTE if len(self._recent) >= self._most else 0.0
        return max(self.blocked_until, free)

    def fire_all(self, run: str, now: float) -> bool:
        """Fire all active triggers for a run; whether all were accepted."""
        if self._known is None:
            self._known = self._registrations.active()
        accepted = True
        for trigger, active in self._known.items():
            if not active:
                continue
            self._recent.append(now)
            try:
                self._fire(trigger, {"run": run})
            except PlatformError as error:
                accepted = False
                self._block(error)
            else:
                self.fires += 1
                self._refused_in_a_row = 0
        return accepted

    def _block(self, error: PlatformError) -> None:
        self.refused += 1
        self.error = error
        self._refused_in_a_row += 1
        pause = min(_FIRST_PAUSE * 2 ** min(self._refused_in_a_row, 8), _MOST_PAUSE)
        self.blocked_until = time.monotonic() + random.uniform(pause / 2, pause)
