"""The feed action's life cycle: which triggers the follower fires, as documents in the store, without anybody's key."""

from __future__ import annotations

import datetime
from typing import Any

from whisktrain.errors import Conflict, NotFound, RequestError
from whisktrain.records import ids
from whisktrain.store.protocol import Document, Store

__all__ = ["handle"]

EVENTS = ("CREATE", "READ", "UPDATE", "DELETE", "PAUSE", "UNPAUSE")
ATTEMPTS = 10


def handle(event: dict[str, Any], store: Store, *, namespace: str = "_") -> dict[str, Any]:
    """Do what the platform asks of a feed.

    Args:
        event: The feed action's arguments: `lifecycleEvent`, `triggerName` ("/ns/name"), and others that are ignored
            (`authKey` among them: it is not stored).
        store: The store.
        namespace: What "_" stands for.

    Returns:
        READ: `{"config", "status"}`; else `{"trigger", "status"}`.

    Raises:
        RequestError: The event or the trigger's name is not understood.
        NotFound: There is no such registration.
    """
    kind = str(event.get("lifecycleEvent", "")).upper()
    if kind not in EVENTS:
        raise RequestError(f"lifecycleEvent was {event.get('lifecycleEvent')!r}; expected one of {', '.join(EVENTS)}.")
    owner, trigger = _named(event.get("triggerName"), namespace)
    if kind == "CREATE":
        store.ensure()  # the moment of deployment: with wskdeploy alone nobody else makes the databases
    id_, full = ids.registration(owner, trigger), f"/{owner}/{trigger}"
    if kind == "DELETE":
        store.rounds.delete(id_)  # one that is gone already is as good: a trigger must always be deletable
        return {"trigger": full, "status": {"active": False}}
    for _ in range(ATTEMPTS):
        found = store.rounds.get(id_)
        if found is None and kind != "CREATE":
            raise NotFound(f"The trigger {full} is not registered with this feed.", hint="Create the trigger again.")
        if kind == "READ" and found is not None:
            return {"config": {"trigger": full, "created": found.body["created"]}, "status": _status(found.body)}
        body = _changed(kind, full, found)
        try:
            store.rounds.put(id_, body, rev=found.rev if found else None)
        except Conflict:
            continue
        return {"trigger": full, "status": _status(body)}
    raise Conflict(f"The registration of {full} is being changed by others all the time.", retryable=True)


def _named(name: Any, namespace: str) -> tuple[str, str]:
    parts = [part for part in str(name or "").split("/") if part]
    if len(parts) == 1:
        parts = ["_", *parts]
    if len(parts) != 2 or ":" in parts[0] + parts[1]:
        raise RequestError(f"triggerName was {name!r}; expected /NAMESPACE/NAME.")
    return (namespace if parts[0] == "_" else parts[0]), parts[1]


def _changed(kind: str, trigger: str, found: Document | None) -> dict[str, Any]:
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    before = found.body if found is not None else {}
    active = {"PAUSE": False, "UPDATE": bool(before.get("active", True))}.get(kind, True)
    created = before.get("created", now)
    return {"schema": ids.SCHEMA, "trigger": trigger, "active": active, "created": created, "changed": now}


def _status(body: dict[str, Any]) -> dict[str, Any]:
    return {"active": body["active"], "dateChanged": body["changed"]}
