"""The API's `rules`: create, read, update, delete, enable and disable."""

from __future__ import annotations

from dataclasses import replace

from starlette.responses import Response

from openwhisk_local import rejections
from openwhisk_local.json_text import to_compact_json
from openwhisk_local.jsontypes import Json, JsonObject
from openwhisk_local.limits import MB, Limits
from openwhisk_local.rejections import Rejection, malformed, not_authorized
from openwhisk_local.rest.bodies import EntityBody, read_entity_body
from openwhisk_local.rest.operations import Operation, answer_list, list_operations
from openwhisk_local.rest.requests import ApiRequest
from openwhisk_local.rest.responses import answer, answer_text
from openwhisk_local.state.entities import ACTIVE, INACTIVE, Rule, Trigger
from openwhisk_local.state.names import Name, parse
from openwhisk_local.state.registry import Registry

COLLECTION = "rules"
_SPRAY = {
    int: "JsNumber",
    float: "JsNumber",
    list: "JsArray",
    dict: "JsObject",
    type(None): "JsNull$",
}
"""What the platform calls a JSON value of an unexpected type."""


class Rules:
    """The operations below `/namespaces/{ns}/rules`.

    Args:
        registry: The entities.
        limits: The host's limits.
    """

    def __init__(self, registry: Registry, limits: Limits) -> None:
        self._registry = registry
        self._limits = limits

    def operations(self) -> list[Operation]:
        """Its operations."""
        path = "/rules/{name:name}"
        return [
            *list_operations(COLLECTION, self._list),
            Operation("GET", path, self._get),
            Operation("PUT", path, self._put),
            Operation("POST", path, self._set_status),
            Operation("DELETE", path, self._delete),
        ]

    async def _list(self, request: ApiRequest) -> Response:
        request.authorize()
        return answer_list(
            request, COLLECTION, self._registry.newest_first(Rule, request.namespace)
        )

    async def _get(self, request: ApiRequest) -> Response:
        rule = self._registry.get(Rule, request.authorized_entity_name())
        return answer(rule.to_record(self._registry.status_of(rule)))

    async def _delete(self, request: ApiRequest) -> Response:
        rule = self._registry.get(Rule, request.authorized_entity_name())
        self._registry.unlink(rule)
        self._registry.remove(rule)
        return answer(rule.to_record(INACTIVE))

    async def _put(self, request: ApiRequest) -> Response:
        name = request.authorized_entity_name()
        overwrite = request.flag("overwrite")
        content = await request.json_object(self._limits.max_entity, required=True)
        trigger = _read_reference(content, "trigger", request.namespace)
        action = _read_reference(content, "action", request.namespace)
        body = read_entity_body(content, self._limits, has_parameters=False)
        self._check_references(request.caller, trigger, action)
        old = self._registry.find(Rule, name)
        if old is not None and not overwrite:
            raise Rejection(409, rejections.EXISTS)
        rule = self._next_rule(name, old, body, trigger, action)
        self._check_ends(rule)
        status = ACTIVE
        if old is not None:
            status = self._registry.status_of(old)
            if old.trigger != rule.trigger:
                self._registry.unlink(old)
        self._registry.link(rule, status)
        self._registry.put(rule)
        return answer(rule.to_record(status))

    def _check_references(
        self,
        caller: str,
        trigger: Name | None,
        action: Name | None,
    ) -> None:
        """Check that the caller may refer to the trigger and the action that a body names."""
        if action is not None:
            self._registry.check_references(caller, action)
        if trigger is not None and trigger.namespace != caller:
            raise not_authorized(trigger.qualified)

    def _next_rule(
        self,
        name: Name,
        old: Rule | None,
        body: EntityBody,
        trigger: Name | None,
        action: Name | None,
    ) -> Rule:
        """The rule as the body makes it: a new one needs both ends."""
        if old is not None:
            changed = replace(old, trigger=trigger or old.trigger, action=action or old.action)
        elif trigger is not None and action is not None:
            changed = Rule(name, trigger=trigger, action=action)
        else:
            raise Rejection(400, "rule requires a valid trigger and a valid action")
        return body.applied_to(changed, self._registry)

    def _check_ends(self, rule: Rule) -> None:
        """Check that a rule's trigger and action exist."""
        if self._registry.find(Trigger, rule.trigger) is None:
            raise Rejection(400, f"trigger /{rule.trigger.qualified} does not exist")
        try:
            self._registry.resolve(rule.action)
        except Rejection:
            raise Rejection(400, f"action /{rule.action.qualified} does not exist") from None

    async def _set_status(self, request: ApiRequest) -> Response:
        name = request.authorized_entity_name()
        status = _read_status(await request.json_object(MB))
        rule = self._registry.get(Rule, name)
        if status != self._registry.status_of(rule):
            if self._registry.find(Trigger, rule.trigger) is None:
                raise Rejection(404, "Only rules with existing triggers can be activated")
            self._registry.unlink(
                rule
            )  # a rule whose status changes becomes the last of its trigger's rules
            self._registry.link(rule, status)
        return answer_text("OK")


def _read_status(content: JsonObject) -> str:
    if "status" not in content:
        raise malformed("key not found: status")
    status = content["status"]
    if not isinstance(status, str):
        raise malformed(f"{to_compact_json(status)} (of class spray.json.{_spray_class(status)})")
    if status not in (ACTIVE, INACTIVE):
        raise malformed(f"requirement failed: {status} is not a recognized rule state")
    return status


def _spray_class(value: Json) -> str:
    if isinstance(value, bool):
        return f"Js{value}$"
    return _SPRAY[type(value)]


def _read_reference(content: JsonObject, key: str, namespace: str) -> Name | None:
    """The trigger or action that a rule's body names; None when it names none."""
    if content.get(key) is None:
        return None
    try:
        return parse(content[key], namespace)
    except ValueError as error:
        raise malformed(str(error)) from None
