"""The front door: an ASGI application that sends every request to where it is answered."""

from __future__ import annotations

import base64
import binascii
import hmac
import logging
import re
from typing import Protocol
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from openwhisk_local import rejections
from openwhisk_local.activations.calls import new_id
from openwhisk_local.activations.invoker import Invoker
from openwhisk_local.processes.pool import Pool
from openwhisk_local.rejections import Rejection
from openwhisk_local.rest.action_body import DEFAULT_KIND
from openwhisk_local.rest.actions import Actions
from openwhisk_local.rest.activations import ActivationRecords
from openwhisk_local.rest.exchange import CORS, Exchange, Negotiated, answer, answer_text, encode, encode_for_people
from openwhisk_local.rest.packages import Packages
from openwhisk_local.rest.triggers import Rules, Triggers
from openwhisk_local.state import names
from openwhisk_local.version import __version__
from openwhisk_local.web.actions import WebActions

_LOG = logging.getLogger(__name__)
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="OpenWhisk secure realm",charset=UTF-8'}
_TRANSACTION = re.compile(r"[\w-]{1,64}", re.ASCII)


class _Collection(Protocol):
    """What answers requests for one collection of entities."""

    async def answer(self, exchange: Exchange) -> Response:
        """Answer one request."""


class Api:
    """The host's REST API.

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
        self._collections: dict[str, _Collection] = {
            "actions": Actions(invoker.registry, invoker, pool),
            "packages": Packages(invoker.registry, invoker.limits, pool),
            "triggers": Triggers(invoker.registry, invoker),
            "rules": Rules(invoker.registry, invoker.limits),
            "activations": ActivationRecords(invoker.activations),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        given = request.headers.get("x-request-id", "")
        transaction = given if _TRANSACTION.fullmatch(given) else new_id()
        try:
            response = await self._answer(request, transaction)
            if isinstance(response, Negotiated):
                response.check(request.headers.get("accept"))
        except Rejection as declined:
            response = _declined(declined, transaction)
        except Exception:  # noqa: BLE001 - a fault of the host must not end the connection without an answer
            _LOG.exception("%s %s failed", request.method, request.url.path)
            response = _declined(Rejection(500, rejections.FAULT), transaction)
        response.headers["X-Request-ID"] = transaction
        await response(scope, receive, send)

    async def _answer(self, request: Request, transaction: str) -> Response:
        segments = tuple(_without_dots([unquote(part) for part in request.scope["raw_path"].decode("latin-1").split("/")[1:]]))
        match segments:
            case ("",) if request.method == "GET":
                return answer(self._about(), headers={})
            case ("ping",) if request.method == "GET":
                return Negotiated("pong", headers={"Content-Type": "text/plain; charset=UTF-8"}, offered="text/plain")
            case ("api", "v1", "web", owner, package, action, *_) if action:
                exchange = Exchange(request, owner, self._namespace, (package, action, *segments[6:]), transaction)
                return await self._web.answer(exchange, authenticated=self._is_authenticated(request))
            case ("api", "v1", *rest):
                return await self._answer_api(request, tuple(rest), transaction)
        if request.method == "OPTIONS":
            return answer_text("OK", headers={**CORS, "Access-Control-Allow-Methods": "OPTIONS, GET, POST"})
        allowed = "GET, OPTIONS" if segments in (("",), ("ping",)) else "OPTIONS"
        why = f"HTTP method not allowed, supported methods: {allowed}"
        raise Rejection(405, why, cors=False, headers={"Allow": allowed})

    async def _answer_api(self, request: Request, segments: tuple[str, ...], transaction: str) -> Response:
        if request.method == "OPTIONS":
            return answer_text("OK")
        if segments in ((), ("",)) and request.method == "GET":
            return answer(_about_version())
        self._authenticate(request)
        if segments in (("namespaces",), ("namespaces", "")) and request.method == "GET":
            return answer([self._namespace])
        match segments:
            case ("namespaces", owner, collection, *rest) if collection == "limits" or collection in self._collections:
                namespace = self._namespace if owner == "_" else names.check_namespace(owner)
                exchange = Exchange(request, namespace, self._namespace, tuple(rest), transaction)
                if collection != "limits":
                    return await self._collections[collection].answer(exchange)
                if request.method == "GET" and not any(rest):
                    exchange.authorize()
                    return answer(self._limits.of_the_namespace())
        raise rejections.no_such_route()

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
        known = "authorization" in request.headers
        why = rejections.BAD_CREDENTIALS if known else rejections.NO_CREDENTIALS
        raise Rejection(401, why, cors=False, headers=_CHALLENGE)

    def _about(self) -> dict[str, object]:
        kind = {
            "kind": DEFAULT_KIND,
            "image": "openwhisk_local",
            "deprecated": False,
            "default": True,
            "attached": True,
            "requireMain": False,
        }
        return {
            "description": "OpenWhisk",
            "support": {"github": "https://github.com/apache/openwhisk/issues", "slack": "http://slack.openwhisk.org"},
            "api_paths": ["/api/v1"],
            "limits": self._limits.of_the_platform(),
            "runtimes": {"python": [kind]},
        }


def _without_dots(segments: list[str]) -> list[str]:
    """A path without its `.` and `..`, which clients leave in it (RFC 3986, 5.2.4); wskdeploy's export does."""
    kept: list[str] = []
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    return kept if segments[-1] not in (".", "..") else [*kept, ""]


def _about_version() -> dict[str, object]:
    return {
        "description": "OpenWhisk API",
        "api_version": "1.0.0",
        "api_version_path": "v1",
        "build": "openwhisk_local",
        "buildno": __version__,
        "swagger_paths": {"ui": "/docs", "api-docs": "/api-docs"},
    }


def _declined(declined: Rejection, transaction: str) -> Response:
    headers = {**(CORS if declined.cors else {}), **declined.headers}
    if declined.layout == "text":
        return answer_text(declined.message, status=declined.status, headers=headers)
    content = {"error": declined.message, "code": transaction}
    text = encode_for_people(content).encode() if declined.layout == "spread" else encode(content)
    return Response(text, declined.status, headers, "application/json")
