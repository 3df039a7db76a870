"""What is deployed: actions with their memory, images and versions, trigger and rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from whisktrain import __version__
from whisktrain.doctor.finding import Finding, Tell, failed, wait_for
from whisktrain.doctor.records import describe
from whisktrain.doctor.remedies import room
from whisktrain.errors import WhisktrainError
from whisktrain.openwhisk.client import Client
from whisktrain.openwhisk.client.activation import Activation
from whisktrain.openwhisk.limits import Limits
from whisktrain.openwhisk.manifest import ActionEntry, Package

__all__ = ["as_deployed", "check_actions", "check_events", "check_images", "container_memory", "read_actions"]

ANSWER_S = 60.0
"""Seconds in which an action says what it is, a cold start included."""
TOGETHER = ("worker", "aggregate", "train")
"""The actions that run at the same time."""


def read_actions(client: Client, package: Package) -> dict[str, Mapping[str, Any] | None]:
    """The package's actions and sequences as the platform has them, by name; None where one is missing."""
    names = [entry.name for part in (package.actions, package.sequences) for entry in part]
    return {name: client.get("actions", f"{package.name}/{name}") for name in names}


def as_deployed(package: Package, found: Mapping[str, Mapping[str, Any] | None]) -> Package:
    """The package with the images that the platform has, which may be others than this process' variables say."""

    def image(entry: ActionEntry) -> str:
        return str(((found[entry.name] or {}).get("exec") or {}).get("image") or entry.image)

    return replace(package, actions=tuple(replace(entry, image=image(entry)) for entry in package.actions))


def check_actions(package: Package, found: Mapping[str, Mapping[str, Any] | None], memory_mb: int | None) -> Finding:
    """Whether all actions and sequences are there, with the memory that they need and that the platform has."""
    missing = [f"{package.name}/{name}" for name, entity in found.items() if entity is None]
    if missing:
        what = "none is deployed" if len(missing) == len(found) else f"not deployed: {', '.join(missing)}"
        return Finding("actions", ok=False, detail=what, fix="Deploy the system: whisktrain deploy")
    memory = {e.name: int(((found[e.name] or {}).get("limits") or {}).get("memory") or 0) for e in package.actions}
    small = [
        f"{entry.name} ({memory[entry.name]} MB instead of {entry.limits['memory']})"
        for entry in package.actions
        if entry.image and entry.limits.get("memory", 0) > memory[entry.name]
    ]
    if small:
        fix = "Deploy again: whisktrain deploy"
        return Finding("actions", ok=False, detail=f"too little memory: {', '.join(small)}", fix=fix)
    needed = sum(memory.get(name, 0) for name in TOGETHER)
    if memory_mb is not None and needed > memory_mb:
        parts = ", ".join(f"{name} {memory.get(name, 0)}" for name in TOGETHER)
        detail = (
            f"a run needs {needed} MB at once ({parts}), all containers together have {memory_mb} MB: it would wait for ever"
        )
        fix = (
            f"Raise it where OpenWhisk starts, -Dwhisk.container-pool.user-memory={needed}m (compose.yaml gives 6144m), and "
            f"WHISKTRAIN_CONTAINER_MEMORY={needed} whisktrain deploy"
        )
        return Finding("actions", ok=False, detail=detail, fix=fix)
    return Finding("actions", ok=True, detail=f"{len(found)} deployed")


def container_memory(client: Client, package: Package, limits: Limits) -> int | None:
    """Memory of all containers together, in MB: as this process' variables say, else as the deployment was told."""
    if limits.memory_mb is not None:
        return limits.memory_mb
    entity = client.get("packages", package.name) or {}
    for parameter in entity.get("parameters") or ():
        if parameter.get("key") == "container_memory" and str(parameter.get("value")).isdecimal():
            return int(parameter["value"]) or None
    return None


def check_images(client: Client, package: Package, longest_ms: int, tell: Tell) -> Iterator[Finding]:
    """Ask each action what it is: whether its image starts, which library answers, and whether that reaches the store.

    Each one is asked because containers stay warm: a single action may still run on the image of an earlier deployment.
    """
    well: dict[str, Any] = {}
    store: tuple[str, Mapping[str, Any]] | None = None
    for entry in package.actions:
        answer = _ask(client, package, entry, longest_ms, tell)
        if isinstance(answer, Finding):
            yield answer
            continue
        version = answer.get("lib_version")
        if version != __version__:
            detail = f"it has whisktrain {version}, here is {__version__}"
            fix = (
                f"Build its image from this version and deploy again, which also ends warm containers: whisktrain deploy. "
                f"Or use that version here: pip install whisktrain=={version}"
            )
            yield Finding(f"image of {entry.name}", ok=False, detail=detail, fix=fix)
        else:
            well[entry.name] = answer
        if isinstance(answer.get("store"), dict) and (store is None or store[1].get("ok")):
            store = entry.name, answer["store"]
    if well:
        pythons = ", ".join(sorted({str(answer.get("python")) for answer in well.values()}))
        yield Finding("images", ok=True, detail=f"{len(well)} actions start, with whisktrain {__version__}, Python {pythons}")
    if store is not None:
        yield _store_from_inside(*store)


def _ask(client: Client, package: Package, entry: ActionEntry, longest_ms: int, tell: Tell) -> dict[str, Any] | Finding:
    """What an action says of itself; what is wrong where it does not."""
    name = f"image of {entry.name}"
    try:
        id_ = client.start(f"{package.name}/{entry.name}", {"probe": True})
        record = wait_for(lambda: client.activation(id_), f"{name}: asking what it is", ANSWER_S, tell)
    except WhisktrainError as error:
        return failed(name, error)
    if record is None:
        fix = room(entry.limits.get("memory", 256), entry.image)
        return Finding(name, ok=False, detail=f"no answer in {ANSWER_S:.0f} s (activation {id_})", fix=fix)
    if record.succeeded and isinstance(record.result, dict):
        return record.result
    return _refused(client, name, record, entry, longest_ms)


def _refused(client: Client, name: str, record: Activation, entry: ActionEntry, longest_ms: int) -> Finding:
    text, cure = describe(record, entry, longest_ms)
    detail = f"{text} (activation {record.id})"
    log = next((line for line in reversed(client.explain(record).logs) if "Error" in line), "")
    if log:
        detail += f"; {log.rpartition('stdout: ')[2].rpartition('stderr: ')[2].strip()[:200]}"
    return Finding(name, ok=False, detail=detail, fix=cure.fix)


def _store_from_inside(action: str, store: Mapping[str, Any]) -> Finding:
    ok = bool(store.get("ok"))
    detail = f"{store.get('url')}: {store.get('detail')}" if ok else f"{action} says: {store.get('detail')}"
    fix = (
        "Deploy with an address that containers reach: WHISKTRAIN_STORE=http://USER:PASSWORD@172.17.0.1:5984 whisktrain deploy"
    )
    return Finding("store, from an action", ok=ok, detail=detail, fix="" if ok else fix)


def check_events(client: Client, package: Package) -> Iterator[Finding]:
    """The trigger and its rule: there, active, and tied to each other."""
    for trigger in package.triggers:
        try:
            there = client.get("triggers", trigger.name) is not None
        except WhisktrainError as error:
            yield failed("trigger", error)
            continue
        fix = "" if there else "Deploy the system: whisktrain deploy"
        yield Finding("trigger", ok=there, detail=f"{trigger.name} {'is there' if there else 'is missing'}", fix=fix)
    for rule in package.rules:
        try:
            entity = client.get("rules", rule.name)
        except WhisktrainError as error:
            yield failed("rule", error)
            continue
        if entity is None:
            detail, fix = f"{rule.name} is missing", "Deploy the system: whisktrain deploy"
        elif entity.get("status") != "active":
            detail, fix = (
                f"{rule.name} is {entity.get('status')}",
                f"Switch it on: wsk rule enable {rule.name} (or whisktrain deploy)",
            )
        elif _end(entity, "trigger") != rule.trigger or _end(entity, "action") != rule.action:
            detail = f"{rule.name} leads from {_end(entity, 'trigger')} to {_end(entity, 'action')}"
            fix = f"It has to lead from {rule.trigger} to {rule.action}: whisktrain deploy"
        else:
            detail, fix = f"{rule.name} is active", ""
        yield Finding("rule", ok=not fix, detail=detail, fix=fix)


def _end(rule: Mapping[str, Any], key: str) -> str:
    """The name at one end of a rule."""
    return str((rule.get(key) or {}).get("name") or "nothing")
