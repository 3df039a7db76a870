"""What the platform knows of the slots' activations: one that has ended is not waited for any longer.

A record is there as soon as an activation has ended, however it ended, so it tells of a killed worker long before a time-out
does. Records are asked for only once a shard has been waited for, and then with growing pauses: a round that is closed in
time costs no request.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from whisktrain.errors import ErrorRecord, PlatformError
from whisktrain.jsontypes import JsonObject
from whisktrain.records.run import RunState
from whisktrain.rules.assignment import slot_of
from whisktrain.rules.timeouts import Timeouts

__all__ = ["Activations", "Ended", "Lost", "NoRecords", "Platform"]


@dataclass(frozen=True, slots=True)
class Ended:
    """The record of an activation that has ended.

    Attributes:
        result: What it answered.
        error: Why it failed; None where it did not.
    """

    result: JsonObject
    error: ErrorRecord | None = None


class Platform(Protocol):
    """Reads activation records."""

    def ended(self, activation: str) -> Ended | None:
        """The record of an activation; None while it has not ended, or where the platform does not know.

        Raises:
            PlatformError: The platform does not answer.
        """


class NoRecords:
    """A platform that keeps no records: only the time-outs tell."""

    def ended(self, activation: str) -> Ended | None:
        """No record."""
        return None


@dataclass(frozen=True, slots=True)
class Lost:
    """A slot's activation that has ended without a successor, and without having done its part.

    Attributes:
        activation: Its id.
        error: Why it failed; None where it ended by itself.
    """

    activation: str
    error: ErrorRecord | None


@dataclass(slots=True)
class _Look:
    """When the record of an activation is asked for next, since it was started or its round opened."""

    since: float
    activation: str
    at: float
    pause: float


@dataclass(slots=True)
class Activations:
    """The slots' activations, as far as they are known.

    Attributes:
        platform: Reads records.
        invoked: The activation that this execution last invoked of each slot.
    """

    platform: Platform
    invoked: dict[int, str] = field(default_factory=dict)
    _looks: dict[int, _Look] = field(default_factory=dict)
    _waited_for: frozenset[int] = frozenset()
    _by_opener: dict[str, dict[int, str]] = field(default_factory=dict)

    def next_look(self) -> float:
        """When the next record of those that are waited for is due, in seconds of the epoch."""
        return min((self._looks[slot].at for slot in self._waited_for), default=float("inf"))

    def lost(
        self, state: RunState, missing: Collection[int], now: float, timeouts: Timeouts
    ) -> dict[int, Lost]:
        """The missing shards whose slot's activation is known to have ended; asks for those records that are due.

        Args:
            state: The run.
            missing: The shards that the open round lacks; round 0: (0,).
            now: Seconds of the epoch.
            timeouts: The protocol's times.
        """
        slots = {slot_of(k, state.spec.slots) if state.round else 0 for k in missing}
        known, self._waited_for = slots | state.starts.keys(), frozenset(slots)
        self._looks = {slot: look for slot, look in self._looks.items() if slot in known}
        found = {slot: lost for slot in slots if (lost := self._look(state, slot, now, timeouts))}
        return {
            k: found[slot]
            for k in missing
            if (slot := slot_of(k, state.spec.slots) if state.round else 0) in found
        }

    def ended_starts(self, state: RunState, now: float, timeouts: Timeouts) -> frozenset[int]:
        """The slots whose start is outstanding, and whose activation has ended all the same; asks for what is due.

        Others may have closed the rounds meanwhile, so that these slots are not waited for.
        """
        starting = state.starts if state.round else {}
        return frozenset(slot for slot in starting if self._look(state, slot, now, timeouts))

    def _look(self, state: RunState, slot: int, now: float, timeouts: Timeouts) -> Lost | None:
        activation = self.invoked.get(slot) or self._noted(state, slot)
        start, look = state.starts.get(slot), self._looks.get(slot)
        since = start.at if start is not None else state.opened
        replaced = look is not None and activation and look.activation not in ("", activation)
        if look is None or look.since != since or replaced:
            first = since + timeouts.look
            look = self._looks[slot] = _Look(since, activation, first, timeouts.look)
        if now < look.at:
            return None
        look.at, look.pause = now + look.pause, min(2 * look.pause, timeouts.look_most)
        try:
            look.activation = activation or self._of_opener(state, slot)
            return self._follow(slot, look.activation)
        except PlatformError:
            return None  # it does not answer: the time-outs hold

    @staticmethod
    def _noted(state: RunState, slot: int) -> str:
        """The slot's activation as the run document has it."""
        start, usage = state.starts.get(slot), state.cost.serving.get(str(slot))
        if start is not None:
            return start.activation
        return usage.execution if usage is not None and slot in state.leases else ""

    def _of_opener(self, state: RunState, slot: int) -> str:
        """The slot's activation as the aggregate's record has it that opened the round, and has ended since."""
        usage = state.cost.serving.get("aggregate")
        if usage is None:
            return ""
        if usage.execution not in self._by_opener:
            record = self.platform.ended(usage.execution)
            if record is None:
                return ""
            noted = record.result.get("invoked")
            self._by_opener[usage.execution] = (
                {int(s): str(id_) for s, id_ in noted.items()} if isinstance(noted, Mapping) else {}
            )
        return self._by_opener[usage.execution].get(slot, "")

    def _follow(self, slot: int, activation: str) -> Lost | None:
        """Whether the slot has ended with this activation, or with those that it handed over to."""
        while activation:
            record = self.platform.ended(activation)
            if record is None:
                return None
            if record.error is not None:
                return Lost(activation, record.error)
            successor = record.result.get("successor")
            if successor is None:
                return None  # another activation serves the slot, or its failure is in the store
            if not successor:
                return Lost(activation, None)
            activation = self.invoked[slot] = str(successor)
        return None
