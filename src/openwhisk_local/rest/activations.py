"""The API's `activations`: records of what ran."""

from __future__ import annotations

import re
from itertools import islice

from starlette.responses import Response

from openwhisk_local.activations.records import Activations
from openwhisk_local.rejections import Rejection, bad_query, no_such_route, not_found
from openwhisk_local.rest.exchange import Exchange, answer
from openwhisk_local.state.names import is_legal

COLLECTION = "activations"


class ActivationRecords:
    """Answers requests below `/namespaces/{ns}/activations`.

    Args:
        activations: The records.
    """

    def __init__(self, activations: Activations) -> None:
        self._activations = activations

    async def answer(self, exchange: Exchange) -> Response:
        """Answer one request."""
        if exchange.method != "GET":
            raise no_such_route()
        segments = exchange.segments
        if segments in ((), ("",)):
            exchange.authorize()
            return self._list(exchange)
        if not segments[0]:
            raise no_such_route()
        activation_id = _read_id(segments[0])
        exchange.authorize(segments[0])
        activation = self._activations.get(activation_id)
        if activation is None:
            raise not_found()
        match segments[1:]:
            case () | ("",):
                return answer(activation.to_record())
            case ("result",):
                return answer(activation.response.to_record())
            case ("logs",):
                return answer({"logs": activation.logs})
        raise no_such_route()

    def _list(self, exchange: Exchange) -> Response:
        skip, limit = exchange.page(COLLECTION)
        count, docs = exchange.flag("count"), exchange.flag("docs")
        if count and docs:
            raise Rejection(400, "The parameter 'docs' is not permitted with 'count'.")
        found = self._activations.newest_first(
            path=_name_filter(exchange), since=_instant(exchange, "since"), upto=_instant(exchange, "upto")
        )
        if count:
            return answer({COLLECTION: max(0, sum(1 for _ in found) - skip)})
        page = islice(found, skip, skip + limit)
        return answer([record.to_record() if docs else record.to_summary() for record in page])


def _read_id(text: str) -> str:
    if len(text) != 32:
        raise Rejection(400, f"Activation id length is {len(text)} but must be 32.", cors=False)
    if not re.fullmatch(r"[0-9a-fA-F]{32}", text):
        raise Rejection(400, "The activation id is not valid.", cors=False)
    return text.lower()


def _name_filter(exchange: Exchange) -> str | None:
    text = exchange.request.query_params.get("name")
    if not text:
        return None
    parts = text.split("/")
    if len(parts) > 2 or not all(is_legal(part) for part in parts):
        raise bad_query("name", f"Parameter may be a 'simple' name or 'package-name/simple' name: {text}")
    return text


def _instant(exchange: Exchange, parameter: str) -> int | None:
    text = exchange.request.query_params.get(parameter)
    if text is None:
        return None
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise bad_query(parameter, f"Parameter is not a valid value for epoch seconds: {text}")
    return int(text)
