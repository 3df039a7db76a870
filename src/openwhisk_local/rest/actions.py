"""The API's `actions`: create, read, update, delete, invoke."""

from __future__ import annotations

from starlette.responses import Response

from openwhisk_local import rejections
from openwhisk_local.activations.calls import Call
from openwhisk_local.activations.invoker import Invoker
from openwhisk_local.activations.records import Activation
from openwhisk_local.processes.pool import Pool
from openwhisk_local.rejections import Rejection, bad_query
from openwhisk_local.rest.action_body import create_action, read_action_body, update_action
from openwhisk_local.rest.operations import Operation, answer_list, list_operations
from openwhisk_local.rest.requests import ApiRequest
from openwhisk_local.rest.responses import answer
from openwhisk_local.state.entities import Action, Package
from openwhisk_local.state.names import Name
from openwhisk_local.state.registry import Registry

COLLECTION = "actions"


class Actions:
    """The operations below `/namespaces/{ns}/actions`.

    Args:
        registry: The entities.
        invoker: Invokes actions.
        pool: The processes of actions that are changed or deleted here.
    """

    def __init__(self, registry: Registry, invoker: Invoker, pool: Pool) -> None:
        self._registry = registry
        self._invoker = invoker
        self._limits = invoker.limits
        self._pool = pool

    def operations(self) -> list[Operation]:
        """Its operations; the invocation first, which is asked for most."""
        operations: list[Operation] = []
        for path in ("/actions/{package:name}/{name:name}", "/actions/{name:name}"):
            operations += [
                Operation("POST", path, self._invoke),
                Operation("GET", path, self._get),
                Operation("PUT", path, self._put),
                Operation("DELETE", path, self._delete),
            ]
        return [
            *operations,
            *list_operations(COLLECTION, self._list),
            Operation("GET", "/actions/{name:name}/", self._list_package),
        ]

    async def _list(self, request: ApiRequest) -> Response:
        request.authorize()
        return answer_list(
            request, COLLECTION, self._registry.newest_first(Action, request.namespace)
        )

    async def _list_package(self, request: ApiRequest) -> Response:
        name = request.authorized_entity_name()
        package = self._registry.target(self._registry.get(Package, name))
        return answer_list(
            request, COLLECTION, self._registry.newest_first(Action, package.name.qualified)
        )

    async def _get(self, request: ApiRequest) -> Response:
        name = self._readable_name(request)
        code = request.flag("code", default=True)
        resolved = self._registry.resolve(name)
        return answer(resolved.action.to_record(code=code, parameters=resolved.parameters))

    def _readable_name(self, request: ApiRequest) -> Name:
        """The name of an action that the caller may read and invoke.

        Of an action in a package, the platform checks the access to the package.
        """
        name = request.entity_name()
        request.authorize(name.package or name.name)
        return name

    async def _put(self, request: ApiRequest) -> Response:
        name = request.authorized_entity_name()
        overwrite = request.flag("overwrite")
        self._check_package(name)
        content = await request.json_object(self._limits.max_entity, required=True)
        body = read_action_body(content, request.namespace, self._limits)
        self._registry.check_references(request.caller, *body.components())
        old = self._registry.find(Action, name)
        if old is None:
            action = create_action(name, body, self._registry, self._limits)
        elif not overwrite:
            raise Rejection(409, rejections.EXISTS)
        else:
            action = update_action(old, body, self._registry, self._limits)
            self._pool.retire(name)
        self._registry.put(action)
        return answer(action.to_record())

    async def _delete(self, request: ApiRequest) -> Response:
        name = request.authorized_entity_name()
        self._check_package(name)
        action = self._registry.get(Action, name)
        self._registry.remove(action)
        self._pool.retire(name)
        return answer(action.to_record())

    def _check_package(self, name: Name) -> None:
        if (
            name.of_package is not None
            and self._registry.get(Package, name.of_package).binding is not None
        ):
            raise Rejection(400, rejections.NOT_ON_BINDING)

    async def _invoke(self, request: ApiRequest) -> Response:
        name = self._readable_name(request)
        self._invoker.admit()
        blocking, result_only = request.flag("blocking"), request.flag("result")
        timeout_s = self._blocking_timeout(request)
        payload = await request.json_object(self._limits.max_payload)
        resolved = self._registry.resolve(name)
        self._invoker.check_arguments(resolved, payload)
        call = Call(resolved, payload, request.transaction)
        activation = None
        if blocking:
            activation = await self._invoker.wait_for(call, timeout_s)
        else:
            self._invoker.start(call)
        if activation is None:
            return answer({"activationId": call.id}, 202, activation=call.id)
        return _answer_ended(activation, resolved.action, result_only)

    def _blocking_timeout(self, request: ApiRequest) -> float:
        """How long a blocking invocation is waited for, in seconds: a caller may only shorten it."""
        longest = self._limits.max_blocking_s
        text = request.query("timeout")
        if text is None:
            return longest
        if not text.isdecimal() or not 0 < int(text) <= longest * 1000:
            raise bad_query(
                "timeout", f"Timeout must be number of milliseconds up to {int(longest * 1000)}."
            )
        return int(text) / 1000


def _answer_ended(activation: Activation, action: Action, result_only: bool) -> Response:
    """The answer to a blocking invocation that has ended."""
    response = activation.response
    if result_only or isinstance(response.result, list):
        return answer(response.result, response.http_status, activation=activation.id)
    # The platform answers before it has collected the log lines; a sequence's are its components' ids, known at once.
    has_logs = action.components is not None or action.is_conductor
    return answer(
        activation.to_record(logs=has_logs), response.http_status, activation=activation.id
    )
