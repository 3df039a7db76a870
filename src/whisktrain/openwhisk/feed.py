"""The feed action's life cycle: it registers the triggers that the follower fires, without storing a key."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TypedDict

from whisktrain.errors import Conflict, NotFound, RequestError
from whisktrain.records import ids
from whisktrain.records.registrations import RegistrationBody, Registrations
from whisktrain.store.protocol import Store

__all__ = ["FeedResult", "FeedStatus", "handle"]

_EVENTS = ("CREATE", "READ", "UPDATE", "DELETE", "PAUSE", "UNPAUSE")
_ATTEMPTS = 10


class FeedStatus(TypedDict, total=False):
    """Whether a trigger is fired, and since when."""

    active: bool
    dateChanged: str


class FeedConfig(TypedDict):
    """What READ answers of a registration."""

    trigger: str
    created: str


class FeedResult(TypedDict, total=False):
    """The feed action's answer: `config` for READ, else `trigger`."""

    trigger: str
    config: FeedConfig
    status: FeedStatus


def handle(event: Mapping[str, object], store: Store, *, namespace: str = "_") -> FeedResult:
    """Handle a life-cycle event of a feed.

    Args:
        event: The feed action's arguments: `lifecycleEvent`, `triggerName` ("/ns/name"), and others that are ignored
            (`authKey` among them: it is not stored).
        store: The store.
        namespace: The namespace that "_" stands for.

    Raises:
        RequestError: The event or the trigger's name is not understood.
        NotFound: There is no such registration.
    """
    kind = str(event.get("lifecycleEvent", "")).upper()
    if kind not in _EVENTS:
        raise RequestError(
            f"lifecycleEvent was {event.get('lifecycleEvent')!r}; expected one of {', '.join(_EVENTS)}."
        )
    owner, trigger = _parse_trigger(event.get("triggerName"), namespace)
    full, registrations = f"/{owner}/{trigger}", Registrations(store)
    if kind == "CREATE":
        store.ensure()  # the moment of deployment: wskdeploy alone does not create the databases
    if kind == "DELETE":
        registrations.delete(owner, trigger)
        return {"trigger": full, "status": {"active": False}}
    for _ in range(_ATTEMPTS):
        found = registrations.read(owner, trigger)
        before, rev = found if found is not None else (None, None)
        if before is None and kind != "CREATE":
            raise NotFound(
                f"The trigger {full} is not registered with this feed.",
                hint="Create the trigger again.",
            )
        if kind == "READ" and before is not None:
            return {
                "config": {"trigger": full, "created": before["created"]},
                "status": _status(before),
            }
        body = _changed(kind, full, before)
        try:
            registrations.write(owner, trigger, body, rev)
        except Conflict:
            continue
        return {"trigger": full, "status": _status(body)}
    raise Conflict(
        f"The registration of {full} is being changed by others all the time.",
        retryable=True,
        hint="Try again.",
    )


def _parse_trigger(name: object, namespace: str) -> tuple[str, str]:
    parts = [part for part in str(name or "").split("/") if part]
    if len(parts) == 1:
        parts = ["_", *parts]
    if len(parts) != 2 or ":" in parts[0] + parts[1]:
        raise RequestError(f"triggerName was {name!r}; expected /NAMESPACE/NAME.")
    return (namespace if parts[0] == "_" else parts[0]), parts[1]


def _changed(kind: str, trigger: str, before: RegistrationBody | None) -> RegistrationBody:
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    was_active = before is None or bool(before["active"])
    active = {"PAUSE": False, "UPDATE": was_active}.get(kind, True)
    created = before["created"] if before is not None else now
    return {
        "schema": ids.SCHEMA,
        "trigger": trigger,
        "active": active,
        "created": created,
        "changed": now,
    }


def _status(body: RegistrationBody) -> FeedStatus:
    return {"active": body["active"], "dateChanged": body["changed"]}
