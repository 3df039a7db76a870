"""Web actions: callable without a key, and their result is the answer."""

from __future__ import annotations

import base64
import hmac
from urllib.parse import parse_qsl

from starlette.responses import Response

from openwhisk_local import rejections
from openwhisk_local.activations.calls import Call
from openwhisk_local.activations.invoker import Invoker
from openwhisk_local.activations.records import APPLICATION_ERROR, SUCCESS, Activation
from openwhisk_local.jsontypes import Json, JsonObject
from openwhisk_local.rejections import Rejection, no_such_route
from openwhisk_local.rest.requests import ApiRequest, read_json
from openwhisk_local.rest.responses import ACTIVATION_HEADER, CORS
from openwhisk_local.state.entities import Action
from openwhisk_local.state.names import Name, is_legal
from openwhisk_local.state.registry import ResolvedAction
from openwhisk_local.web.media_types import is_json, is_received_as_text
from openwhisk_local.web.results import Transcoder, split_extension

METHODS = ("OPTIONS", "GET", "DELETE", "POST", "PUT", "HEAD", "PATCH")
_RESERVED = frozenset(
    f"__ow_{part}" for part in ("method", "headers", "path", "user", "query", "body")
)


class WebActions:
    """Answers requests below `/api/v1/web`.

    Args:
        invoker: Invokes the actions.
    """

    def __init__(self, invoker: Invoker) -> None:
        self._invoker = invoker

    async def answer(self, request: ApiRequest, *, authenticated: bool) -> Response:
        """Answer one request.

        Args:
            request: The request; its path names package, action and the rest.
            authenticated: Whether it came with the host's key.
        """
        if request.method not in METHODS:
            raise no_such_route()
        resolved, transcoder = self._find(request)
        custom_options = resolved.action.annotations.get("web-custom-options") is True
        cors = {} if custom_options else _cors_headers(request)
        if request.method == "OPTIONS" and not custom_options:
            return Response(headers=cors)
        try:
            response = await self._run(request, resolved, transcoder, authenticated)
        except Rejection as declined:
            if declined.cors:
                declined.for_web(cors)
            raise
        for name, value in cors.items():
            response.headers.setdefault(name, value)
        return response

    def _find(self, request: ApiRequest) -> tuple[ResolvedAction, Transcoder]:
        """The web action that the address names, and what makes an answer of its result.

        Raises:
            Rejection: 404 or 429; there is no such web action, or there are too many invocations.
        """
        package = request.path_part("package")
        name, transcoder = split_extension(request.path_part("action"))
        try:
            if request.namespace != request.caller or not is_legal(name) or not is_legal(package):
                raise rejections.not_found()
            in_package = None if package == "default" else package
            resolved = self._invoker.registry.resolve(Name(request.namespace, in_package, name))
            if resolved.action.annotations.get("web-export") is not True:
                raise rejections.not_found()
            self._invoker.admit()
        except Rejection as declined:
            raise declined.for_web() from None
        return resolved, transcoder

    async def _run(
        self,
        request: ApiRequest,
        resolved: ResolvedAction,
        transcoder: Transcoder,
        authenticated: bool,
    ) -> Response:
        """Invoke the action and make an answer of its result."""
        allowed = _may_call(resolved.action, request, authenticated)
        if not allowed and request.method != "OPTIONS":
            raise Rejection(
                401, "Authentication is possible but has failed or not yet been provided."
            )
        is_raw = resolved.action.annotations.get("raw-http") is True
        body = await self._read_body(request, is_raw)
        context = _request_context(request, authenticated)
        arguments = context | (
            _raw_arguments(request, body) if is_raw else _read_arguments(request, resolved, body)
        )
        call = Call(resolved, arguments, request.transaction)
        activation = await self._invoker.wait_for(call, self._invoker.limits.max_blocking_s)
        if activation is None:
            raise Rejection(202, "Response not yet ready.", headers={ACTIVATION_HEADER: call.id})
        return _to_answer(activation, transcoder)

    async def _read_body(self, request: ApiRequest, is_raw: bool) -> Json:
        """The body as an action gets it; None when there is none."""
        try:
            content = await request.body(self._invoker.limits.max_payload)
        except Rejection as declined:
            raise declined.for_web() from None
        if not content:
            return None
        media = request.media_type
        if not is_raw and is_json(media):
            return read_json(content)
        text = content.decode(errors="replace")
        if not is_raw and media == "application/x-www-form-urlencoded":
            return {**dict(parse_qsl(text, keep_blank_values=True))}
        if is_received_as_text(media):
            return text
        return base64.b64encode(content).decode()


def _request_context(request: ApiRequest, authenticated: bool) -> JsonObject:
    """What every web action gets of the request, besides its query and body."""
    context: JsonObject = {
        "__ow_method": request.method.lower(),
        "__ow_headers": {**request.forwarded_headers()},
        "__ow_path": request.path_part("rest"),
    }
    return {**context, "__ow_user": request.caller} if authenticated else context


def _raw_arguments(request: ApiRequest, body: Json) -> JsonObject:
    """Query and body as they came, for actions with the annotation `raw-http`."""
    return {"__ow_query": request.request.url.query, "__ow_body": "" if body is None else body}


def _read_arguments(
    request: ApiRequest,
    resolved: ResolvedAction,
    body: Json,
) -> JsonObject:
    """Query and body as arguments.

    Raises:
        Rejection: 400; they set what callers may not.
    """
    query: JsonObject = {**request.request.query_params}
    members = body if isinstance(body, dict) else {}
    forbidden = _RESERVED | resolved.final_parameters
    if not forbidden.isdisjoint(query | members):
        raise Rejection(400, rejections.PARAMETERS_NOT_ALLOWED)
    if body is None or isinstance(body, dict):
        return query | members
    return query | {"__ow_body": body}


def _to_answer(activation: Activation, transcoder: Transcoder) -> Response:
    """The answer that an activation's result becomes.

    Raises:
        Rejection: The activation failed, or its result cannot become an answer.
    """
    header = {ACTIVATION_HEADER: activation.id}
    response = activation.response
    if response.code not in (SUCCESS, APPLICATION_ERROR):
        raise Rejection(400, rejections.PROCESSING_FAILED, headers=header)
    result = response.result
    if response.code == APPLICATION_ERROR and isinstance(result, dict):
        result = result["error"]
    if isinstance(result, list):  # the platform fails on arrays, whatever the extension
        raise Rejection(500, rejections.FAULT, cors=False, layout="text")
    try:
        made = transcoder(result)
    except Rejection as declined:
        declined.headers = {**declined.headers, **header}
        raise
    made.headers.update(header)
    return made


def _cors_headers(request: ApiRequest) -> dict[str, str]:
    wanted = request.request.headers.get("access-control-request-headers")
    return {
        **CORS,
        "Access-Control-Allow-Methods": ", ".join(METHODS),
        "Access-Control-Allow-Headers": wanted or CORS["Access-Control-Allow-Headers"],
    }


def _may_call(action: Action, request: ApiRequest, authenticated: bool) -> bool:
    """Whether the annotation `require-whisk-auth` lets the caller in."""
    if "require-whisk-auth" not in action.annotations:
        return True
    required = action.annotations.get("require-whisk-auth")
    if isinstance(required, bool):
        return authenticated or not required
    if isinstance(required, str | int | float):
        given = request.request.headers.get("x-require-whisk-auth")
        secret = str(required).encode()
        return given is not None and hmac.compare_digest(given.encode(), secret)
    return False
