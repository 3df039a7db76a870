"""Checks of the platform's own records: what a trigger's fires started, and how actions ended recently."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

from whisktrain.doctor.findings import Finding, ago, failed, of_error, passed
from whisktrain.doctor.hints import Diagnosis, diagnose
from whisktrain.errors import WhisktrainError
from whisktrain.openwhisk.client import Activation, Client, failure_of
from whisktrain.openwhisk.manifest import ActionEntry, Package

__all__ = [
    "RecentFailure",
    "RuleStart",
    "check_fires",
    "explain_failure",
    "recent_failures",
    "rule_starts",
]

RECENT_S = 900.0
"""Age in seconds above which a failure is ignored."""
_BROKEN = ("action developer error", "whisk internal error")


@dataclass(frozen=True, slots=True)
class RuleStart:
    """The outcome of one rule for one fire of its trigger.

    Attributes:
        rule: The rule.
        action: Its action, `namespace/package/name`.
        error: Why the action was not started; empty where it was.
        activation: The action's activation, where it was started.
        run: The run that the trigger was fired for.
        fired_ms: The time of the fire, in epoch milliseconds.
    """

    rule: str
    action: str
    error: str
    activation: str
    run: str
    fired_ms: int

    @property
    def action_name(self) -> str:
        """The action's name within its package."""
        return self.action.rpartition("/")[2]


def rule_starts(client: Client, trigger: str, *, limit: int = 5) -> list[RuleStart]:
    """The outcomes of a trigger's last fires, newest first.

    OpenWhisk keeps them in one place only: the log lines of the trigger's own activations.
    """
    fires = client.activations(name=trigger, limit=limit, docs=True)
    found = (
        _rule_start(line, fire) for fire in fires for line in fire.logs or client.logs(fire.id)
    )
    return [start for start in found if start is not None]


def _rule_start(line: str, fire: Activation) -> RuleStart | None:
    """The outcome that a log line of a trigger's activation says; None for any other line."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if not isinstance(record, dict) or "rule" not in record:
        return None
    error = (
        "" if record.get("success") else str(record.get("error") or "the platform does not say why")
    )
    return RuleStart(
        rule=str(record["rule"]),
        action=str(record.get("action", "")),
        error=error,
        activation=str(record.get("activationId") or ""),
        run=str(fire.result.get("run", "")) if isinstance(fire.result, dict) else "",
        fired_ms=fire.start,
    )


def check_fires(client: Client, package: Package) -> Iterator[Finding]:
    """Whether the last fire of each trigger started its action."""
    for trigger in package.triggers:
        name = f"fires of {trigger.name}"
        try:
            starts = rule_starts(client, trigger.name)
        except WhisktrainError as error:
            yield of_error(name, error)
            continue
        yield _check_last_fire(name, starts[0]) if starts else passed(name, "none yet")


def _check_last_fire(name: str, last: RuleStart) -> Finding:
    when = f"the last one, {ago(last.fired_ms)},"
    if not last.error:
        return passed(name, f"{when} started {last.action}")
    if not _is_recent(last.fired_ms):
        return passed(name, f"{when} failed ({last.error})")
    return failed(
        name,
        f"{when} did not start {last.action}: {last.error}",
        diagnose(last.error, action=last.action_name).hint,
    )


def _is_recent(start_ms: int) -> bool:
    return time.time() - start_ms / 1000 < RECENT_S


@dataclass(frozen=True, slots=True)
class RecentFailure:
    """The failure of an action's last activation.

    Attributes:
        action: Its name within the package.
        detail: What happened.
        diagnosis: The cause, with a hint.
    """

    action: str
    detail: str
    diagnosis: Diagnosis

    def finding(self) -> Finding:
        """The failure as a finding."""
        return failed(f"last activation of {self.action}", self.detail, self.diagnosis.hint)


def recent_failures(client: Client, package: Package, longest_ms: int = 0) -> list[RecentFailure]:
    """The actions whose last activation failed recently for a reason of the deployment's, not of the caller's."""
    found: list[RecentFailure] = []
    for entry in package.actions:
        for last in client.activations(name=f"{package.name}/{entry.name}", limit=1):
            if last.status in _BROKEN and _is_recent(last.start):
                record = client.activation(last.id) or last
                text, diagnosis = explain_failure(record, entry, longest_ms)
                detail = f"{ago(last.start)}: {text} (activation {last.id})"
                found.append(RecentFailure(entry.name, detail, diagnosis))
    return found


def explain_failure(
    record: Activation, entry: ActionEntry | None = None, longest_ms: int = 0
) -> tuple[str, Diagnosis]:
    """A failed activation's message and its cause.

    Args:
        record: The activation's record.
        entry: The action, as the manifest describes it.
        longest_ms: The longest duration that the platform allows, in ms.
    """
    error = record.result.get("error") if isinstance(record.result, dict) else None
    if isinstance(error, dict) and "message" in error:
        known = failure_of(record)
        return known.message, Diagnosis(
            "other", known.hint or f"Its log says more: wsk activation logs {record.id}"
        )
    text = error if isinstance(error, str) else f"it ended with {record.status!r}"
    diagnosis = diagnose(
        text,
        action=record.name,
        image=entry.image if entry else "",
        memory=entry.limits.get("memory", 0) if entry else 0,
        longest_ms=longest_ms,
        activation=record.id,
    )
    return text, diagnosis
