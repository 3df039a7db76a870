"""Checks of what is deployed: actions with their memory, images and versions, trigger and rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from whisktrain.doctor.activations import explain_failure
from whisktrain.doctor.findings import Finding, Progress, failed, of_error, passed, wait_for
from whisktrain.doctor.hints import no_container
from whisktrain.errors import WhisktrainError
from whisktrain.jsontypes import Json, JsonObject
from whisktrain.openwhisk import settings
from whisktrain.openwhisk.client import Activation, Client
from whisktrain.openwhisk.client.records import ActionRecord, RuleRecord
from whisktrain.openwhisk.limits import Limits
from whisktrain.openwhisk.manifest import ActionEntry, Package, Rule, Trigger
from whisktrain.openwhisk.wiring import DEPLOY, switch_on
from whisktrain.version import __version__

__all__ = [
    "as_deployed",
    "check_actions",
    "check_events",
    "check_images",
    "container_memory",
    "read_actions",
]

ANSWER_S = 60.0
"""Seconds within which an action answers a probe, a cold start included."""
CONCURRENT = ("worker", "aggregate", "train")
"""The actions that run at the same time."""

Deployed = Mapping[str, ActionRecord | None]
"""A package's actions and sequences as the platform has them, by name; None where one is missing."""


def read_actions(client: Client, package: Package) -> Deployed:
    """Read the package's actions and sequences from the platform."""
    names = [entry.name for part in (package.actions, package.sequences) for entry in part]
    return {name: client.action(f"{package.name}/{name}") for name in names}


def as_deployed(package: Package, deployed: Deployed) -> Package:
    """The package with the images that the platform has, which may differ from those of this process' variables."""

    def image(entry: ActionEntry) -> str:
        record = deployed[entry.name] or {}
        return str(record.get("exec", {}).get("image") or entry.image)

    return replace(
        package, actions=tuple(replace(entry, image=image(entry)) for entry in package.actions)
    )


def check_actions(package: Package, deployed: Deployed, memory_mb: int | None) -> Finding:
    """Whether all actions and sequences are there, with the memory that they need and that the platform has."""
    missing = [f"{package.name}/{name}" for name, record in deployed.items() if record is None]
    if missing:
        what = (
            "none is deployed"
            if len(missing) == len(deployed)
            else f"not deployed: {', '.join(missing)}"
        )
        return failed("actions", what, DEPLOY)
    unguarded = [name for name, record in deployed.items() if not _is_final(record)]
    if unguarded:
        return failed(
            "actions",
            f"callers can override the deployment's settings in: {', '.join(unguarded)} (no annotation 'final')",
            "Deploy again, which sets it: whisktrain deploy",
        )
    memory = {entry.name: _memory_of(deployed[entry.name]) for entry in package.actions}
    small = _too_small(package, memory)
    if small:
        return failed(
            "actions", f"too little memory: {', '.join(small)}", "Deploy again: whisktrain deploy"
        )
    needed = sum(memory.get(name, 0) for name in CONCURRENT)
    if memory_mb is not None and needed > memory_mb:
        return _too_little_in_all(memory, needed, memory_mb)
    return passed("actions", f"{len(deployed)} deployed")


def _is_final(record: ActionRecord | None) -> bool:
    """Whether callers cannot override what the deployment binds."""
    annotations = (record or {}).get("annotations") or ()
    return any(a.get("key") == "final" and a.get("value") is True for a in annotations)


def _memory_of(record: ActionRecord | None) -> int:
    limits = (record or {}).get("limits") or {}
    return int(limits.get("memory") or 0)


def _too_small(package: Package, memory: Mapping[str, int]) -> list[str]:
    """The actions with an image that have less memory than the manifest gives them."""
    return [
        f"{entry.name} ({memory[entry.name]} MB instead of {entry.limits['memory']})"
        for entry in package.actions
        if entry.image and entry.limits.get("memory", 0) > memory[entry.name]
    ]


def _too_little_in_all(memory: Mapping[str, int], needed: int, memory_mb: int) -> Finding:
    parts = ", ".join(f"{name} {memory.get(name, 0)}" for name in CONCURRENT)
    detail = f"a run needs {needed} MB at once ({parts}), all containers together have {memory_mb} MB: it would wait for ever"
    hint = (
        f"Raise it where OpenWhisk starts, -Dwhisk.container-pool.user-memory={needed}m (compose.yaml gives 6144m), and "
        f"WHISKTRAIN_CONTAINER_MEMORY={needed} whisktrain deploy"
    )
    return failed("actions", detail, hint)


def container_memory(client: Client, package: Package, limits: Limits) -> int | None:
    """Memory of all containers together, in MB: from this process' variables, else from the deployment's parameters."""
    if limits.memory_mb is not None:
        return limits.memory_mb
    record = client.package(package.name) or {}
    for parameter in record.get("parameters") or ():
        value = str(parameter.get("value"))
        if parameter.get("key") == settings.PARAMETERS["container_memory"] and value.isdecimal():
            return int(value) or None
    return None


def check_images(
    client: Client, package: Package, longest_ms: int, progress: Progress
) -> Iterator[Finding]:
    """Probe each action: whether its image starts, which library answers, and whether that reaches the store.

    Each one is probed because containers stay warm: a single action may still run on the image of an earlier deployment.
    """
    well: list[JsonObject] = []
    store: tuple[str, JsonObject] | None = None
    for entry in package.actions:
        answer = _ImageProbe(client, package, entry, longest_ms).answer(progress)
        if isinstance(answer, Finding):
            yield answer
            continue
        if answer.get("lib_version") == __version__:
            well.append(answer)
        else:
            yield _other_version(entry.name, answer.get("lib_version"))
        report = answer.get("store")
        if isinstance(report, dict) and (store is None or store[1].get("ok")):
            store = entry.name, report
    if well:
        pythons = ", ".join(sorted({str(answer.get("python")) for answer in well}))
        yield passed(
            "images", f"{len(well)} actions start, with whisktrain {__version__}, Python {pythons}"
        )
    if store is not None:
        yield _store_from_inside(*store)


def _other_version(action: str, version: Json) -> Finding:
    hint = (
        f"Build its image from this version and deploy again, which also ends warm containers: whisktrain deploy. "
        f"Or use that version here: pip install whisktrain=={version}"
    )
    return failed(f"image of {action}", f"it has whisktrain {version}, here is {__version__}", hint)


@dataclass(frozen=True, slots=True)
class _ImageProbe:
    """The probe of one action's image."""

    client: Client
    package: Package
    entry: ActionEntry
    longest_ms: int

    @property
    def name(self) -> str:
        """The finding's name."""
        return f"image of {self.entry.name}"

    def answer(self, progress: Progress) -> JsonObject | Finding:
        """The action's answer to a probe; the finding where it does not answer."""
        try:
            activation = self.client.start(
                f"{self.package.name}/{self.entry.name}", {"probe": True}
            )
            what = f"{self.name}: asking what it is"
            record = wait_for(lambda: self.client.activation(activation), what, ANSWER_S, progress)
        except WhisktrainError as error:
            return of_error(self.name, error)
        if record is None:
            hint = no_container(self.entry.limits.get("memory", 256), self.entry.image)
            return failed(
                self.name, f"no answer in {ANSWER_S:.0f} s (activation {activation})", hint
            )
        if record.succeeded and isinstance(record.result, dict):
            return record.result
        return self._failure(record)

    def _failure(self, record: Activation) -> Finding:
        text, diagnosis = explain_failure(record, self.entry, self.longest_ms)
        detail = f"{text} (activation {record.id})"
        log = next(
            (line for line in reversed(self.client.explain(record).logs) if "Error" in line), ""
        )
        if log:
            detail += f"; {log.rpartition('stdout: ')[2].rpartition('stderr: ')[2].strip()[:200]}"
        return failed(self.name, detail, diagnosis.hint)


def _store_from_inside(action: str, store: JsonObject) -> Finding:
    name = "store, from an action"
    if store.get("ok"):
        return passed(name, f"{store.get('url')}: {store.get('detail')}")
    address = "http://USER:PASSWORD@172.17.0.1:5984"
    hint = f"Deploy with an address that containers reach: WHISKTRAIN_STORE={address} whisktrain deploy"
    return failed(name, f"{action} says: {store.get('detail')}", hint)


def check_events(client: Client, package: Package) -> Iterator[Finding]:
    """Whether triggers and rules are there, active, and tied to each other."""
    for trigger in package.triggers:
        yield _check_trigger(client, trigger)
    for rule in package.rules:
        yield _check_rule(client, rule)


def _check_trigger(client: Client, trigger: Trigger) -> Finding:
    try:
        record = client.trigger(trigger.name)
    except WhisktrainError as error:
        return of_error("trigger", error)
    if record is None:
        return failed("trigger", f"{trigger.name} is missing", DEPLOY)
    return passed("trigger", f"{trigger.name} is there")


def _check_rule(client: Client, rule: Rule) -> Finding:
    try:
        record = client.rule(rule.name)
    except WhisktrainError as error:
        return of_error("rule", error)
    if record is None:
        return failed("rule", f"{rule.name} is missing", DEPLOY)
    if record.get("status") != "active":
        return failed("rule", f"{rule.name} is {record.get('status')}", switch_on(rule.name))
    trigger, action = _end(record, "trigger"), _end(record, "action")
    if (trigger, action) != (rule.trigger, rule.action):
        hint = f"It has to lead from {rule.trigger} to {rule.action}: whisktrain deploy"
        return failed("rule", f"{rule.name} leads from {trigger} to {action}", hint)
    return passed("rule", f"{rule.name} is active")


def _end(rule: RuleRecord, key: Literal["trigger", "action"]) -> str:
    """The name at one end of a rule."""
    end = rule.get(key) or {}
    return str(end.get("name") or "nothing")
