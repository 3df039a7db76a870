"""The API's `triggers` and `rules`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from starlette.responses import Response

from openwhisk_local import rejections
from openwhisk_local.activations import triggers
from openwhisk_local.activations.invoker import Invoker
from openwhisk_local.limits import MB, Limits
from openwhisk_local.rejections import Rejection, malformed, no_such_route, not_authorized
from openwhisk_local.rest.action_body import check_sizes, read_optional_parameters, read_publish, read_version
from openwhisk_local.rest.exchange import Exchange, answer, answer_list, answer_text, encode
from openwhisk_local.state import names
from openwhisk_local.state.entities import ACTIVE, INACTIVE, Rule, Trigger
from openwhisk_local.state.names import Name, check_segment
from openwhisk_local.state.parameters import Parameters
from openwhisk_local.state.registry import Registry, next_version

_SPRAY = {int: "JsNumber", float: "JsNumber", list: "JsArray", dict: "JsObject", type(None): "JsNull$"}
"""What the platform calls a value of JSON that it did not expect."""


class Triggers:
    """Answers requests below `/namespaces/{ns}/triggers`.

    Args:
        registry: The entities.
        invoker: Invokes the actions of a fired trigger.
    """

    def __init__(self, registry: Registry, invoker: Invoker) -> None:
        self._registry = registry
        self._invoker = invoker

    async def answer(self, exchange: Exchange) -> Response:
        """Answer one request."""
        name = _named(exchange)
        if name is None:
            listed = exchange.listed("triggers", self._registry.newest_first(Trigger, exchange.namespace))
            return answer_list("triggers", listed if isinstance(listed, int) else [t.to_summary() for t in listed])
        match exchange.method:
            case "GET":
                return answer(self._registry.get(Trigger, name).to_record())
            case "PUT":
                return await self._put(exchange, name)
            case "POST":
                return await self._fire(exchange, name)
            case "DELETE":
                trigger = self._registry.get(Trigger, name)
                self._registry.remove(trigger)
                return answer(trigger.to_record())
        raise no_such_route()

    async def _put(self, exchange: Exchange, name: Name) -> Response:
        overwrite = exchange.flag("overwrite")
        content = await exchange.json(self._invoker.limits.max_entity, required=True)
        parameters = read_optional_parameters(content, "parameters")
        annotations = read_optional_parameters(content, "annotations")
        check_sizes(parameters, annotations, self._invoker.limits)
        publish = read_publish(content)
        if not isinstance(content.get("limits", {}), dict):
            raise malformed("Object expected")
        old = self._registry.find(Trigger, name)
        if old is None:
            if annotations is not None and "feed" in annotations and not _is_feed(annotations.get("feed")):
                raise Rejection(400, "Feed name is not valid")
            trigger = Trigger(
                name,
                read_version(content) or "0.0.1",
                self._registry.now(),
                publish=bool(publish),
                annotations=annotations or Parameters(),
                parameters=parameters or Parameters(),
            )
        elif not overwrite:
            raise Rejection(409, rejections.EXISTS)
        else:
            trigger = replace(
                old,
                version=read_version(content) or next_version(old.version),
                updated=self._registry.now(),
                publish=old.publish if publish is None else publish,
                annotations=old.annotations if annotations is None else annotations,
                parameters=old.parameters if parameters is None else parameters,
            )
        self._registry.put(trigger)
        return answer(trigger.to_record())

    async def _fire(self, exchange: Exchange, name: Name) -> Response:
        self._invoker.rates.check_fire()
        payload = await exchange.json(self._invoker.limits.max_payload)
        trigger = self._registry.get(Trigger, name)
        headers = exchange.forwarded_headers()
        activation_id = triggers.fire(trigger, payload, headers, self._invoker, exchange.transaction)
        if activation_id is None:
            return answer(None, 204)
        return answer({"activationId": activation_id}, 202, activation=activation_id)


class Rules:
    """Answers requests below `/namespaces/{ns}/rules`.

    Args:
        registry: The entities.
        limits: The host's limits.
    """

    def __init__(self, registry: Registry, limits: Limits) -> None:
        self._registry = registry
        self._limits = limits

    async def answer(self, exchange: Exchange) -> Response:
        """Answer one request."""
        name = _named(exchange)
        if name is None:
            listed = exchange.listed("rules", self._registry.newest_first(Rule, exchange.namespace))
            return answer_list("rules", listed if isinstance(listed, int) else [r.to_summary() for r in listed])
        match exchange.method:
            case "GET":
                rule = self._registry.get(Rule, name)
                return answer(rule.to_record(self._registry.status_of(rule)))
            case "PUT":
                return await self._put(exchange, name)
            case "POST":
                return await self._set_status(exchange, name)
            case "DELETE":
                rule = self._registry.get(Rule, name)
                self._registry.unlink(rule)
                self._registry.remove(rule)
                return answer(rule.to_record(INACTIVE))
        raise no_such_route()

    async def _put(self, exchange: Exchange, name: Name) -> Response:
        overwrite = exchange.flag("overwrite")
        content = await exchange.json(self._limits.max_entity, required=True)
        trigger = _read_reference(content, "trigger", exchange.namespace)
        action = _read_reference(content, "action", exchange.namespace)
        annotations = read_optional_parameters(content, "annotations")
        check_sizes(None, annotations, self._limits)
        publish = read_publish(content)
        self._registry.check_references(exchange.caller, *([] if action is None else [action]))
        if trigger is not None and trigger.namespace != exchange.caller:
            raise not_authorized(trigger.qualified)
        old = self._registry.find(Rule, name)
        if old is None:
            if trigger is None or action is None:
                raise Rejection(400, "rule requires a valid trigger and a valid action")
            status = ACTIVE
            rule = Rule(
                name,
                read_version(content) or "0.0.1",
                self._registry.now(),
                publish=bool(publish),
                annotations=annotations or Parameters(),
                trigger=trigger,
                action=action,
            )
        elif not overwrite:
            raise Rejection(409, rejections.EXISTS)
        else:
            status = self._registry.status_of(old)
            rule = replace(
                old,
                version=read_version(content) or next_version(old.version),
                updated=self._registry.now(),
                publish=old.publish if publish is None else publish,
                annotations=old.annotations if annotations is None else annotations,
                trigger=trigger or old.trigger,
                action=action or old.action,
            )
        self._check_ends(rule)
        if old is not None and old.trigger != rule.trigger:
            self._registry.unlink(old)
        self._registry.link(rule, status)
        self._registry.put(rule)
        return answer(rule.to_record(status))

    def _check_ends(self, rule: Rule) -> None:
        if self._registry.find(Trigger, rule.trigger) is None:
            raise Rejection(400, f"trigger /{rule.trigger.qualified} does not exist")
        try:
            self._registry.resolve(rule.action)
        except Rejection:
            raise Rejection(400, f"action /{rule.action.qualified} does not exist") from None

    async def _set_status(self, exchange: Exchange, name: Name) -> Response:
        content = await exchange.json(MB)
        if "status" not in content:
            raise malformed("key not found: status")
        status = content["status"]
        if not isinstance(status, str):
            called = f"Js{status}$" if isinstance(status, bool) else _SPRAY[type(status)]
            raise malformed(f"{encode(status).decode()} (of class spray.json.{called})")
        if status not in (ACTIVE, INACTIVE):
            raise malformed(f"requirement failed: {status} is not a recognized rule state")
        rule = self._registry.get(Rule, name)
        if status != self._registry.status_of(rule):
            if self._registry.find(Trigger, rule.trigger) is None:
                raise Rejection(404, "Only rules with existing triggers can be activated")
            self._registry.unlink(rule)  # a rule whose status changes is its trigger's last
            self._registry.link(rule, status)
        return answer_text("OK")


def _named(exchange: Exchange) -> Name | None:
    """The entity that a request concerns; None when it is for the list."""
    segments = exchange.segments
    if segments in ((), ("",)):
        if exchange.method != "GET":
            raise no_such_route()
        exchange.authorize()
        return None
    if len(segments) > 1 or exchange.method not in ("GET", "PUT", "POST", "DELETE"):
        raise no_such_route()
    name = Name(exchange.namespace, None, check_segment(segments[0]))
    exchange.authorize(name.name)
    return name


def _is_feed(value: Any) -> bool:
    parts = [part for part in value.split("/") if part] if isinstance(value, str) else []
    return bool(parts) and all(names.is_legal(part) for part in parts)


def _read_reference(content: Mapping[str, Any], key: str, namespace: str) -> Name | None:
    """The trigger or action that a rule's body names; None when it names none."""
    if content.get(key) is None:
        return None
    try:
        return names.parse(content[key], namespace)
    except ValueError as error:
        raise malformed(str(error)) from None
