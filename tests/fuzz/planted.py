"""Targets with a fault of each kind planted in them: the campaign has to find it."""

from __future__ import annotations

import os
from typing import Any

from targets import Target

from whisktrain.errors import DataError

HELD: list[bytes] = []


class Planted(Target):
    """A target whose input is the seed: it does nothing while a child is prepared, with the seed -1."""

    def input(self, seed: int, index: int) -> Any:
        return seed

    def check(self, value: Any) -> None:
        if value >= 0:
            super().check(value)


def accept(_: Any) -> None:
    pass


def refuse(_: Any) -> None:
    raise DataError("planted")


def raise_error(_: Any) -> None:
    raise KeyError("planted")


def refuse_unreadably(_: Any) -> None:
    raise DataError("planted: <io.BytesIO object at 0x7f0000000000>")


def hang(_: Any) -> None:
    while True:
        pass


def grow(_: Any) -> None:
    HELD.append(b"x" * (300 << 20))


def crash(_: Any) -> None:
    os.abort()


TARGETS = {
    run.__name__: Planted(run.__name__, 1, lambda draw: draw, run)
    for run in (accept, refuse, raise_error, refuse_unreadably, hang, grow, crash)
}
