"""The shapes of answers: JSON, text, lists, and declined requests."""

from __future__ import annotations

import re
from collections.abc import Mapping

from starlette.responses import Response

from openwhisk_local.json_text import to_compact_json, to_pretty_json
from openwhisk_local.jsontypes import Json, JsonObject
from openwhisk_local.rejections import Rejection

CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "Authorization, Origin, X-Requested-With, Content-Type, Accept, User-Agent",
    "Access-Control-Allow-Methods": "GET, DELETE, POST, PUT, HEAD",
}
ACTIVATION_HEADER = "X-OpenWhisk-Activation-Id"


class NegotiatedResponse(Response):
    """An answer in a type that, if it is a success, the caller's header `Accept` must allow.

    Args:
        content: The body.
        status_code: The status.
        headers: The headers.
        offered: The type as it is called where the caller does not accept it; None: as in the headers.
    """

    def __init__(
        self,
        content: str | bytes | None,
        status_code: int = 200,
        headers: Mapping[str, str] = {},
        offered: str | None = None,
    ) -> None:
        super().__init__(content, status_code, dict(headers))
        self._offered = offered or self.headers.get("content-type", "")

    def check_accepted(self, accept: str | None) -> None:
        """Check that the caller accepts the answer's type.

        Args:
            accept: The header `Accept`.

        Raises:
            Rejection: 406; the caller does not.
        """
        offered = self._offered
        if accept is None or not offered or self.status_code >= 300:
            return
        if not _accepts(accept, offered.partition(";")[0]):
            why = f"Resource representation is only available with these types:\n{offered}"
            raise Rejection(406, why, cors=False)


def _accepts(accept: str, offered: str) -> bool:
    """Whether a header `Accept` allows a media type; one that cannot be read allows all."""
    weights: dict[str, float] = {}
    for part in accept.split(","):
        media, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if "/" not in media:
            return True
        weights[media] = _weight(parameters)
    offered_family, _, _ = offered.partition("/")
    for media_range in (offered, f"{offered_family}/*", "*/*"):
        if media_range in weights:
            return weights[media_range] > 0
    return False


def _weight(parameters: list[str]) -> float:
    """The weight `q` among the parameters of a media type; 1 where there is none that can be read."""
    for parameter in parameters:
        if parameter.startswith("q="):
            weight = parameter.removeprefix("q=")
            return float(weight) if re.fullmatch(r"[01](\.\d*)?", weight) else 1.0
    return 1.0


def to_json_bytes(content: Json) -> bytes:
    """JSON as the API answers it: compact, keys in order."""
    return to_compact_json(content).encode(errors="replace")


def answer(
    content: Json,
    status: int = 200,
    *,
    activation: str | None = None,
    headers: Mapping[str, str] = CORS,
) -> Response:
    """An answer of the API in JSON.

    Args:
        content: The body.
        status: The status.
        activation: The id of the activation that it is about.
        headers: The headers besides the content type.
    """
    body = to_json_bytes(content)
    response = NegotiatedResponse(body, status, {**headers, "Content-Type": "application/json"})
    if activation is not None:
        response.headers[ACTIVATION_HEADER] = activation
    return response


def answer_text(
    text: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] = CORS,
) -> Response:
    """An answer in plain text."""
    return Response(text, status, headers={**headers, "Content-Type": "text/plain; charset=UTF-8"})


def answer_declined(declined: Rejection, transaction: str) -> Response:
    """The answer to a declined request."""
    headers = declined.headers
    if declined.cors:
        headers = {**CORS, **headers}
    if declined.layout == "text":
        return answer_text(declined.message, status=declined.status, headers=headers)
    content: JsonObject = {"error": declined.message, "code": transaction}
    is_pretty = declined.layout == "pretty"
    body = to_pretty_json(content).encode() if is_pretty else to_json_bytes(content)
    return Response(body, declined.status, headers, "application/json")
