"""The way from the follower's fire to the aggregate: trigger, rule, and whether there was a fire at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from whisktrain.errors import PlatformError

if TYPE_CHECKING:
    from whisktrain.openwhisk.client import Client
    from whisktrain.openwhisk.client.records import TriggerRecord

__all__ = ["DEPLOY", "START_FOLLOWER", "fault", "switch_on"]

DEPLOY = "Deploy the system: whisktrain deploy"
START_FOLLOWER = "Start it, with the deployment's store: whisktrain follow (with Docker: docker compose up --detach follower)"


def switch_on(rule: str) -> str:
    """The hint for a rule that is inactive."""
    return f"Switch it on: wsk rule enable {rule} (or whisktrain deploy)"


def fault(client: Client, triggers: Mapping[str, bool], since: float) -> PlatformError | None:
    """What keeps an aggregate from being started, as far as the platform knows.

    Args:
        client: The platform.
        triggers: Whether each registered trigger is fired, by its full name.
        since: When an aggregate was needed, in seconds of the epoch.

    Returns:
        The fault; None where a trigger was fired since, and a rule listened.

    Raises:
        PlatformError: The platform does not answer.
    """
    active = [trigger for trigger, fired in triggers.items() if fired]
    if not active:
        what = f"the trigger {min(triggers)} is paused" if triggers else "no trigger is registered"
        return _fault("no_trigger", f"{what}, so that the follower fires none", DEPLOY)
    faults = [found for trigger in active if (found := _fault_of(client, trigger, since))]
    return faults[0] if len(faults) == len(active) else None


def _fault_of(client: Client, trigger: str, since: float) -> PlatformError | None:
    record, name = client.trigger(trigger), trigger.rpartition("/")[2]
    if record is None:
        return _fault("no_trigger", f"the trigger {name} is missing", DEPLOY)
    rules = _rules(record)
    if not rules:
        return _fault("no_rule", f"no rule leads from the trigger {name} to the aggregate", DEPLOY)
    if "active" not in rules.values():
        rule = min(rules)
        return _fault("rule_inactive", f"the rule {rule} is {rules[rule]}", switch_on(rule))
    if client.activations(name=name, since=int(since * 1000), limit=1):
        return None
    return _fault("no_follower", f"the follower has not fired the trigger {name}", START_FOLLOWER)


def _rules(trigger: TriggerRecord) -> dict[str, str]:
    """The status of each of a trigger's rules, by the rule's name."""
    rules = trigger.get("rules") or {}
    return {name.rpartition("/")[2]: str(link.get("status")) for name, link in rules.items()}


def _fault(code: str, message: str, hint: str) -> PlatformError:
    return PlatformError(f"No aggregate came: {message}.", code=code, hint=hint, retryable=True)
