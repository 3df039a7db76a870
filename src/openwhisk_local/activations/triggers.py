"""Firing a trigger: its active rules start their actions, and its record says how that went."""

from __future__ import annotations

import json
from typing import Any

from openwhisk_local.activations.calls import new_id, now_ms
from openwhisk_local.activations.invoker import Invoker
from openwhisk_local.activations.records import APPLICATION_ERROR, SUCCESS, WHISK_ERROR, Activation, Response
from openwhisk_local.rejections import Rejection
from openwhisk_local.state.entities import ACTIVE, Link, Trigger
from openwhisk_local.state.parameters import in_order


def fire(trigger: Trigger, payload: dict[str, Any], headers: dict[str, str], invoker: Invoker, transaction: str) -> str | None:
    """Fire a trigger.

    Args:
        trigger: The trigger.
        payload: What the event brings.
        headers: The request's headers: actions get them as `__ow_headers`.
        invoker: Invokes the rules' actions.
        transaction: The request's id.

    Returns:
        The id of the trigger's record; None, and nothing happens, when it has no active rule.
    """
    if not any(link.status == ACTIVE for link in trigger.rules.values()):
        return None
    activation_id, start = new_id(), now_ms()
    arguments = {**trigger.parameters.values(), "__ow_headers": headers, **payload}
    rules = in_order({rule.qualified: link for rule, link in trigger.rules.items()})
    logs = [_follow(rule, link, arguments, invoker, transaction) for rule, link in rules.items()]
    record = Activation(
        id=activation_id,
        namespace=trigger.name.namespace,
        name=trigger.name.name,
        path=trigger.name.name,
        version=trigger.version,
        start=start,
        response=Response(SUCCESS, payload),
        logs=[json.dumps(in_order(line), separators=(",", ":"), ensure_ascii=False) for line in logs],
    )
    invoker.activations.add(record)
    return activation_id


def _follow(rule: str, link: Link, arguments: dict[str, Any], invoker: Invoker, transaction: str) -> dict[str, Any]:
    """Start a rule's action; what comes of it is a line in the trigger's record and nowhere else."""
    line: dict[str, Any] = {"rule": rule, "action": link.action.qualified}
    if link.status != ACTIVE:
        why = f"Rule '{rule}' is inactive, action '{link.action.qualified}' was not activated."
        return {**line, "statusCode": APPLICATION_ERROR, "success": False, "error": why}
    try:
        activation_id = invoker.post(link.action, arguments, transaction)
    except Rejection as declined:
        code = WHISK_ERROR if declined.status >= 500 else APPLICATION_ERROR
        return {**line, "statusCode": code, "success": False, "error": declined.message}
    return {**line, "statusCode": SUCCESS, "success": True, "activationId": activation_id}
