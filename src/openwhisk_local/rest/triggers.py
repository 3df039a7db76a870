"""The API's `triggers`: create, read, update, delete, fire."""

from __future__ import annotations

from dataclasses import replace

from starlette.responses import Response

from openwhisk_local import rejections
from openwhisk_local.activations.invoker import Invoker
from openwhisk_local.activations.triggers import fire
from openwhisk_local.jsontypes import Json
from openwhisk_local.rejections import Rejection, malformed
from openwhisk_local.rest.bodies import read_entity_body
from openwhisk_local.rest.operations import Operation, answer_list, list_operations
from openwhisk_local.rest.requests import ApiRequest
from openwhisk_local.rest.responses import CORS, answer
from openwhisk_local.state.entities import Trigger
from openwhisk_local.state.names import is_legal
from openwhisk_local.state.registry import Registry

COLLECTION = "triggers"


class Triggers:
    """The operations below `/namespaces/{ns}/triggers`.

    Args:
        registry: The entities.
        invoker: Invokes the actions of a fired trigger.
    """

    def __init__(self, registry: Registry, invoker: Invoker) -> None:
        self._registry = registry
        self._invoker = invoker
        self._limits = invoker.limits

    def operations(self) -> list[Operation]:
        """Its operations."""
        path = "/triggers/{name:name}"
        return [
            Operation("POST", path, self._fire),
            *list_operations(COLLECTION, self._list),
            Operation("GET", path, self._get),
            Operation("PUT", path, self._put),
            Operation("DELETE", path, self._delete),
        ]

    async def _list(self, request: ApiRequest) -> Response:
        request.authorize()
        return answer_list(
            request, COLLECTION, self._registry.newest_first(Trigger, request.namespace)
        )

    async def _get(self, request: ApiRequest) -> Response:
        name = request.authorized_entity_name()
        return answer(self._registry.get(Trigger, name).to_record())

    async def _delete(self, request: ApiRequest) -> Response:
        trigger = self._registry.get(Trigger, request.authorized_entity_name())
        self._registry.remove(trigger)
        return answer(trigger.to_record())

    async def _put(self, request: ApiRequest) -> Response:
        name = request.authorized_entity_name()
        overwrite = request.flag("overwrite")
        content = await request.json_object(self._limits.max_entity, required=True)
        body = read_entity_body(content, self._limits)
        if not isinstance(content.get("limits", {}), dict):
            raise malformed("Object expected")
        old = self._registry.find(Trigger, name)
        if old is None:
            if body.annotations is not None and "feed" in body.annotations:
                _check_feed(body.annotations.get("feed"))
        elif not overwrite:
            raise Rejection(409, rejections.EXISTS)
        trigger = body.applied_to(old or Trigger(name), self._registry)
        if body.parameters is not None:
            trigger = replace(trigger, parameters=body.parameters)
        self._registry.put(trigger)
        return answer(trigger.to_record())

    async def _fire(self, request: ApiRequest) -> Response:
        name = request.authorized_entity_name()
        self._invoker.rates.check_fire()
        payload = await request.json_object(self._limits.max_payload)
        trigger = self._registry.get(Trigger, name)
        activation_id = fire(
            trigger, payload, request.forwarded_headers(), self._invoker, request.transaction
        )
        if activation_id is None:
            return Response(status_code=204, headers=CORS)
        return answer({"activationId": activation_id}, 202, activation=activation_id)


def _check_feed(feed: Json) -> None:
    """Check that the annotation `feed` names an action."""
    parts = [part for part in feed.split("/") if part] if isinstance(feed, str) else []
    if not parts or not all(is_legal(part) for part in parts):
        raise Rejection(400, "Feed name is not valid")
