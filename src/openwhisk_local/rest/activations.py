"""The API's `activations`: records of what ran."""

from __future__ import annotations

import re
from itertools import islice

from starlette.responses import Response

from openwhisk_local.activations.records import ActivationStore
from openwhisk_local.rejections import Rejection, bad_query, no_such_route, not_found
from openwhisk_local.rest.operations import Operation, list_operations
from openwhisk_local.rest.requests import ApiRequest
from openwhisk_local.rest.responses import answer
from openwhisk_local.state.names import is_legal

COLLECTION = "activations"


class ActivationRecords:
    """The operations below `/namespaces/{ns}/activations`.

    Args:
        activations: The records.
    """

    def __init__(self, activations: ActivationStore) -> None:
        self._activations = activations

    def operations(self) -> list[Operation]:
        """Its operations."""
        return [
            *list_operations(COLLECTION, self._list),
            Operation("GET", "/activations/{id:name}{rest:rest}", self._get),
        ]

    async def _get(self, request: ApiRequest) -> Response:
        given = request.path_part("id")
        activation_id = _read_id(given)
        request.authorize(given)
        activation = self._activations.get(activation_id)
        if activation is None:
            raise not_found()
        match request.path_part("rest"):
            case "" | "/":
                return answer(activation.to_record())
            case "/result":
                return answer(activation.response.to_record())
            case "/logs":
                return answer({"logs": [*activation.logs]})
        raise no_such_route()

    async def _list(self, request: ApiRequest) -> Response:
        request.authorize()
        skip, limit = request.page(COLLECTION)
        count, docs = request.flag("count"), request.flag("docs")
        if count and docs:
            raise Rejection(400, "The parameter 'docs' is not permitted with 'count'.")
        found = self._activations.newest_first(
            path=_name_filter(request),
            since=_instant(request, "since"),
            upto=_instant(request, "upto"),
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


def _name_filter(request: ApiRequest) -> str | None:
    text = request.query("name")
    if not text:
        return None
    parts = text.split("/")
    if len(parts) > 2 or not all(is_legal(part) for part in parts):
        raise bad_query(
            "name", f"Parameter may be a 'simple' name or 'package-name/simple' name: {text}"
        )
    return text


def _instant(request: ApiRequest, parameter: str) -> int | None:
    """A time of the query, in milliseconds since the epoch."""
    text = request.query(parameter)
    if text is None:
        return None
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise bad_query(parameter, f"Parameter is not a valid value for epoch seconds: {text}")
    return int(text)
