"""Web actions: anyone may call them, and their result is the answer."""

from __future__ import annotations

import base64
import hmac
from typing import Any
from urllib.parse import parse_qsl

from starlette.responses import Response

from openwhisk_local import rejections
from openwhisk_local.activations.calls import Call
from openwhisk_local.activations.invoker import Invoker
from openwhisk_local.activations.records import APPLICATION_ERROR, SUCCESS
from openwhisk_local.rejections import Rejection
from openwhisk_local.rest.exchange import ACTIVATION_HEADER, CORS, Exchange, parse_json
from openwhisk_local.state.entities import Action
from openwhisk_local.state.names import Name, is_legal
from openwhisk_local.state.registry import Resolved
from openwhisk_local.web.results import Transcoder, is_json, is_json_text, is_text, split_extension

METHODS = ("OPTIONS", "GET", "DELETE", "POST", "PUT", "HEAD", "PATCH")
_RESERVED = frozenset(f"__ow_{part}" for part in ("method", "headers", "path", "user", "query", "body"))


class WebActions:
    """Answers requests below `/api/v1/web`.

    Args:
        invoker: Invokes the actions.
    """

    def __init__(self, invoker: Invoker) -> None:
        self._invoker = invoker

    async def answer(self, exchange: Exchange, *, authenticated: bool) -> Response:
        """Answer one request.

        Args:
            exchange: The request; its segments are package, action and the rest.
            authenticated: Whether it came with the host's key.
        """
        if exchange.method not in METHODS:
            raise rejections.no_such_route()
        resolved, transcoder = self._find(exchange)
        custom_options = resolved.action.annotations.get("web-custom-options") is True
        cors = {} if custom_options else _cors(exchange)
        if exchange.method == "OPTIONS" and not custom_options:
            return Response(headers=cors)
        try:
            response = await self._run(exchange, resolved, transcoder, authenticated)
        except Rejection as declined:
            if declined.cors:
                declined.cors, declined.layout = False, "spread"
                declined.headers = {**declined.headers, **cors}
            raise
        for name, value in cors.items():
            response.headers.setdefault(name, value)
        return response

    def _find(self, exchange: Exchange) -> tuple[Resolved, Transcoder]:
        """The action that the address means, if it is a web action."""
        package, segment = exchange.segments[:2]
        name, transcoder = split_extension(segment)
        missing = Rejection(404, rejections.NOT_FOUND, cors=False, layout="spread")
        if exchange.namespace != exchange.caller or not is_legal(name) or not is_legal(package):
            raise missing
        try:
            where = Name(exchange.namespace, None if package == "default" else package, name)
            resolved = self._invoker.registry.resolve(where)
            if resolved.action.annotations.get("web-export") is not True:
                raise missing
            self._invoker.admit()
        except Rejection as declined:
            declined.cors, declined.layout = False, "spread"
            raise
        return resolved, transcoder

    async def _run(self, exchange: Exchange, resolved: Resolved, transcoder: Transcoder, authenticated: bool) -> Response:
        allowed = _may_call(resolved.action, exchange, authenticated)
        if not allowed and exchange.method != "OPTIONS":
            raise Rejection(401, "Authentication is possible but has failed or not yet been provided.")
        raw = resolved.action.annotations.get("raw-http") is True
        body = await self._read_body(exchange, raw)
        arguments = self._arguments(exchange, resolved, body, raw, authenticated)
        call = Call(resolved, arguments, exchange.transaction)
        activation = await self._invoker.wait_for(call, self._invoker.limits.max_blocking_s)
        mark = {ACTIVATION_HEADER: call.id}
        if activation is None:
            raise Rejection(202, "Response not yet ready.", headers=mark)
        response = activation.response
        if response.code not in (SUCCESS, APPLICATION_ERROR):
            raise Rejection(400, rejections.PROCESSING_FAILED, headers=mark)
        result = response.result if response.code == SUCCESS else response.result["error"]
        if isinstance(result, list):  # the platform fails on arrays, whatever the extension
            raise Rejection(500, rejections.FAULT, cors=False, layout="text")
        try:
            made = transcoder(result)
        except Rejection as declined:
            declined.headers = {**declined.headers, **mark}
            raise
        made.headers.update(mark)
        return made

    async def _read_body(self, exchange: Exchange, raw: bool) -> Any:
        """The body as an action gets it; None when there is none."""
        try:
            content = await exchange.body(self._invoker.limits.max_payload)
        except Rejection as declined:
            declined.cors, declined.layout = False, "spread"
            raise
        if not content:
            return None
        media = exchange.request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if not raw and is_json(media):
            return parse_json(content)
        if not raw and media == "application/x-www-form-urlencoded":
            return dict(parse_qsl(content.decode(errors="replace"), keep_blank_values=True))
        return content.decode(errors="replace") if _is_sent_as_text(media) else base64.b64encode(content).decode()

    def _arguments(self, exchange: Exchange, resolved: Resolved, body: Any, raw: bool, authenticated: bool) -> dict[str, Any]:
        query = dict(exchange.request.query_params)
        fields = body if isinstance(body, dict) and not raw else {}
        if not raw and not (_RESERVED | resolved.final_parameters).isdisjoint(query | fields):
            raise Rejection(400, rejections.PARAMETERS_NOT_ALLOWED)
        rest = "/".join(exchange.segments[2:])
        arguments: dict[str, Any] = {
            "__ow_method": exchange.method.lower(),
            "__ow_headers": exchange.forwarded_headers(),
            "__ow_path": f"/{rest}" if len(exchange.segments) > 2 else "",
        }
        if authenticated:
            arguments["__ow_user"] = exchange.caller
        if raw:
            return arguments | {"__ow_query": exchange.request.url.query, "__ow_body": "" if body is None else body}
        arguments |= query
        if isinstance(body, dict):
            return arguments | body
        return arguments if body is None else arguments | {"__ow_body": body}


def _is_sent_as_text(media: str) -> bool:
    """Whether an action gets a body of that type as text, else as base64; JSON itself is base64 for old times' sake."""
    return is_text(media) or (is_json_text(media) and media != "application/json")


def _cors(exchange: Exchange) -> dict[str, str]:
    wanted = exchange.request.headers.get("access-control-request-headers")
    return {
        **CORS,
        "Access-Control-Allow-Methods": ", ".join(METHODS),
        "Access-Control-Allow-Headers": wanted or CORS["Access-Control-Allow-Headers"],
    }


def _may_call(action: Action, exchange: Exchange, authenticated: bool) -> bool:
    """Whether the annotation `require-whisk-auth` lets the caller in."""
    if "require-whisk-auth" not in action.annotations:
        return True
    required = action.annotations.get("require-whisk-auth")
    if isinstance(required, bool):
        return authenticated or not required
    if isinstance(required, str | int | float):
        given = exchange.request.headers.get("x-require-whisk-auth")
        return given is not None and hmac.compare_digest(given.encode(), str(required).encode())
    return False
