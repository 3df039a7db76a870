"""The ASGI application: authenticates requests and routes them to the API's collections and to web actions."""

from __future__ import annotations

import base64
import binascii
import hmac
import logging
import re
from collections.abc import Awaitable, Callable
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Router
from starlette.types import Receive, Scope, Send

from openwhisk_local import rejections
from openwhisk_local.activations.calls import new_id
from openwhisk_local.activations.invoker import Invoker
from openwhisk_local.processes.pool import Pool
from openwhisk_local.rejections import Rejection, no_such_route
from openwhisk_local.rest.about import about_api, about_platform
from openwhisk_local.rest.actions import Actions
from openwhisk_local.rest.activations import ActivationRecords
from openwhisk_local.rest.operations import Collection, Operation, list_operations
from openwhisk_local.rest.packages import Packages
from openwhisk_local.rest.requests import ApiRequest
from openwhisk_local.rest.responses import (
    CORS,
    NegotiatedResponse,
    answer,
    answer_declined,
    answer_text,
)
from openwhisk_local.rest.routing import ExactRoute, canonical_path
from openwhisk_local.rest.rules import Rules
from openwhisk_local.rest.triggers import Triggers
from openwhisk_local.state.names import check_namespace
from openwhisk_local.web.actions import WebActions

_LOG = logging.getLogger(__name__)
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="OpenWhisk secure realm",charset=UTF-8'}
_TRANSACTION = re.compile(r"[\w-]{1,64}", re.ASCII)
_NAMESPACE = "/api/v1/namespaces/{namespace:segment}"
_WEB_ACTION = "/api/v1/web/{owner:segment}/{package:segment}/{action:name}{rest:rest}"
_IN_COLLECTION = re.compile(
    r"/api/v1/namespaces/([^/]*)/(?:actions|packages|triggers|rules|activations|limits)(?:/.*)?"
)

_HttpHandler = Callable[[Request, str], Awaitable[Response]]
"""Answers a request, given its transaction id."""


class _Answered:
    """An ASGI application that answers what a handler returns or raises.

    Args:
        handler: Answers the request.
    """

    def __init__(self, handler: _HttpHandler) -> None:
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        given = request.headers.get("x-request-id", "")
        transaction = given if _TRANSACTION.fullmatch(given) else new_id()
        response = await self._respond(request, transaction)
        response.headers["X-Request-ID"] = transaction
        await response(scope, receive, send)

    async def _respond(self, request: Request, transaction: str) -> Response:
        try:
            response = await self._handler(request, transaction)
            if isinstance(response, NegotiatedResponse):
                response.check_accepted(request.headers.get("accept"))
        except Rejection as declined:
            return answer_declined(declined, transaction)
        except Exception:  # noqa: BLE001 - a fault of the host must not end the connection without an answer
            _LOG.exception("%s %s failed", request.method, request.url.path)
            return answer_declined(Rejection(500, rejections.FAULT), transaction)
        return response


class Api:
    """The host's REST API and web actions.

    Args:
        invoker: Invokes actions.
        pool: The action processes.
        namespace: The only namespace.
        auth: Its key: `uuid:key`.
    """

    def __init__(self, invoker: Invoker, pool: Pool, namespace: str, auth: str) -> None:
        self._limits = invoker.limits
        self._namespace = namespace
        self._auth = auth.encode()
        self._web = WebActions(invoker)
        collections: list[Collection] = [
            Actions(invoker.registry, invoker, pool),
            ActivationRecords(invoker.activations),
            Triggers(invoker.registry, invoker),
            Rules(invoker.registry, invoker.limits),
            Packages(invoker.registry, invoker.limits, pool),
        ]
        operations = list_operations("limits", self._namespace_limits)
        for collection in collections:
            operations += collection.operations()
        routes = [
            *(self._namespace_route(operation) for operation in operations),
            ExactRoute(None, _WEB_ACTION, _Answered(self._web_action)),
            ExactRoute("GET", "/", _Answered(self._about_platform)),
            ExactRoute("GET", "/ping", _Answered(self._ping)),
            ExactRoute("GET", "/api/v1", _Answered(self._about_api)),
            ExactRoute("GET", "/api/v1/", _Answered(self._about_api)),
            ExactRoute("GET", "/api/v1/namespaces", _Answered(self._list_namespaces)),
            ExactRoute("GET", "/api/v1/namespaces/", _Answered(self._list_namespaces)),
        ]
        unmatched = _Answered(self._answer_unmatched)
        self._router = Router(routes, redirect_slashes=False, default=unmatched)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            path = canonical_path(scope["raw_path"].decode("latin-1"))
            await self._router({**scope, "path": path}, receive, send)

    def _namespace_route(self, operation: Operation) -> ExactRoute:
        """The route of an operation in a namespace, for callers with the key only."""

        async def handler(request: Request, transaction: str) -> Response:
            self._authenticate(request)
            namespace = self._read_namespace(request.path_params["namespace"])
            api_request = ApiRequest(request, namespace, self._namespace, transaction)
            return await operation.handler(api_request)

        path = f"{_NAMESPACE}{operation.path}"
        return ExactRoute(operation.method, path, _Answered(handler))

    def _read_namespace(self, segment: str) -> str:
        return self._namespace if segment == "_" else check_namespace(segment)

    async def _web_action(self, request: Request, transaction: str) -> Response:
        web_request = ApiRequest(
            request, request.path_params["owner"], self._namespace, transaction
        )
        return await self._web.answer(web_request, authenticated=self._is_authenticated(request))

    async def _about_platform(self, request: Request, transaction: str) -> Response:
        return answer(about_platform(self._limits), headers={})

    async def _about_api(self, request: Request, transaction: str) -> Response:
        return answer(about_api())

    async def _ping(self, request: Request, transaction: str) -> Response:
        return NegotiatedResponse(
            "pong", headers={"Content-Type": "text/plain; charset=UTF-8"}, offered="text/plain"
        )

    async def _list_namespaces(self, request: Request, transaction: str) -> Response:
        self._authenticate(request)
        return answer([self._namespace])

    async def _namespace_limits(self, request: ApiRequest) -> Response:
        request.authorize()
        return answer(self._limits.of_the_namespace())

    async def _answer_unmatched(self, request: Request, transaction: str) -> Response:
        """Answer a request that no route matches.

        A table of routes cannot express this. Outside the API, OpenWhisk answers 405 and names the methods. Below `/api/v1`
        it first looks at the key, then at the namespace of a collection that exists, and only then answers 404, whether the
        path or the method is wrong. OPTIONS succeeds everywhere, without a key.
        """
        path = request.scope["path"]
        in_api = path == "/api/v1" or path.startswith("/api/v1/")
        if request.method == "OPTIONS":
            outside = {**CORS, "Access-Control-Allow-Methods": "OPTIONS, GET, POST"}
            return answer_text("OK", headers=CORS if in_api else outside)
        if not in_api:
            allowed = "GET, OPTIONS" if path in ("/", "/ping") else "OPTIONS"
            why = f"HTTP method not allowed, supported methods: {allowed}"
            raise Rejection(405, why, cors=False, headers={"Allow": allowed})
        self._authenticate(request)
        collection = _IN_COLLECTION.fullmatch(path)
        if collection is not None:
            self._read_namespace(unquote(collection[1]))
        raise no_such_route()

    def _is_authenticated(self, request: Request) -> bool:
        """Whether a request came with the host's key."""
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            given = base64.b64decode(credentials, validate=True)
        except (binascii.Error, ValueError):
            return False
        return hmac.compare_digest(given, self._auth)

    def _authenticate(self, request: Request) -> None:
        if self._is_authenticated(request):
            return
        has_credentials = "authorization" in request.headers
        why = rejections.BAD_CREDENTIALS if has_credentials else rejections.NO_CREDENTIALS
        raise Rejection(401, why, cors=False, headers=_CHALLENGE)
