"""From a document's id back to what it is: which run it belongs to, of what kind, and of which round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Kind", "Place", "place", "prefixes", "singles"]

Kind = Literal["run", "blueprint", "params", "moments", "update", "failure", "stop"]

_PLAIN: dict[str, Kind] = {"run": "run", "blueprint": "blueprint", "stop": "stop"}
_ROUNDED: dict[str, Kind] = {"params": "params", "moments": "moments", "failure": "failure"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a document of the rounds' database belongs.

    Attributes:
        kind: What it is.
        run: The run's id.
        round: Its round; None where it belongs to the whole run.
        shard: Its shard (updates and failures).
        attempt: Its attempt (failures).
    """

    kind: Kind
    run: str
    round: int | None = None
    shard: int | None = None
    attempt: int | None = None


def place(id_: str) -> Place | None:
    """What the document `id_` is; None where it belongs to no run (a registration, somebody else's document)."""
    head, *rest = id_.split(":")
    try:
        if head in _PLAIN and len(rest) == 1:
            return Place(_PLAIN[head], rest[0])
        if head in ("params", "moments") and len(rest) in (2, 3):
            return Place(_ROUNDED[head], rest[0], int(rest[1]))
        if head == "failure" and len(rest) == 4:
            return Place("failure", rest[0], int(rest[1]), int(rest[2]), int(rest[3]))
        if head != "registration" and len(rest) == 2:
            return Place("update", head, int(rest[0]), int(rest[1]))
    except ValueError:
        return None
    return None


def prefixes(run: str) -> tuple[str, ...]:
    """The starts of the ids of a run's many documents."""
    return (f"{run}:", f"params:{run}:", f"moments:{run}:", f"failure:{run}:")


def singles(run: str) -> tuple[str, ...]:
    """The ids of a run's single documents, but for the run's own."""
    return (f"blueprint:{run}", f"stop:{run}")
