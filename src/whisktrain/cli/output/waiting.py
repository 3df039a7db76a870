"""Progress of a wait, on stderr: one line that changes on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from whisktrain.cli.output.live import LiveLine

if TYPE_CHECKING:
    from whisktrain.cli.context import CommandContext

__all__ = ["Waiting"]

EVERY_S = 15.0
"""Seconds between two lines about the same, where lines stay."""


class Waiting:
    """Shows what is waited for. A context manager: leaving it puts the terminal in order.

    Args:
        context: Where narration goes.
    """

    def __init__(self, context: CommandContext) -> None:
        self._context = context
        self._live = LiveLine()
        self._what = ""
        self._said = 0.0

    def __enter__(self) -> Waiting:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the line; the next report starts a new one."""
        self._live.close()
        self._what = ""

    def report(self, what: str, seconds: float, most: float) -> None:
        """Show what is waited for, the seconds so far, and the seconds at most."""
        text = f"{what} ({seconds:.0f} s of at most {most:.0f} s)"
        if sys.stderr.isatty():
            self._live.show(lambda _: text)
        elif what != self._what or seconds - self._said >= EVERY_S:
            self._what, self._said = what, seconds
            self._context.say(f"... {text}")
