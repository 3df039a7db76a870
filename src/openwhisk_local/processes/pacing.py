"""When another process of an action is worth starting: a burst of short activations is served by few warm processes.

Starting a process takes processor time and memory. As many as there are processors start at once; beyond that the next one is
started only after a while in which no process of the action has become free.
"""

from __future__ import annotations

import os
from collections import deque

_SHORT_S = 1.0
"""An action whose warm runs take no longer is short: its processes are soon free again."""
_FIRST_RUN_S = 30.0
"""How long a process may be thought to be importing in its first run."""
_SHORT_PAUSE_S = 10.0
_FIRST_PAUSE_S = 0.25
_RUNS_KEPT = 3
_RUNS_NEEDED = 2
_LONGEST_PAUSE_S = 10.0


def processors() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


class Pacing:
    """How far apart processes of one action are started.

    Args:
        at_once: Processes of one action that are started without a pause.
    """

    def __init__(self, at_once: int | None = None) -> None:
        self._at_once = at_once or processors()
        self._warm_runs_s: dict[object, deque[float]] = {}
        self._started: dict[object, float] = {}

    def note_start(self, key: object, now: float) -> None:
        """Remember when a process of an action (and revision) was started."""
        self._started[key] = now

    def note_warm_run(self, key: object, seconds: float) -> None:
        """Remember how long a warm run of an action took; a first run also imports, so it says little.

        A later run may import too, so the shortest of the last few counts, once there are some.
        """
        self._warm_runs_s.setdefault(key, deque(maxlen=_RUNS_KEPT)).append(seconds)

    def forget(self, key: object) -> None:
        """Forget an action that has no process any more."""
        self._warm_runs_s.pop(key, None)
        self._started.pop(key, None)

    @staticmethod
    def is_soon_free(run_s: float, *, warm: bool) -> bool:
        """Whether a process that has run for so long may be about to end its run."""
        return run_s < (_SHORT_S if warm else _FIRST_RUN_S)

    def next_start(self, key: object, soon_free: int) -> float:
        """The moment from which another process of an action may be started; 0 for at once.

        Args:
            key: The action and its revision.
            soon_free: How many of its processes may soon be free.
        """
        runs = self._warm_runs_s.get(key, ())
        usual = min(runs) if len(runs) >= _RUNS_NEEDED else None
        if soon_free < self._at_once or (usual is not None and usual > _SHORT_S):
            return 0.0
        # Of an action that has hardly run warm, nothing is known: it may run for minutes, or need long to import. So the pause
        # doubles with each batch of processes.
        batches = soon_free // self._at_once
        pause = (
            min(_FIRST_PAUSE_S * 2.0 ** (batches - 1), _LONGEST_PAUSE_S)
            if usual is None
            else _SHORT_PAUSE_S
        )
        return self._started.get(key, 0.0) + pause
