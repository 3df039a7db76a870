"""Deploying a manifest: the same calls as wskdeploy's, but existing feed triggers are updated in place."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from whisktrain.errors import ErrorRecord, WhisktrainError, from_record
from whisktrain.jsontypes import Json
from whisktrain.openwhisk.client import Client
from whisktrain.openwhisk.client.records import (
    ActionRecord,
    Execution,
    KeyValue,
    PackageRecord,
    TriggerRecord,
)
from whisktrain.openwhisk.manifest import (
    ActionEntry,
    Manifest,
    Package,
    Rule,
    SequenceEntry,
    Trigger,
    read,
)
from whisktrain.openwhisk.system import manifest_path

__all__ = ["deploy", "undeploy"]

Report = Callable[[str], None]
"""Receives a step's description before the step is taken."""
_FEED_TIMEOUT = 120.0
"""Seconds that a feed action may take, a cold start included."""


def _ignore(_: str) -> None:
    """Report nothing."""


def _pairs(values: Mapping[str, Json]) -> list[KeyValue]:
    return [{"key": key, "value": value} for key, value in values.items()]


def _within(package: Package, name: str) -> str:
    """An action's name with its package, unless it has a path already or the package is `default`."""
    return name if "/" in name or package.name == "default" else f"{package.name}/{name}"


def _absolute(name: str) -> str:
    return name if name.startswith("/") else f"/_/{name}"


def deploy(
    client: Client,
    manifest: Manifest | None = None,
    environment: Mapping[str, str] = os.environ,
    *,
    report: Report = _ignore,
) -> list[str]:
    """Create or update all that a manifest describes. Repeating it changes nothing but versions.

    An existing feed trigger is updated in place and its feed is called again, so its rule and the feed's position stay.

    Args:
        client: The platform.
        manifest: As `manifest.read` gives it; the system's own by default.
        environment: The site's variables that the system's own manifest is read with.
        report: Called with each entity, before it is made.

    Returns:
        The entities in order, such as "action whisktrain/train".

    Raises:
        PlatformError: The platform refused; what was made so far stays.
        ConfigurationError: A variable is wrong, or the feed action found something wrong.
    """
    manifest = manifest or read(manifest_path(), environment)
    done: list[str] = []

    def step(what: str) -> None:
        report(what)
        done.append(what)

    for package in manifest.packages:
        if package.name != "default":
            step(f"package {package.name}")
            client.put("packages", package.name, _package_body(package))
        for action in package.actions:
            step(f"action {_within(package, action.name)}")
            client.put("actions", _within(package, action.name), _action_body(action))
        for sequence in package.sequences:
            step(f"sequence {_within(package, sequence.name)}")
            client.put(
                "actions", _within(package, sequence.name), _sequence_body(package, sequence)
            )
        for trigger in package.triggers:
            step(f"trigger {trigger.name}")
            _put_trigger(client, trigger)
        for rule in package.rules:
            step(f"rule {rule.name}")
            client.put("rules", rule.name, _rule_body(package, rule))
            client.set_rule(rule.name, active=True)
    return done


def undeploy(
    client: Client,
    manifest: Manifest | None = None,
    environment: Mapping[str, str] = os.environ,
    *,
    report: Report = _ignore,
) -> list[str]:
    """Delete all that a manifest describes, in reverse order; what is not there is passed over.

    Args:
        client: The platform.
        manifest: As for `deploy`.
        environment: As for `deploy`.
        report: Called with each entity, before it is deleted, and with a feed's refusal.

    Returns:
        The entities that were there, in order.

    Raises:
        PlatformError: The platform refused.
    """
    manifest = manifest or read(manifest_path(), environment)
    done: list[str] = []

    def remove(kind: str, word: str, name: str) -> None:
        report(f"{word} {name}")
        if client.delete(kind, name):
            done.append(f"{word} {name}")

    for package in reversed(manifest.packages):
        for rule in reversed(package.rules):
            remove("rules", "rule", rule.name)
        for trigger in reversed(package.triggers):
            _unregister(client, trigger, report)
            remove("triggers", "trigger", trigger.name)
        for sequence in reversed(package.sequences):
            remove("actions", "sequence", _within(package, sequence.name))
        for action in reversed(package.actions):
            remove("actions", "action", _within(package, action.name))
        if package.name != "default":
            remove("packages", "package", package.name)
    return done


def _unregister(client: Client, trigger: Trigger, report: Report) -> None:
    """Call the feed of a trigger that is about to be deleted; a feed whose store is gone does not stop the deletion."""
    if not trigger.feed or client.trigger(trigger.name) is None:
        return
    try:
        _call_feed(client, trigger, "DELETE")
    except WhisktrainError as error:
        report(f"the feed of trigger {trigger.name} did not answer: {error.message}")


def _package_body(package: Package) -> PackageRecord:
    return {
        "name": package.name,
        "publish": package.public,
        "version": package.version,
        "parameters": _pairs(package.inputs),
        "annotations": _pairs(package.annotations),
    }


def _action_body(action: ActionEntry) -> ActionRecord:
    execution: Execution = {"kind": action.kind, "code": action.code}
    if action.image:
        execution["image"] = action.image
    if action.main:
        execution["main"] = action.main
    return {
        "exec": execution,
        "parameters": _pairs(action.inputs),
        "annotations": _pairs(action.annotations),
        "limits": action.limits,
        "publish": False,
    }


def _sequence_body(package: Package, sequence: SequenceEntry) -> ActionRecord:
    return {
        "exec": {
            "kind": "sequence",
            "components": [_absolute(_within(package, name)) for name in sequence.actions],
        },
        "annotations": _pairs(sequence.annotations),
        "publish": False,
    }


def _rule_body(package: Package, rule: Rule) -> dict[str, object]:
    return {
        "name": rule.name,
        "status": "",
        "trigger": _absolute(rule.trigger),
        "action": _absolute(_within(package, rule.action)),
        "annotations": _pairs(rule.annotations),
        "publish": False,
    }


def _put_trigger(client: Client, trigger: Trigger) -> None:
    """Create or update a trigger and call its feed; a new trigger is deleted again where its feed refuses."""
    is_new = client.trigger(trigger.name) is None
    body: TriggerRecord = {
        "name": trigger.name,
        "annotations": _pairs(trigger.annotations),
        "publish": False,
    }
    if not trigger.feed:
        body["parameters"] = _pairs(trigger.inputs)
    client.put("triggers", trigger.name, body)
    if not trigger.feed:
        return
    try:
        _call_feed(client, trigger, "CREATE")
    except WhisktrainError:
        if is_new:
            client.delete("triggers", trigger.name)
        raise


def _call_feed(client: Client, trigger: Trigger, event: str) -> None:
    """Call a trigger's feed action as the feed protocol wants it: blocking, with event, name, key and the feed's inputs."""
    arguments = {
        "lifecycleEvent": event,
        "triggerName": f"/_/{trigger.name}",
        "authKey": client.auth,
    }
    inputs = trigger.inputs if event == "CREATE" else {}
    try:
        client.result(_absolute(trigger.feed), {**inputs, **arguments}, timeout=_FEED_TIMEOUT)
    except WhisktrainError as error:
        message = (
            f"The feed action {trigger.feed} of the trigger {trigger.name} failed: {error.message}"
        )
        record: ErrorRecord = {**error.to_record(), "message": message}
        raise from_record(record, type(error).__name__) from error
