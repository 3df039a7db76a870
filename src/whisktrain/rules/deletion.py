"""Which documents of a run may be deleted. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from whisktrain.records.ids import DocumentId
from whisktrain.records.run import RunState

__all__ = ["deletable", "sweepable"]

_OF_ROUNDS = ("update", "params", "optimizer_state")
"""What is deleted round by round; failures stay until the run ends."""


def deletable(ids: Iterable[str], state: RunState) -> list[str]:
    """The documents that may go once the optimizer's state of the open round is durable (A9).

    Updates, optimizer states and params of rounds before the open one, except what is pinned.
    """
    parsed = ((id_, DocumentId.parse(id_)) for id_ in ids)
    own = [(id_, part) for id_, part in parsed if part is not None and part.run == state.run]
    return [id_ for id_, part in own if _before(part, state.round) and id_ not in state.pinned]


def sweepable(ids: Iterable[str], run: str, state: RunState | None) -> list[str]:
    """The documents that may go whichever activation wrote them, however late (SWEEP).

    Args:
        ids: Documents of the run that a listing from before the state was read has shown.
        run: The run's id.
        state: The run; None where it is absent: then everything may go. While it is final, nothing.
    """
    parsed = ((id_, DocumentId.parse(id_)) for id_ in ids)
    own = [
        (id_, part)
        for id_, part in parsed
        if part is not None and part.run == run and part.kind != "run"
    ]
    if state is None:
        return [id_ for id_, _ in own]
    if state.final:
        return []
    stored = [
        part.round for _, part in own if part.kind == "optimizer_state" and part.round is not None
    ]
    oldest_needed = min(max(stored, default=state.spec.first_round), state.round)
    return [id_ for id_, part in own if _before(part, oldest_needed) and id_ not in state.pinned]


def _before(part: DocumentId, round_: int) -> bool:
    return part.kind in _OF_ROUNDS and part.round is not None and part.round < round_
