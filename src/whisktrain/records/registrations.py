"""The registrations: which triggers the follower fires. They hold no key."""

from __future__ import annotations

from typing import TypedDict, cast

from whisktrain.records import ids
from whisktrain.store.protocol import Document, Store

__all__ = ["RegistrationBody", "Registrations"]


class RegistrationBody(TypedDict):
    """The body of a registration.

    Attributes:
        schema: The schema number.
        trigger: The trigger's full name, "/NAMESPACE/NAME".
        active: Whether the follower fires it.
        created: When it was registered, as an ISO date.
        changed: When the registration last changed.
    """

    schema: int
    trigger: str
    active: bool
    created: str
    changed: str


class Registrations:
    """The triggers that the follower fires.

    Args:
        store: The store.
    """

    def __init__(self, store: Store) -> None:
        self._rounds = store.rounds

    def active(self) -> dict[str, bool]:
        """Whether each registered trigger is fired, by its full name."""
        found = self._rounds.list(ids.registration_prefix())
        return {str(d.body["trigger"]): bool(d.body["active"]) for d in found}

    def read(self, namespace: str, trigger: str) -> tuple[RegistrationBody, str] | None:
        """A registration and its revision; None where there is none."""
        found = self._rounds.get(ids.registration(namespace, trigger))
        return (_body_of(found), found.rev) if found is not None else None

    def write(self, namespace: str, trigger: str, body: RegistrationBody, rev: str | None) -> None:
        """Create a registration, or replace revision `rev`.

        Raises:
            Conflict: It has been changed in between.
        """
        self._rounds.put(ids.registration(namespace, trigger), body, rev=rev)

    def delete(self, namespace: str, trigger: str) -> None:
        """Delete a registration; one that is absent already is no error."""
        self._rounds.delete(ids.registration(namespace, trigger))


def _body_of(document: Document) -> RegistrationBody:
    return cast(RegistrationBody, document.body)
