"""Firing a trigger: its active rules start their actions, and its record holds a line for each rule."""

from __future__ import annotations

from openwhisk_local.activations.calls import new_id, now_ms
from openwhisk_local.activations.invoker import Invoker
from openwhisk_local.activations.records import (
    APPLICATION_ERROR,
    SUCCESS,
    WHISK_ERROR,
    Activation,
    Response,
)
from openwhisk_local.json_text import to_compact_json
from openwhisk_local.jsontypes import JsonObject
from openwhisk_local.rejections import Rejection
from openwhisk_local.state.entities import Link, Trigger
from openwhisk_local.state.parameters import in_scala_order


def fire(
    trigger: Trigger,
    payload: JsonObject,
    headers: dict[str, str],
    invoker: Invoker,
    transaction: str,
) -> str | None:
    """Fire a trigger.

    Args:
        trigger: The trigger.
        payload: The parameters of the event.
        headers: The request's headers: actions get them as `__ow_headers`.
        invoker: Invokes the rules' actions.
        transaction: The request's id.

    Returns:
        The id of the trigger's record; None, and nothing happens, when it has no active rule.
    """
    links = trigger.rules.values()
    if not any(link.is_active for link in links):
        return None
    activation_id, start = new_id(), now_ms()
    arguments: JsonObject = {**trigger.parameters.values(), "__ow_headers": {**headers}, **payload}
    rules = in_scala_order({rule.qualified: link for rule, link in trigger.rules.items()})
    logs: list[str] = []
    for rule, link in rules.items():
        outcome = _start_action(rule, link, arguments, invoker, transaction)
        logs.append(to_compact_json(in_scala_order(outcome), sort_keys=False))
    record = Activation(
        id=activation_id,
        namespace=trigger.name.namespace,
        name=trigger.name.name,
        path=trigger.name.name,
        version=trigger.version,
        start=start,
        response=Response(SUCCESS, payload),
        logs=logs,
    )
    invoker.activations.add(record)
    return activation_id


def _start_action(
    rule: str,
    link: Link,
    arguments: JsonObject,
    invoker: Invoker,
    transaction: str,
) -> JsonObject:
    """Start a rule's action; the outcome is only reported as a line of the trigger's record."""
    action = link.action.qualified
    line: JsonObject = {"rule": rule, "action": action}
    if not link.is_active:
        why = f"Rule '{rule}' is inactive, action '{action}' was not activated."
        return {**line, "statusCode": APPLICATION_ERROR, "success": False, "error": why}
    try:
        activation_id = invoker.post(link.action, arguments, transaction)
    except Rejection as declined:
        code = WHISK_ERROR if declined.status >= 500 else APPLICATION_ERROR
        return {**line, "statusCode": code, "success": False, "error": declined.message}
    return {**line, "statusCode": SUCCESS, "success": True, "activationId": activation_id}
