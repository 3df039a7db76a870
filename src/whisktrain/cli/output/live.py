"""One line on a terminal's standard error that changes and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.live import Live

__all__ = ["LiveLine"]

PER_SECOND = 8


class LiveLine:
    """The line; it begins with the first text."""

    def __init__(self) -> None:
        self._live: Live | None = None

    def show(self, text: Callable[[int], str]) -> None:
        """Show a text.

        Args:
            text: Makes it, for a terminal of so many columns.
        """
        from rich.text import Text

        if self._live is None:
            from rich.console import Console
            from rich.live import Live

            self._live = Live(
                console=Console(stderr=True, highlight=False),
                refresh_per_second=PER_SECOND,
                transient=True,
            )
            self._live.start()
        self._live.update(Text(text(self._live.console.width), overflow="ellipsis", no_wrap=True))

    def above(self, text: str) -> bool:
        """Print a line that stays, above this one; whether there was one to print it above."""
        if self._live is None:
            return False
        self._live.console.print(text, markup=False, highlight=False)
        return True

    def close(self) -> None:
        """Take the line away; what is shown next begins anew."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()
