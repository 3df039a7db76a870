"""What the platform's own records tell: how a trigger's rules started their actions, and how actions ended lately."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from whisktrain.doctor.finding import Finding, ago, failed
from whisktrain.doctor.remedies import Kind, Remedy, remedy
from whisktrain.errors import WhisktrainError
from whisktrain.openwhisk.client import Client
from whisktrain.openwhisk.client.activation import Activation, failure_of
from whisktrain.openwhisk.manifest import ActionEntry, Package

__all__ = ["Ending", "Start", "check_starts", "describe", "endings", "starts"]

LATELY_S = 900.0
"""Seconds after which a failure is history."""
_BROKEN = ("action developer error", "whisk internal error")


@dataclass(frozen=True, slots=True)
class Start:
    """What one rule made of one fire of its trigger.

    Attributes:
        rule: The rule.
        action: Its action, `namespace/package/name`.
        error: Why the action was not started; empty where it was.
        activation: The action's activation, where it was started.
        run: The run that the trigger was fired for.
        when: When, in epoch milliseconds.
    """

    rule: str
    action: str
    error: str
    activation: str
    run: str
    when: int


def starts(client: Client, trigger: str, *, limit: int = 5) -> list[Start]:
    """What the rules of a trigger made of its last fires, the newest first.

    OpenWhisk keeps that in one place only: the log lines of the trigger's own activations.
    """
    found: list[Start] = []
    for fire in client.activations(name=trigger, limit=limit, docs=True):
        lines: Iterable[str] = fire.logs or client.logs(fire.id)
        run = str(fire.result.get("run", "")) if isinstance(fire.result, dict) else ""
        for line in lines:
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict) and "rule" in record:
                why = "" if record.get("success") else str(record.get("error") or "the platform does not say why")
                activation = str(record.get("activationId") or "")
                found.append(Start(str(record["rule"]), str(record.get("action", "")), why, activation, run, fire.start))
    return found


def check_starts(client: Client, package: Package) -> Iterator[Finding]:
    """Whether the last fires of each trigger started their actions."""
    for trigger in package.triggers:
        name = f"fires of {trigger.name}"
        try:
            found = starts(client, trigger.name)
        except WhisktrainError as error:
            yield failed(name, error)
            continue
        if not found:
            yield Finding(name, ok=True, detail="none yet")
            continue
        last = found[0]
        if last.error and time.time() - last.when / 1000 < LATELY_S:
            short = last.action.rpartition("/")[2]
            detail = f"the last one, {ago(last.when)}, did not start {last.action}: {last.error}"
            yield Finding(name, ok=False, detail=detail, fix=remedy(last.error, action=short).fix)
        else:
            started = f"started {last.action}" if not last.error else f"failed ({last.error})"
            yield Finding(name, ok=True, detail=f"the last one, {ago(last.when)}, {started}")


@dataclass(frozen=True, slots=True)
class Ending:
    """How an action's last activation failed.

    Attributes:
        action: Its name within the package.
        detail: What happened.
        remedy: What to do.
    """

    action: str
    detail: str
    remedy: Remedy

    @property
    def kind(self) -> Kind:
        """What is wrong."""
        return self.remedy.kind

    def finding(self) -> Finding:
        """The finding that it is."""
        return Finding(f"last activation of {self.action}", ok=False, detail=self.detail, fix=self.remedy.fix)


def endings(client: Client, package: Package, longest_ms: int = 0) -> list[Ending]:
    """The actions whose last activation lately failed for a reason of the deployment's, not of the caller's."""
    found: list[Ending] = []
    for entry in package.actions:
        for last in client.activations(name=f"{package.name}/{entry.name}", limit=1):
            if last.status in _BROKEN and time.time() - last.start / 1000 < LATELY_S:
                record = client.activation(last.id) or last
                text, cure = describe(record, entry, longest_ms)
                found.append(Ending(entry.name, f"{ago(last.start)}: {text} (activation {last.id})", cure))
    return found


def describe(record: Activation, entry: ActionEntry | None = None, longest_ms: int = 0) -> tuple[str, Remedy]:
    """A failed activation's error in its own words, and what to do about it.

    Args:
        record: The activation's record.
        entry: The action, as the manifest describes it.
        longest_ms: The longest duration that the platform allows, in ms.
    """
    error = record.result.get("error") if isinstance(record.result, dict) else None
    if isinstance(error, dict) and "message" in error:
        known = failure_of(record)
        return known.message, Remedy("other", known.hint or f"Its log says more: wsk activation logs {record.id}")
    text = error if isinstance(error, str) else f"it ended with {record.status!r}"
    return text, remedy(
        text,
        action=record.name,
        image=entry.image if entry else "",
        memory=entry.limits.get("memory", 0) if entry else 0,
        longest_ms=longest_ms,
        activation=record.id,
    )
