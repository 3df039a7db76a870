"""The API's `actions`: create, read, update, delete, invoke."""

from __future__ import annotations

from starlette.responses import Response

from openwhisk_local import rejections
from openwhisk_local.activations.calls import Call
from openwhisk_local.activations.invoker import Invoker
from openwhisk_local.processes.pool import Pool
from openwhisk_local.rejections import Rejection, bad_query, no_such_route
from openwhisk_local.rest import action_body as definitions
from openwhisk_local.rest.exchange import Exchange, answer, answer_list
from openwhisk_local.state.entities import Action, Package
from openwhisk_local.state.names import Name, check_segment
from openwhisk_local.state.registry import Registry

COLLECTION = "actions"


class Actions:
    """Answers requests below `/namespaces/{ns}/actions`.

    Args:
        registry: The entities.
        invoker: Invokes actions.
        pool: Whose processes are warm for revisions that come and go here.
    """

    def __init__(self, registry: Registry, invoker: Invoker, pool: Pool) -> None:
        self._registry = registry
        self._invoker = invoker
        self._limits = invoker.limits
        self._pool = pool

    async def answer(self, exchange: Exchange) -> Response:
        """Answer one request."""
        segments = exchange.segments
        if segments in ((), ("",)):
            if exchange.method != "GET":
                raise no_such_route()
            exchange.authorize()
            return self._list(exchange, exchange.namespace)
        if len(segments) == 2 and segments[0] and not segments[1]:
            return self._list_package(exchange)
        if len(segments) > 2 or not all(segments) or exchange.method not in ("GET", "PUT", "POST", "DELETE"):
            raise no_such_route()
        parts = [check_segment(segment) for segment in segments]
        # Who may read a package may read and invoke what is in it; the platform asks for the package then.
        exchange.authorize(*(parts[:1] if exchange.method in ("GET", "POST") else parts))
        name = Name(exchange.namespace, parts[0] if len(parts) == 2 else None, parts[-1])
        match exchange.method:
            case "GET":
                return self._get(exchange, name)
            case "PUT":
                return await self._put(exchange, name)
            case "POST":
                return await self._invoke(exchange, name)
            case "DELETE":
                return self._delete(name)
        raise no_such_route()

    def _list(self, exchange: Exchange, path: str) -> Response:
        listed = exchange.listed(COLLECTION, self._registry.newest_first(Action, path))
        return answer_list(COLLECTION, listed if isinstance(listed, int) else [a.to_summary() for a in listed])

    def _list_package(self, exchange: Exchange) -> Response:
        if exchange.method != "GET":
            raise no_such_route()
        name = Name(exchange.namespace, None, check_segment(exchange.segments[0]))
        exchange.authorize(name.name)
        package = self._registry.target(self._registry.get(Package, name))
        return self._list(exchange, package.name.qualified)

    def _get(self, exchange: Exchange, name: Name) -> Response:
        code = exchange.flag("code", default=True)
        resolved = self._registry.resolve(name)
        return answer(resolved.action.to_record(code=code, parameters=resolved.parameters))

    def _check_package(self, name: Name) -> None:
        if name.of_package is not None and self._registry.get(Package, name.of_package).binding is not None:
            raise Rejection(400, rejections.NOT_ON_BINDING)

    async def _put(self, exchange: Exchange, name: Name) -> Response:
        overwrite = exchange.flag("overwrite")
        self._check_package(name)
        content = await exchange.json(self._limits.max_entity, required=True)
        body = definitions.read_action(content, exchange.namespace, self._limits)
        self._registry.check_references(exchange.caller, *body.components())
        old = self._registry.find(Action, name)
        if old is None:
            action = definitions.create(name, body, self._registry, self._limits)
        elif not overwrite:
            raise Rejection(409, rejections.EXISTS)
        else:
            action = definitions.update(old, body, self._registry, self._limits)
            self._pool.retire(name)
        self._registry.put(action)
        return answer(action.to_record())

    def _delete(self, name: Name) -> Response:
        self._check_package(name)
        action = self._registry.get(Action, name)
        self._registry.remove(action)
        self._pool.retire(name)
        return answer(action.to_record())

    async def _invoke(self, exchange: Exchange, name: Name) -> Response:
        self._invoker.admit()
        blocking, bare = exchange.flag("blocking"), exchange.flag("result")
        seconds = self._patience(exchange)
        payload = await exchange.json(self._limits.max_payload)
        resolved = self._registry.resolve(name)
        self._invoker.check_arguments(resolved, payload)
        call = Call(resolved, payload, exchange.transaction)
        if not blocking:
            self._invoker.start(call)
            return answer({"activationId": call.id}, 202, activation=call.id)
        activation = await self._invoker.wait_for(call, seconds)
        if activation is None:
            return answer({"activationId": call.id}, 202, activation=call.id)
        response = activation.response
        # The platform answers before it has collected the log lines; a sequence's are its components' ids, and at hand.
        plain = resolved.action.components is None and not resolved.action.annotations.is_truthy("conductor")
        shown = response.result if bare or isinstance(response.result, list) else activation.to_record(logs=not plain)
        return answer(shown, response.http_status, activation=call.id)

    def _patience(self, exchange: Exchange) -> float:
        """How long a blocking invocation is waited for, in seconds: a caller may only shorten it."""
        most = self._limits.max_blocking_s
        text = exchange.request.query_params.get("timeout")
        if text is None:
            return most
        if not text.isdecimal() or not 0 < int(text) <= most * 1000:
            raise bad_query("timeout", f"Timeout must be number of milliseconds up to {int(most * 1000)}.")
        return int(text) / 1000
