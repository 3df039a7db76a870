"""The triggers that the follower fires."""

from __future__ import annotations

import pytest

from whisktrain.errors import Conflict
from whisktrain.records.registrations import RegistrationBody, Registrations
from whisktrain.store.protocol import Store

BODY: RegistrationBody = {
    "schema": 1,
    "trigger": "/guest/t",
    "active": True,
    "created": "then",
    "changed": "then",
}


def test_a_registration_comes_changes_and_goes(store: Store) -> None:
    registrations = Registrations(store)
    assert registrations.active() == {} and registrations.read("guest", "t") is None
    registrations.write("guest", "t", BODY, None)
    found = registrations.read("guest", "t")
    assert found is not None and found[0] == BODY
    registrations.write("guest", "t", BODY | {"active": False}, found[1])
    with pytest.raises(Conflict):
        registrations.write("guest", "t", BODY, found[1])
    assert registrations.active() == {"/guest/t": False}
    registrations.delete("guest", "t")
    registrations.delete("guest", "t")
    assert registrations.active() == {}
