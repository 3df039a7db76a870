"""A store whose database answers its next calls with errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from whisktrain.store.protocol import Database, Store

Interruption = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]


def refused(error: Exception) -> Interruption:
    """The call fails and changes nothing."""

    def interrupt(
        call: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        raise error

    return interrupt


def answer_lost(error: Exception) -> Interruption:
    """The call is carried out, but the caller gets an error."""

    def interrupt(
        call: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        call(*arguments, **named)
        raise error

    return interrupt


def after(other: Callable[[], object]) -> Interruption:
    """Another execution is faster: what it does happens just before the call."""

    def interrupt(
        call: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        other()
        return call(*arguments, **named)

    return interrupt


class InterruptedDatabase:
    """A database; `interrupt["put"]` holds what happens at its next puts, in order."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.interrupt: dict[str, list[Interruption]] = {}

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._database, name)

        def interrupted(*arguments: Any, **named: Any) -> Any:
            waiting = self.interrupt.get(name)
            return waiting.pop(0)(call, arguments, named) if waiting else call(*arguments, **named)

        return interrupted


class InterruptedStore:
    """A store with interrupted databases."""

    def __init__(self, store: Store) -> None:
        self.url = store.url
        self.rounds = InterruptedDatabase(store.rounds)
        self.library = InterruptedDatabase(store.library)
