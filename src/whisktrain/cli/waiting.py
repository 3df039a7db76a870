"""Something that takes its time, told on stderr: one line that changes on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.live import Live

    from whisktrain.cli.desk import Desk

__all__ = ["Waiting"]

EVERY_S = 15.0
"""Seconds between two lines about the same, where lines stay."""


class Waiting:
    """Tells what is waited for. A context manager: leaving it puts the terminal in order.

    Args:
        desk: Where narration goes.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._live: Live | None = None
        self._what = ""
        self._said = 0.0

    def __enter__(self) -> Waiting:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take the line away; what is told next starts anew."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()
        self._what = ""

    def tell(self, what: str, seconds: float, most: float) -> None:
        """Tell what is waited for, for how many seconds by now, and for how many at most."""
        text = f"{what} ({seconds:.0f} s of at most {most:.0f} s)"
        if sys.stderr.isatty():
            self._refresh(text)
        elif what != self._what or seconds - self._said >= EVERY_S:
            self._what, self._said = what, seconds
            self._desk.say(f"... {text}")

    def _refresh(self, text: str) -> None:
        from rich.text import Text

        if self._live is None:
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(stderr=True, highlight=False), refresh_per_second=4, transient=True)
            self._live.start()
        self._live.update(Text(text, overflow="ellipsis", no_wrap=True))
